#include "plugin/core/node.h"

#include <algorithm>
#include <utility>

#include "plugin/core/rules.h"

namespace active_master {

namespace {

constexpr size_t kMaxHistory = 100;      // ACTIVE_MASTER_SWITCHOVERS
constexpr size_t kMaxEvents = 1000;      // ACTIVE_MASTER_EVENTS
constexpr size_t kMaxErrands = 1000;     // jobs for peers; a peer that asks for more is not ours
constexpr size_t kReportsForAPeer = 20;  // that it gets when it connects

// After the director's own limits a statement waits a little for the news to travel.
constexpr Duration kAnswerMargin{2'000'000};

// How often the peers are asked for the proxies that a switchover waits for: some ten times what a
// proxy takes when its connection to this node lives.
constexpr Duration kProxyPatience{100'000};

constexpr States kTimed{State::kCheck,  State::kApproach, State::kIntent,   State::kPause,
                        State::kDrain,  State::kFence,    State::kHandover, State::kCatchUp,
                        State::kResume, State::kAsk,      State::kBid,      State::kApply};

std::string with_id(SwitchoverId id) {
  return " switchover=" + std::to_string(id.value);
}

}  // namespace

Node::Node(Config config, const Durable& durable, std::span<const Rule> table)
    : table_(table), config_(std::move(config)), durable_(durable) {
  if (durable_.identity != config_.identity) {
    // Copied from another server: that the epoch exists is true for us too, the role is not ours.
    const bool was_bootstrapped = durable_.epoch > Epoch{};
    durable_.identity = config_.identity;
    durable_.role = was_bootstrapped ? Role::kStandby : Role::kNew;
    durable_.intent.reset();
    durable_.grant.reset();
    durable_.promise.reset();
    durable_.votes = false;
    if (durable_.active_node == self()) durable_.active_node.clear();
  }
  if (!durable_.active_node.empty() && durable_.active_node != self()) {
    activation_ = Activation{durable_.epoch, durable_.active_node, durable_.active_address, {}};
  }
  may_lack_ = durable_.role == Role::kStandby && durable_.epoch > Epoch{};
  meet_peers();
  actions_.reserve(16);
  was_fenced_ = fenced();
  find_rules_here();
}

std::span<Action> Node::handle(const Input& input, Time now, WallTime wall) {
  now_ = now;
  wall_ = wall;
  actions_.clear();
  // Before everything else, so that whoever gets an answer finds in the tables what it tells of.
  actions_.emplace_back(PublishView{});
  fired_.clear();
  if (state_ == State::kStopped) return {};
  if (!std::exchange(has_begun_, true) && has_voters())
    voter_.start(now_, config_.voters, config_.lease);
  watch_active_master();
  const Event event = std::visit([this](const auto& i) { return absorb(i); }, input);
  if (event != Event::kNone) fire(event);
  while (fire(Event::kAlways)) {
  }
  recover_vote();
  keep_lease();
  watch_active_master();
  keep_pace();
  expire_requests();
  if (now_ >= heartbeat_at_) {
    forget_expired_proxies();
    send_heartbeat();
    dirty_ = true;
  }
  if (!proxy_news_.empty()) send_proxy_news();
  if (fenced() != std::exchange(was_fenced_, fenced()))
    tell_operator(fenced() ? Hook::kFenceClosed : Hook::kFenceOpened);
  if (dirty_) {
    tell_all();
    dirty_ = false;
  }
  job_ = nullptr;
  std::get<PublishView>(actions_.front()).can_wait = !view_changed_;
  const bool is_view_new = view_changed_ || proxies_changed_;
  view_changed_ = proxies_changed_ = false;
  return std::span(actions_).subspan(is_view_new ? 0 : 1);
}

void Node::tell_all() {
  SendToAll all{node_state()};
  const NodeState& state = all.state;
  ToldProxies news{state.role, state.epoch,     state.activation, std::nullopt,
                   state.pace, state.confirmed, state.sql_address};
  if (state.pause) news.pause = state.pause->switchover;
  all.to_proxies = now_ >= proxies_due_ || news != told_proxies_;
  heartbeat_at_ = now_ + std::min(awaits_proxies() ? kProxyPatience : config_.heartbeat_interval,
                                  config_.peer_timeout / 3);
  if (all.to_proxies) {
    proxies_due_ = now_ + config_.proxy_heartbeat;
    told_proxies_ = std::move(news);
  }
  actions_.push_back(std::move(all));
}

// Writes are slowed in APPROACH only: from PAUSE on those that have come in shall end.
void Node::keep_pace() {
  constexpr States kSlow{State::kApproach, State::kIntent};
  const Duration pace = operation_ && kSlow.contains(state_) ? operation_->pace : Duration{0};
  if (pace == std::exchange(pace_, pace)) return;
  actions_.push_back(Pace{pace});
  dirty_ = true;  // and at the proxies, so that few wait here when traffic is to stop
}

Time Node::next_wakeup() const {
  Time next = std::min({heartbeat_at_, retry_at_, phase_deadline_, watch_wakeup()});
  if (lease_.epoch > Epoch{}) next = std::min(next, lease_.due);
  if (state_ == State::kActive) next = std::min(next, lease_lost_at());
  // What has failed, or is done but for the proxies, no deadline can hasten.
  if (operation_ && kTimed.contains(state_) && state_ != State::kResume && !operation_->failure)
    next = std::min(next, operation_->deadline);
  for (const auto& [id, request] : requests_) next = std::min(next, request.deadline);
  if (active_takes_writes())  // else a message begins it
    next = std::min(next, std::max(following_.due, may_follow_from()));
  return next;
}

// --- Inputs ---

Event Node::absorb(const ServerStarted&) {
  return Event::kServerStarted;
}

Event Node::absorb(const LinkUp& input) {
  auto& peer = peers_[input.node];
  peer.link_up = peer.was_up = true;
  peer.error.clear();
  view_changed_ = true;
  send(input.node, node_state());
  if (peer.is_witness) {
    if (is_bidding()) send_ask(input.node);
    return Event::kNone;
  }
  send_all_proxies(input.node);
  send_history(input.node);
  if (state_ == State::kGranted && durable_.grant->candidate == input.node)
    send(input.node, offer());
  if (state_ == State::kRecover) recall(input.node);
  if (is_bidding()) send_ask(input.node);
  return Event::kNone;
}

Event Node::absorb(const LinkDown& input) {
  auto& peer = peers_[input.node];
  peer.link_up = false;
  for (auto& [name, proxy] : proxies_) proxy.at.erase(input.node);
  peer.error = cut(input.error);
  view_changed_ = true;
  return Event::kNone;
}

Event Node::absorb(const FromNode& input) {
  const auto it = peers_.find(input.from);
  if (it == peers_.end()) return Event::kNone;  // not configured: it may listen, but has no say
  const bool is_vote = std::holds_alternative<NodeState>(input.message) ||
                       std::holds_alternative<AskReply>(input.message);
  if (it->second.is_witness && !is_vote) return Event::kNone;  // it has no say in anything else
  it->second.heard_at = now_;
  it->second.heard_wall = wall_;
  from_ = input.from;
  return std::visit([&](const auto& message) { return receive(input.from, message); },
                    input.message);
}

Event Node::absorb(const JobDone& input) {
  if (const auto it = errands_.find(input.id); it != errands_.end()) {
    const Errand errand = it->second;
    errands_.erase(it);
    if (errand.kind == Errand::Kind::kProbe) {
      send(errand.from, ProbeReply{errand.id, static_cast<uint32_t>(errand.number),
                                   input.error.empty(), cut(input.error)});
    } else if (errand.kind == Errand::Kind::kCompare) {
      send(errand.from, FollowReply{errand.number, cut(input.error), cut(input.text),
                                    input.facts.gtid_binlog_state});
    } else if (errand.kind == Errand::Kind::kDescribe) {
      describe_divergence(input);
    } else if (errand.kind == Errand::Kind::kPromise && input.error.empty() &&
               durable_.promise == Promise{errand.promise, errand.from}) {
      stop_receiving();
      errands_[run_aside(StopReceivingJob{durable_.active_address, member_server_ids()})] = {
          Errand::Kind::kAsk, errand.from, errand.id, errand.number, errand.promise};
    } else if (errand.kind == Errand::Kind::kPromise || errand.kind == Errand::Kind::kAsk) {
      answer_ask(errand, input.text, input.error);
    } else {
      auto rows = input.rows;
      if (!input.error.empty()) {
        rows.push_back({self(), "checks run", Verdict::kFailed, cut(input.error),
                        "see the server's error log"});
      }
      send(errand.from, CheckReply{errand.id, std::move(rows)});
    }
    return Event::kNone;
  }
  if (following_.job && input.id == *following_.job) {
    following_.job.reset();
    job_ = &input;
    return input.error.empty() ? Event::kFollowStep : Event::kFollowFailed;
  }
  if (input.id == standing_down_) standing_down_.reset();
  if (!awaited_ || input.id != *awaited_) {
    if (!input.error.empty()) log(LogLine::Level::kWarning, "error=\"" + cut(input.error) + "\"");
    return Event::kNone;
  }
  awaited_.reset();
  job_ = &input;
  if (!input.error.empty()) return Event::kJobFailed;
  if (std::holds_alternative<PersistJob>(*awaited_job_)) durable_ = next_durable_;
  if (std::holds_alternative<FenceJob>(*awaited_job_)) server_.read_only = true;
  if (std::holds_alternative<OpenWritesJob>(*awaited_job_)) server_.read_only = false;
  return Event::kJobDone;
}

Event Node::absorb(const BootstrapCommand& input) {
  requests_[input.id] = {
      now_ + config_.switchover_timeout + kAnswerMargin, {}, {input.id, self(), self(), false}};
  if (bootstrap_) {
    refuse({input.id, self(), self(), false},
           make_error(ErrorCode::kBusy, "bootstrap is running already"));
    return Event::kNone;
  }
  bootstrap_ = input.id;
  return Event::kBootstrap;
}

Event Node::absorb(const SwitchCommand& input) {
  SwitchRequest request{input.id,         input.target,   self(),
                        input.check_only, input.failover, input.forced};
  requests_[input.id] = {
      now_ + config_.switchover_timeout + config_.resume_timeout + kAnswerMargin, {}, request};
  if (!is_valid_name(input.target)) {
    refuse(request, make_error(ErrorCode::kBadName,
                               "'" + input.target.substr(0, kMaxNameLength) + "' is no node name"));
  } else if (known_epoch() == Epoch{}) {
    refuse(request, make_error(ErrorCode::kNotBootstrapped, "no active master is known here"));
  } else if (input.failover && input.target != self()) {  // the candidate directs it
    if (!knows(input.target)) {
      refuse(request, make_error(ErrorCode::kUnknownNode,
                                 "node " + input.target + " is not known to " + self()));
    } else if (!linked(input.target)) {
      refuse(request, make_error(ErrorCode::kCandidateUnreachable,
                                 "node " + input.target + " is not connected to " + self()));
    } else {
      requests_[input.id].sent_to = input.target;
      send(input.target, std::move(request));
    }
  } else if (input.failover || role() == Role::kActive || operation_) {
    request_ = request;
    return input.failover ? Event::kFailover : Event::kSwitch;
  } else if (durable_.active_node == self()) {
    refuse(request,
           make_error(ErrorCode::kBusy, std::string("this node is in state ") + to_string(state_)));
  } else if (!linked(durable_.active_node)) {
    refuse(request, make_error(ErrorCode::kDirectorUnreachable,
                               "node " + durable_.active_node + " is the active master"));
  } else {
    requests_[input.id].sent_to = durable_.active_node;
    send(durable_.active_node, std::move(request));
  }
  return Event::kNone;
}

Event Node::absorb(const CancelCommand& input) {
  const auto it = requests_.find(input.id);
  if (it == requests_.end()) return Event::kNone;
  if (!it->second.sent_to.empty()) {
    it->second.cancelled = true;
    send(it->second.sent_to, CancelRequest{input.id});
    return Event::kNone;
  }
  cancel_ = input.id;
  return Event::kCancel;
}

Event Node::absorb(const ServerStatus& input) {
  view_changed_ |=
      server_.read_only != input.read_only || server_.gtid_position != input.gtid_position;
  // A standby writes nothing of its own: what is new was written past the fence.
  const bool is_errant = state_ == State::kStandby && was_standby_ && !input.own_gtids.empty() &&
                         input.own_gtids != server_.own_gtids;
  if (is_errant)
    last_error_ = "errant write: " + cut(input.own_gtids) + " after " + cut(server_.own_gtids);
  was_standby_ = state_ == State::kStandby;
  dirty_ |= server_.semi_sync != input.semi_sync;
  server_ = input;
  if (input.sources) look_at_replication(*input.sources);
  if (is_errant) return Event::kErrantWrite;
  return !input.read_only ? Event::kWritableStandby : Event::kNone;
}

Event Node::absorb(const Reconfigured& input) {
  // Who voted by another list has made its promises to another majority.
  if (config_.voters != input.config.voters || config_.lease != input.config.lease) {
    voter_.start(now_, input.config.voters, input.config.lease);
    lease_.given.clear();
    lease_.due = now_;
  }
  config_ = input.config;
  std::erase_if(peers_, [&](const auto& peer) {
    const auto& list = peer.second.is_witness ? config_.witnesses : config_.peers;
    return std::ranges::find(list, peer.first, &NamedAddress::name) == list.end();
  });
  meet_peers();
  if (activation_ && activation_->node == self()) activation_->sql_address = config_.sql_address;
  dirty_ = view_changed_ = true;
  return Event::kNone;
}

Event Node::absorb(const Tick&) {
  return Event::kNone;
}

Event Node::absorb(const StopCommand&) {
  stopping_ = true;
  return Event::kNone;
}

// --- Messages ---

Event Node::receive(const NodeName& from, const NodeState& message) {
  auto& state = peers_[from].state;
  view_changed_ |= state.role != message.role || state.epoch != message.epoch ||
                   state.replication != message.replication || state.fenced != message.fenced ||
                   state.gtid_position != message.gtid_position ||
                   state.read_only != message.read_only;
  const bool was_confirmed = is_confirmed();
  state = message;
  state.node = from;
  // Whoever hears only this node learns through it that the active master is there.
  dirty_ |= is_confirmed() != was_confirmed;
  note_claim(peers_[from]);
  if (state_ == State::kRecover) recall(from);  // its answers get here now
  // It did not take the role, so this node has not been a standby since it granted it.
  const auto& grant = durable_.grant;
  if (grant && grant->candidate == from && message.epoch < grant->epoch) may_lack_ = false;
  hear_pause(message);
  // An epoch that is just being made durable counts: what lies below it was heard too late.
  const Epoch known = state_ == State::kActivatePersist ? next_durable_.epoch : known_epoch();
  if (!message.activation || message.activation->epoch <= known ||
      message.activation->node == self() || !is_valid_name(message.activation->node)) {
    return Event::kNone;
  }
  heard_activation_ = &*message.activation;
  return Event::kHigherActivation;
}

Event Node::receive(const NodeName& from, const SwitchRequest& message) {
  if (operation_ && operation_->report->id == message.id) return Event::kNone;
  const auto known = std::ranges::find(history_, message.id, &SwitchoverReport::id);
  if (known != history_.end()) {
    send(from, **known);  // asked again: the same answer
    return Event::kNone;
  }
  request_ = message;
  request_->requested_by = from;
  if (message.failover && message.target == self() && known_epoch() > Epoch{})
    return Event::kFailover;
  if (message.failover) {
    refuse(*request_, make_error(ErrorCode::kUnknownNode, "node " + self() + " is no candidate"));
    return Event::kNone;
  }
  if (role() == Role::kActive || operation_) return Event::kSwitch;
  refuse(*request_, make_error(ErrorCode::kDirectorUnreachable,
                               "node " + self() + " is not the active master"));
  return Event::kNone;
}

Event Node::receive(const NodeName& from, const CancelRequest& message) {
  if (!operation_ || operation_->report->id != message.id) {
    const auto known = std::ranges::find(history_, message.id, &SwitchoverReport::id);
    if (known != history_.end()) {
      send(from, **known);
    } else {  // came before its request, which will get this answer, too
      refuse({message.id, {}, from, false},
             make_error(ErrorCode::kCancelled, "the request was cancelled before it began"));
    }
    return Event::kNone;
  }
  cancel_ = message.id;
  return Event::kCancel;
}

Event Node::receive(const NodeName& from, const CheckRequest& message) {
  if (errands_.size() >= kMaxErrands) return Event::kNone;
  errands_[run_aside(CheckCandidateJob{message})] = {Errand::Kind::kCheck, from, message.id};
  return Event::kNone;
}

Event Node::receive(const NodeName& from, const CheckReply& message) {
  if (!operation_ || operation_->report->id != message.id || operation_->report->to != from)
    return Event::kNone;
  check_reply_ = &message;
  return Event::kCheckReply;
}

Event Node::receive(const NodeName& from, const Probe& message) {
  if (errands_.size() >= kMaxErrands) return Event::kNone;
  const auto timeout = std::min(message.timeout, config_.approach_timeout);
  errands_[run_aside(WaitForPositionJob{message.gtid_position, timeout})] = {
      Errand::Kind::kProbe, from, message.id, message.number};
  return Event::kNone;
}

Event Node::receive(const NodeName& from, const ProbeReply& message) {
  if (!operation_ || operation_->report->id != message.id || operation_->report->to != from ||
      operation_->probe != message.number) {
    return Event::kNone;
  }
  probe_reply_ = &message;
  return Event::kProbeReply;
}

Event Node::receive(const NodeName&, const Offer& message) {
  offered_ = &message;
  return Event::kOffer;
}

Event Node::receive(const NodeName&, const GrantRequest& message) {
  grant_request_ = &message;
  return Event::kGrantRequest;
}

Event Node::receive(const NodeName&, const Decline& message) {
  decline_ = &message;
  return Event::kDecline;
}

Event Node::receive(const NodeName& from, const SwitchoverReport& message) {
  if (operation_ && operation_->report->id == message.id)
    return Event::kNone;  // nobody knows better
  const bool is_known =
      std::ranges::find(history_, message.id, &SwitchoverReport::id) != history_.end();
  const bool is_for_all = !message.check_only &&
                          (message.result == Result::kDone || message.result == Result::kAborted);
  if (is_for_all && !is_known) {  // to those that the director does not reach
    for (const auto& [name, peer] : peers_) {
      if (peer.link_up && !peer.is_witness && name != from && name != message.from)
        send(name, message);
    }
  }
  const auto& promise = durable_.promise;
  if (is_for_all && message.failover && promise && promise->epoch == message.epoch)
    promised_at_.reset();  // it has come to nothing, or its epoch is heard of
  store(std::make_shared<SwitchoverReport>(message));
  if (message.result != Result::kRunning) answer(message.id);
  return Event::kNone;
}

// --- What rules work with ---

SwitchoverId Node::switchover() const {
  return operation_ ? operation_->report->id : offer_ ? offer_->id : SwitchoverId{};
}

// `id`: of the switchover before the rule's action, which may have been its last.
void Node::enter(State next, const Rule& rule, SwitchoverId id) {
  const State old = state_;
  const Phase old_phase = phase_of(old);
  if (operation_ && old_phase != phase_of(next) && next != State::kAsk) {
    if (old_phase != Phase::kNone) {
      operation_->report->phases.push_back({old_phase, now_ - operation_->phase_since});
    }
    operation_->phase_since = now_;
  }
  state_ = next;
  view_changed_ = true;
  if (next != old) {
    if (kFollowers.contains(next)) {
      if (!kFollowers.contains(old)) begin_following();
    } else {
      rest_from_following();
      if (role() == Role::kActive) following_ = {}, may_lack_ = false;
    }
  }
  if (next != old) {
    find_rules_here();
    since_ = wall_;
    dirty_ = true;
    retry_at_ = kNever;
    if (!kTimed.contains(next)) phase_deadline_ = kNever;
  }
  if (const auto now = switchover(); now) id = now;
  std::string message = rule.reason;
  if (operation_ && operation_->failure) message += " (" + operation_->failure.text + ")";
  auto event = std::make_shared<EventView>();
  *event = {++last_event_,   wall_,         rule.number, to_string(old),
            to_string(next), known_epoch(), id,          message};
  events_.push_back(std::move(event));
  if (events_.size() > kMaxEvents) events_.pop_front();
  if (next != old) {
    log(LogLine::Level::kNote, std::string("state=") + to_string(next) + " from=" + to_string(old) +
                                   (id ? with_id(id) : "") + " rule=" +
                                   std::to_string(rule.number) + " reason=\"" + message + "\"");
  }
}

void Node::run(Job job) {
  awaited_ = JobId{++last_job_};
  awaited_job_ = job;
  actions_.push_back(RunJob{*awaited_, std::move(job)});
}

void Node::persist(Durable next) {
  next_durable_ = next;
  run(PersistJob{std::move(next)});
}

JobId Node::run_aside(Job job) {
  const JobId id{++last_job_};
  actions_.push_back(RunJob{id, std::move(job)});
  return id;
}

void Node::cancel_job() {
  if (!awaited_) return;
  actions_.push_back(CancelJob{*awaited_});
  awaited_.reset();
}

void Node::log(LogLine::Level level, std::string text) {
  actions_.push_back(LogLine{
      level,
      "node=" + self() + " epoch=" + std::to_string(known_epoch().value) + " " + std::move(text)});
}

Role Node::role() const {
  constexpr States kNotBootstrapped{State::kNew, State::kBootstrapCheck, State::kBootstrapPersist};
  constexpr States kHolds{State::kActive,  State::kCheck, State::kApproach,     State::kIntent,
                          State::kPause,   State::kDrain, State::kFence,        State::kHandover,
                          State::kCatchUp, State::kGrant, State::kAbortPersist, State::kAbortOpen};
  if (kNotBootstrapped.contains(state_) || known_epoch() == Epoch{}) return Role::kNew;
  return kHolds.contains(state_) ? Role::kActive : Role::kStandby;
}

bool Node::fenced() const {
  constexpr States kOpen{State::kNew,    State::kBootstrapCheck, State::kBootstrapPersist,
                         State::kActive, State::kCheck,          State::kApproach,
                         State::kIntent, State::kPause,          State::kDrain};
  return !kOpen.contains(state_) && known_epoch() > Epoch{};
}

bool Node::linked(const NodeName& node) const {
  const auto it = peers_.find(node);
  return it != peers_.end() && it->second.link_up && it->second.heard_at &&
         now_ - *it->second.heard_at < config_.peer_timeout;
}

bool Node::knows(const NodeName& node) const {
  const auto it = peers_.find(node);
  return node == self() || (it != peers_.end() && !it->second.is_witness);
}

void Node::meet_peers() {
  for (const auto& peer : config_.peers) peers_[peer.name].state.node = peer.name;
  for (const auto& witness : config_.witnesses) {
    auto& peer = peers_[witness.name];
    peer.is_witness = true;
    peer.state.node = witness.name;
    peer.state.role = Role::kWitness;
  }
}

NodeState Node::node_state() const {
  NodeState state;
  state.node = self();
  state.role = role();
  state.epoch = known_epoch();
  state.activation = activation_;
  const Epoch activated = activation_ ? activation_->epoch : Epoch{};
  if (operation_ && operation_->paused_at && activated < operation_->report->epoch) {
    const auto until =
        phase_deadline_ == kNever ? now_ + config_.catch_up_timeout : phase_deadline_;
    state.pause = PauseNotice{operation_->report->id, operation_->report->epoch,
                              std::max(until - now_, Duration{0})};
  } else if (pause_ && activated < pause_->epoch) {
    state.pause =
        PauseNotice{pause_->switchover, pause_->epoch, std::max(pause_->until - now_, Duration{0})};
  }
  state.pace = pace_;
  state.confirmed = is_confirmed();
  state.replication = following_.status;
  state.replication_error = following_.error;
  if (durable_.promise) state.promise = durable_.promise->epoch;
  state.phase = phase_of(state_);
  state.sql_address = config_.sql_address;
  state.fenced = fenced() || (state.role == Role::kActive && !has_lease());
  state.read_only = server_.read_only;
  state.gtid_position = server_.gtid_position;
  state.semi_sync = state.role == Role::kActive && server_.semi_sync;
  state.server_id = config_.identity.server_id;
  state.server_version = config_.server_version;
  return state;
}

// Does the active master itself say to this node that it is?
bool Node::is_confirmed() const {
  if (!activation_ || !linked(activation_->node)) return false;
  const auto& active = peers_.at(activation_->node).state;
  return active.role == Role::kActive && active.epoch == activation_->epoch;
}

bool Node::active_takes_writes() const {
  return is_confirmed() && !peers_.at(activation_->node).state.fenced;
}

Offer Node::offer() const {
  if (durable_.grant) {
    const auto& grant = *durable_.grant;
    return {grant.id, grant.epoch, grant.candidate, grant.gtid, true, config_.catch_up_timeout};
  }
  const auto& report = *operation_->report;
  const auto remaining =
      phase_deadline_ == kNever ? config_.catch_up_timeout : phase_deadline_ - now_;
  return {report.id,        report.epoch, report.to,
          operation_->gtid, false,        std::max(remaining, Duration{0})};
}

Error Node::refusal(const SwitchRequest& request) const {
  if (!is_valid_name(request.target)) {
    return make_error(ErrorCode::kBadName,
                      "'" + request.target.substr(0, kMaxNameLength) + "' is no node name");
  }
  if (stopping_)
    return make_error(ErrorCode::kStopping, "node " + self() + " can't direct a switchover");
  if (operation_) {
    const auto& running = *operation_->report;
    return make_error(
        ErrorCode::kBusy,
        std::string(running.check_only ? "a check of node " : "a switchover to node ") +
            running.to + " (" + std::to_string(running.id.value) + ") is running");
  }
  if (request.target == self()) {
    return make_error(ErrorCode::kAlreadyActive, "node " + self() + " is the active master");
  }
  if (!knows(request.target)) {
    return make_error(ErrorCode::kUnknownNode,
                      "node " + request.target + " is not known to " + self());
  }
  if (!linked(request.target)) {
    return make_error(ErrorCode::kCandidateUnreachable,
                      "node " + request.target + " is not connected to " + self());
  }
  return {};
}

void Node::adopt(const Activation& activation) {
  following_.alone = is_failover(durable_.epoch, activation.epoch);
  if (following_.alone) note_failover();
  attempts_ = 0;
  activation_ = activation;
  durable_.role = Role::kStandby;
  durable_.epoch = activation.epoch;
  durable_.active_node = activation.node;
  durable_.active_address = activation.sql_address;
  durable_.intent.reset();
  if (durable_.grant && durable_.grant->epoch <= activation.epoch) durable_.grant.reset();
  if (durable_.promise && durable_.promise->epoch <= activation.epoch) durable_.promise.reset();
  if (pause_ && pause_->after < activation.epoch) pause_.reset();
  run_aside(PersistJob{durable_});
  begin_following();
  dirty_ = true;
}

void Node::finish(Result result, Error error) {
  auto& report = *operation_->report;
  const Phase phase = phase_of(state_);
  if (phase != Phase::kNone) report.phases.push_back({phase, now_ - operation_->phase_since});
  report.result = result;
  report.error_number = static_cast<uint32_t>(error.code);
  report.error = error ? error.text : operation_->exceptions;
  tell_outcome(report);
  const std::shared_ptr<const SwitchoverReport> finished = operation_->report;
  operation_.reset();
  phase_deadline_ = kNever;
  if (!finished->check_only) {
    done_ += result == Result::kDone ? 1 : 0;
    aborted_ += result == Result::kAborted ? 1 : 0;
    last_error_ = std::move(error.text);
  }
  std::string line = std::string("result=") + to_string(result) + with_id(finished->id) +
                     (finished->check_only ? " check=" : " to=") + finished->to;
  if (finished->write_pause)
    line += " write_pause_us=" + std::to_string(finished->write_pause->count());
  if (!finished->error.empty()) line += " error=\"" + finished->error + "\"";
  log(error ? LogLine::Level::kWarning : LogLine::Level::kNote, std::move(line));
  store(finished);
  for (const auto& [name, peer] : peers_) {
    if (peer.is_witness || !peer.link_up) continue;
    if (!finished->check_only || name == finished->requested_by) send(name, *finished);
  }
  answer(finished->id);
}

void Node::store(std::shared_ptr<const SwitchoverReport> report) {
  view_changed_ = true;
  const auto known = std::ranges::find(history_, report->id, &SwitchoverReport::id);
  if (known != history_.end()) {
    *known = std::move(report);
    return;
  }
  history_.push_back(std::move(report));
  if (history_.size() > kMaxHistory) history_.pop_front();
}

void Node::answer(SwitchoverId id) {
  if (requests_.erase(id) == 0) return;
  const auto report = std::ranges::find(history_, id, &SwitchoverReport::id);
  actions_.push_back(Answer{*report});
}

void Node::refuse(const SwitchRequest& request, const Error& error) {
  auto report = std::make_shared<SwitchoverReport>();
  report->id = request.id;
  report->check_only = request.check_only;
  report->from = durable_.active_node;
  report->to = is_valid_name(request.target) ? request.target : NodeName{};
  report->requested_by = request.requested_by;
  report->result = Result::kRefused;
  report->error_number = static_cast<uint32_t>(error.code);
  report->error = error.text;
  report->started = wall_;
  store(report);
  if (request.requested_by != self()) send(request.requested_by, *report);
  answer(request.id);
}

void Node::send_heartbeat() {
  if (state_ == State::kRecover) begin_recall();
  if (is_bidding()) ask_again();
  const bool offering =
      state_ == State::kCatchUp || state_ == State::kGrant || state_ == State::kGranted;
  if (offering && (durable_.grant || operation_)) {
    send(durable_.grant ? durable_.grant->candidate : operation_->report->to, offer());
  }
  for (const auto& [id, request] : requests_) {
    if (request.sent_to.empty()) continue;
    if (request.cancelled) {
      send(request.sent_to, CancelRequest{id});
    } else {
      send(request.sent_to, request.request);
    }
  }
  if (awaits_proxies()) ask_for_proxies();
  if (now_ < gossip_at_) return;
  gossip_at_ = now_ + config_.peer_timeout / 3;  // by then they count as gone
  for (const auto& [name, peer] : peers_) {
    if (peer.link_up && !peer.is_witness) send_all_proxies(name);
  }
}

// What a peer may have missed while it was away.
void Node::send_history(const NodeName& to) {
  const size_t skipped = history_.size() - std::min(history_.size(), kReportsForAPeer);
  for (size_t i = skipped; i < history_.size(); ++i) {
    const auto& report = *history_[i];
    if (report.check_only || (report.result != Result::kDone && report.result != Result::kAborted))
      continue;
    send(to, report);
  }
}

// A pause leads beyond the epoch that its sender knows; any other is over.
void Node::hear_pause(const NodeState& message) {
  if (!message.pause) return;
  const auto& pause = *message.pause;
  const Epoch heard = message.activation ? message.activation->epoch : Epoch{};
  if (pause.epoch <= heard || heard < known_epoch()) return;
  if (pause_ && pause_->epoch >= pause.epoch) return;
  pause_ = HeardPause{pause.switchover, pause.epoch, heard, now_ + pause.remaining};
  dirty_ = true;
}

void Node::expire_requests() {
  for (auto it = requests_.begin(); it != requests_.end();) {
    const auto& [id, request] = *it++;
    if (now_ < request.deadline) continue;
    auto report = std::make_shared<SwitchoverReport>();
    report->id = id;
    report->check_only = request.request.check_only;
    report->from = durable_.active_node;
    report->to = request.request.target;
    report->requested_by = self();
    report->result = Result::kUnknown;
    const auto error = make_error(ErrorCode::kOutcomeUnknown, "no report arrived in time");
    report->error_number = static_cast<uint32_t>(error.code);
    report->error = error.text;
    report->started = wall_;
    if (!operation_ || operation_->report->id != id) store(report);
    actions_.push_back(Answer{report});
    requests_.erase(id);
  }
}

}  // namespace active_master
