// What people see of a node.

#include "plugin/core/node.h"

namespace active_master {

const char* to_string(State state) {
  switch (state) {
    case State::kStart:
      return "START";
    case State::kNew:
      return "NEW";
    case State::kBootstrapCheck:
      return "BOOTSTRAP_CHECK";
    case State::kBootstrapPersist:
      return "BOOTSTRAP_PERSIST";
    case State::kRecover:
      return "RECOVER";
    case State::kReopen:
      return "REOPEN";
    case State::kStandby:
      return "STANDBY";
    case State::kActive:
      return "ACTIVE";
    case State::kCheck:
      return "CHECK";
    case State::kApproach:
      return "APPROACH";
    case State::kIntent:
      return "INTENT";
    case State::kPause:
      return "PAUSE";
    case State::kDrain:
      return "DRAIN";
    case State::kFence:
      return "FENCE";
    case State::kHandover:
      return "HANDOVER";
    case State::kCatchUp:
      return "CATCH_UP";
    case State::kGrant:
      return "GRANT";
    case State::kGranted:
      return "GRANTED";
    case State::kResume:
      return "RESUME";
    case State::kAbortPersist:
      return "ABORT_PERSIST";
    case State::kAbortOpen:
      return "ABORT_OPEN";
    case State::kFollow:
      return "FOLLOW";
    case State::kRequest:
      return "REQUEST";
    case State::kActivatePersist:
      return "ACTIVATE_PERSIST";
    case State::kActivateOpen:
      return "ACTIVATE_OPEN";
    case State::kAsk:
      return "ASK";
    case State::kBid:
      return "BID";
    case State::kApply:
      return "APPLY";
    case State::kStopped:
      return "STOPPED";
  }
  return "?";
}

const char* to_string(const Job& job) {
  constexpr const char* kNames[] = {
      "persist",       "check",    "check_candidate", "await_transactions",
      "read_position", "lull",     "probe",           "drain",
      "fence",         "handover", "catch_up",        "open_writes",
      "stand_down",    "record",   "read_gtids",      "compare_gtids",
      "describe",      "follow",   "leave",           "stop_receiving",
      "apply",         "hook"};
  static_assert(std::size(kNames) == std::variant_size_v<Job>);
  return kNames[job.index()];
}

const char* to_string(Event event) {
  switch (event) {
    case Event::kNone:
      return "-";
    case Event::kAlways:
      return "(always)";
    case Event::kServerStarted:
      return "server started";
    case Event::kBootstrap:
      return "bootstrap()";
    case Event::kSwitch:
      return "switchover or check asked for";
    case Event::kCancel:
      return "cancel";
    case Event::kJobDone:
      return "job done";
    case Event::kJobFailed:
      return "job failed";
    case Event::kHigherActivation:
      return "higher activation heard";
    case Event::kOffer:
      return "Offer";
    case Event::kGrantRequest:
      return "GrantRequest";
    case Event::kDecline:
      return "Decline";
    case Event::kCheckReply:
      return "CheckReply";
    case Event::kProbeReply:
      return "ProbeReply";
    case Event::kWritableStandby:
      return "read_only found off";
    case Event::kErrantWrite:
      return "errant write found";
    case Event::kRejoin:
      return "rejoin()";
    case Event::kFollowStep:
      return "step of following done";
    case Event::kFollowFailed:
      return "step of following failed";
    case Event::kFollowReply:
      return "FollowReply";
    case Event::kFailover:
      return "failover() or a check of it";
    case Event::kAsk:
      return "Ask";
  }
  return "?";
}

// --------------------------------------------------------------------------------

std::shared_ptr<const View> Node::view() const {
  auto view = std::make_shared<View>();
  view->node = self();
  view->cluster = config_.identity.cluster;
  view->role = role();
  view->epoch = known_epoch();
  view->activation = activation_;
  view->phase = phase_of(state_);
  view->switchover = switchover();
  view->state = to_string(state_);
  view->fenced = fenced();
  view->read_only = server_.read_only;
  view->sql_address = config_.sql_address;
  view->gtid_position = server_.gtid_position;
  view->since = since_;
  view->last_error = last_error_;
  if (state_ == State::kRecover) {
    view->last_error = "restarted as the active master of epoch " +
                       std::to_string(known_epoch().value) + " and fenced until every peer says " +
                       "that nobody is active above it; missing: " + recall_waits_for() +
                       "; if those are off: CALL active_master.force_failover('" + self() + "')";
    if (has_voters())
      view->last_error = "active master of epoch " + std::to_string(known_epoch().value) +
                         " without a lease, and fenced; missing: " + recall_waits_for() +
                         "; if a failover has begun: CALL active_master.failover('" + self() + "')";
  }
  view->replication = following_.status;

  const NodeState own = node_state();
  view->nodes.push_back({self(), std::nullopt, "SELF", own.role, own.epoch, own.sql_address,
                         own.fenced, own.read_only, own.gtid_position, own.server_id,
                         own.server_version, wall_, view->last_error, own.replication,
                         own.replication_error, own.semi_sync});
  auto others = config_.peers;
  others.insert(others.end(), config_.witnesses.begin(), config_.witnesses.end());
  for (const auto& peer : others) {
    const auto it = peers_.find(peer.name);
    if (it == peers_.end()) continue;
    const auto& [name, p] = *it;
    NodeView node;
    node.name = name;
    node.address = peer.address.to_string();
    node.link = linked(name) ? "CONNECTED" : p.was_up ? "LOST" : "CONNECTING";
    node.role = p.state.role;
    node.epoch = p.state.epoch;
    node.sql_address = p.state.sql_address;
    node.fenced = p.state.fenced;
    node.read_only = p.state.read_only;
    node.gtid_position = p.state.gtid_position;
    node.server_id = p.state.server_id;
    node.server_version = p.state.server_version;
    if (p.heard_at) node.last_seen = p.heard_wall;
    node.last_error = p.error;
    node.replication = p.state.replication;
    node.replication_error = p.state.replication_error;
    node.semi_sync = p.state.semi_sync;
    view->nodes.push_back(std::move(node));
  }
  for (const auto& [name, p] : proxies_) {
    view->proxies.push_back({name, p.ip, p.state.holding, is_here(p), p.state.driver, p.state.epoch,
                             p.state.node, p.state.holding ? p.state.switchover : SwitchoverId{},
                             p.heard_wall, p.held_at, p.opened_at, p.state.last_error});
  }
  view->switchovers.assign(history_.begin(), history_.end());
  if (operation_) {
    auto running = std::make_shared<SwitchoverReport>(*operation_->report);
    const Phase phase = phase_of(state_);
    if (phase != Phase::kNone) running->phases.push_back({phase, now_ - operation_->phase_since});
    view->switchovers.push_back(std::move(running));
  }
  view->events.assign(events_.begin(), events_.end());
  view->switchovers_done = done_;
  view->switchovers_aborted = aborted_;
  view->last_write_pause = last_write_pause_;
  return view;
}

}  // namespace active_master
