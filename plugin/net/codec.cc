#include "plugin/net/codec.h"

#include <algorithm>

#include "client/protocol/names.h"

namespace active_master {
namespace {

using protocol::Frame;

constexpr size_t kMaxText = 4096;  // GTID sets with many domains are the longest honest texts
constexpr int kMaxRows = 256;

uint32_t to_ms(Duration d) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
  return static_cast<uint32_t>(std::clamp<int64_t>(ms, 0, UINT32_MAX));
}
Duration from_ms(uint32_t ms) {
  return std::chrono::milliseconds(ms);
}

bool is_name_or_empty(const std::string& name) {
  return name.empty() || is_valid_name(name);
}
// An epoch that a cluster reaches in its life; beyond it the next one must not wrap around.
bool is_epoch(uint64_t epoch) {
  return epoch <= UINT64_MAX / 4;
}
bool is_text(const std::string& text) {
  return text.size() <= kMaxText;
}
bool is_address(const std::string& text) {
  return text.empty() || parse_address(text).has_value();
}

// Enumerations travel by name, so that a newer peer's unknown one is seen as what it is.
template <typename Enum>
std::optional<Enum> by_name(const std::string& name, Enum last) {
  for (int i = 0; i <= static_cast<int>(last); ++i) {
    if (name == to_string(static_cast<Enum>(i))) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

protocol::Role to_wire(Role role) {
  switch (role) {
    case Role::kUnconfigured:
      return protocol::ROLE_UNCONFIGURED;
    case Role::kNew:
      return protocol::ROLE_NEW;
    case Role::kStandby:
      return protocol::ROLE_STANDBY;
    case Role::kActive:
      return protocol::ROLE_ACTIVE;
    case Role::kWitness:
      return protocol::ROLE_WITNESS;
  }
  return protocol::ROLE_UNKNOWN;
}

std::optional<Role> from_wire(protocol::Role role) {
  switch (role) {
    case protocol::ROLE_UNCONFIGURED:
      return Role::kUnconfigured;
    case protocol::ROLE_NEW:
      return Role::kNew;
    case protocol::ROLE_STANDBY:
      return Role::kStandby;
    case protocol::ROLE_ACTIVE:
      return Role::kActive;
    case protocol::ROLE_WITNESS:
      return Role::kWitness;
    default:
      return std::nullopt;
  }
}

void put(const CheckRow& from, protocol::CheckRow& to) {
  to.set_node(from.node);
  to.set_check(from.check);
  to.set_verdict(from.verdict == Verdict::kOk        ? protocol::VERDICT_OK
                 : from.verdict == Verdict::kWarning ? protocol::VERDICT_WARNING
                                                     : protocol::VERDICT_FAILED);
  to.set_detail(from.detail);
  to.set_remedy(from.remedy);
}

std::optional<CheckRow> take(const protocol::CheckRow& from) {
  if (!is_name_or_empty(from.node()) || !is_text(from.check()) || !is_text(from.detail()) ||
      !is_text(from.remedy())) {
    return std::nullopt;
  }
  // What is not known to be good counts as failed.
  const auto verdict = from.verdict() == protocol::VERDICT_OK        ? Verdict::kOk
                       : from.verdict() == protocol::VERDICT_WARNING ? Verdict::kWarning
                                                                     : Verdict::kFailed;
  return CheckRow{from.node(), from.check(), verdict, from.detail(), from.remedy()};
}

template <typename Rows>
bool take_rows(const Rows& from, std::vector<CheckRow>& to) {
  if (from.size() > kMaxRows) return false;
  for (const auto& row : from) {
    auto taken = take(row);
    if (!taken) return false;
    to.push_back(std::move(*taken));
  }
  return true;
}

// --- out: one overload per message ---

void put(const NodeState& from, Frame& frame) {
  auto& to = *frame.mutable_node_state();
  to.set_node(from.node);
  to.set_role(to_wire(from.role));
  to.set_epoch(from.epoch.value);
  if (from.activation) {
    auto& activation = *to.mutable_activation();
    activation.set_epoch(from.activation->epoch.value);
    activation.set_node(from.activation->node);
    activation.set_sql_address(from.activation->sql_address);
    activation.set_switchover_id(from.activation->switchover.value);
  }
  if (from.pause) {
    auto& pause = *to.mutable_pause();
    pause.set_switchover_id(from.pause->switchover.value);
    pause.set_epoch(from.pause->epoch.value);
    pause.set_remaining_ms(to_ms(from.pause->remaining));
  }
  to.set_phase(to_string(from.phase));
  to.set_sql_address(from.sql_address);
  to.set_fenced(from.fenced);
  to.set_read_only(from.read_only);
  to.set_gtid_position(from.gtid_position);
  to.set_server_id(from.server_id);
  to.set_server_version(from.server_version);
  to.set_confirmed(from.confirmed);
  to.set_replication(to_string(from.replication));
  to.set_replication_error(from.replication_error);
  to.set_promise(from.promise.value);
  to.set_semi_sync(from.semi_sync);
  to.set_pace_us(static_cast<uint32_t>(from.pace.count()));
}

void put(const Ask& from, Frame& frame) {
  auto& to = *frame.mutable_ask();
  to.set_switchover_id(from.id.value);
  to.set_round(from.round);
  to.set_epoch(from.epoch.value);
  to.set_binding(from.binding);
  to.set_lease_us(static_cast<uint64_t>(from.lease.count()));
  to.set_voters(from.voters);
}

void put(const AskReply& from, Frame& frame) {
  auto& to = *frame.mutable_ask_reply();
  to.set_switchover_id(from.id.value);
  to.set_round(from.round);
  to.set_promised(from.promised);
  to.set_refusal(from.refusal);
  to.set_epoch(from.epoch.value);
  to.set_promise(from.promise.value);
  to.set_bids(from.bids);
  to.set_alive(from.alive);
  to.set_gtids(from.gtids);
  to.set_may_lack(from.may_lack);
}

void put(const FollowRequest& from, Frame& frame) {
  auto& to = *frame.mutable_follow_request();
  to.set_number(from.number);
  to.set_gtids(from.gtids);
}

void put(const FollowReply& from, Frame& frame) {
  auto& to = *frame.mutable_follow_reply();
  to.set_number(from.number);
  to.set_error(from.error);
  to.set_errant(from.errant);
  to.set_position(from.position);
}

void put(const ProxyNews& from, Frame& frame) {
  auto& to = *frame.mutable_proxy_news();
  for (const auto& entry : from.proxies) {
    auto& row = *to.add_proxies();
    auto& state = *row.mutable_state();
    state.set_proxy(entry.state.proxy);
    state.set_holding(entry.state.holding);
    state.set_switchover_id(entry.state.switchover.value);
    state.set_epoch(entry.state.epoch.value);
    state.set_node(entry.state.node);
    state.set_driver(entry.state.driver);
    state.set_last_error(entry.state.last_error);
    state.set_incarnation(entry.state.incarnation);
    state.set_sequence(entry.state.sequence);
    row.set_ip(entry.ip);
    row.set_age_ms(to_ms(entry.age));
    row.set_connected(entry.connected);
    row.set_lost(entry.lost);
  }
}

void put(const SwitchRequest& from, Frame& frame) {
  auto& to = *frame.mutable_switch_request();
  to.set_switchover_id(from.id.value);
  to.set_target(from.target);
  to.set_requested_by(from.requested_by);
  to.set_check_only(from.check_only);
  to.set_failover(from.failover);
  to.set_forced(from.forced);
}

void put(const CancelRequest& from, Frame& frame) {
  frame.mutable_cancel_request()->set_switchover_id(from.id.value);
}

void put(const CheckRequest& from, Frame& frame) {
  auto& to = *frame.mutable_check_request();
  to.set_switchover_id(from.id.value);
  to.set_server_id(from.server_id);
  to.set_server_version(from.server_version);
  to.set_gtid_binlog_state(from.gtid_binlog_state);
  to.set_newest_event(from.newest_event.value);
}

void put(const CheckReply& from, Frame& frame) {
  auto& to = *frame.mutable_check_reply();
  to.set_switchover_id(from.id.value);
  for (const auto& row : from.rows) put(row, *to.add_rows());
}

void put(const Probe& from, Frame& frame) {
  auto& to = *frame.mutable_probe();
  to.set_switchover_id(from.id.value);
  to.set_number(from.number);
  to.set_gtid_position(from.gtid_position);
  to.set_timeout_ms(to_ms(from.timeout));
}

void put(const ProbeReply& from, Frame& frame) {
  auto& to = *frame.mutable_probe_reply();
  to.set_switchover_id(from.id.value);
  to.set_number(from.number);
  to.set_reached(from.reached);
  to.set_error(from.error);
}

void put(const Offer& from, Frame& frame) {
  auto& to = *frame.mutable_offer();
  to.set_switchover_id(from.id.value);
  to.set_epoch(from.epoch.value);
  to.set_candidate(from.candidate);
  to.set_gtid(from.gtid);
  to.set_granted(from.granted);
  to.set_remaining_ms(to_ms(from.remaining));
}

void put(const GrantRequest& from, Frame& frame) {
  auto& to = *frame.mutable_grant_request();
  to.set_switchover_id(from.id.value);
  to.set_epoch(from.epoch.value);
}

void put(const Decline& from, Frame& frame) {
  auto& to = *frame.mutable_decline();
  to.set_switchover_id(from.id.value);
  to.set_epoch(from.epoch.value);
  to.set_error(from.error);
}

void put(const SwitchoverReport& from, Frame& frame) {
  auto& to = *frame.mutable_switchover_report();
  to.set_switchover_id(from.id.value);
  to.set_check_only(from.check_only);
  to.set_failover(from.failover);
  to.set_epoch(from.epoch.value);
  to.set_from_node(from.from);
  to.set_to_node(from.to);
  to.set_requested_by(from.requested_by);
  to.set_result(to_string(from.result));
  to.set_error_number(from.error_number);
  to.set_error(from.error);
  for (const auto& [phase, duration] : from.phases) {
    auto& row = *to.add_phases();
    row.set_phase(to_string(phase));
    row.set_microseconds(static_cast<uint64_t>(duration.count()));
  }
  for (const auto& row : from.checks) put(row, *to.add_checks());
  to.set_started_unix_us(from.started);
  if (from.write_pause) to.set_write_pause_us(static_cast<uint64_t>(from.write_pause->count()));
  if (from.predicted_pause)
    to.set_predicted_pause_us(static_cast<uint64_t>(from.predicted_pause->count()));
}

// --- in ---

std::optional<NodeMessage> take(const protocol::NodeState& from) {
  NodeState to;
  const auto role = from_wire(from.role());
  const auto phase = by_name(from.phase(), Phase::kDone);
  const auto replication = by_name(from.replication(), Replication::kDiverged);
  if (!role || !phase || !replication || !is_text(from.replication_error()) ||
      !is_name_or_empty(from.node()) || !is_address(from.sql_address()) ||
      !is_text(from.gtid_position()) || !is_text(from.server_version()) ||
      !is_epoch(from.epoch()) || (from.has_activation() && !is_epoch(from.activation().epoch())) ||
      (from.has_pause() && !is_epoch(from.pause().epoch()))) {
    return std::nullopt;
  }
  to.node = from.node();
  to.role = *role;
  to.epoch = {from.epoch()};
  if (from.has_activation()) {
    const auto& activation = from.activation();
    if (!is_valid_name(activation.node()) || !is_address(activation.sql_address()))
      return std::nullopt;
    to.activation = Activation{{activation.epoch()},
                               activation.node(),
                               activation.sql_address(),
                               {activation.switchover_id()}};
  }
  if (from.has_pause()) {
    to.pause = PauseNotice{{from.pause().switchover_id()},
                           {from.pause().epoch()},
                           from_ms(from.pause().remaining_ms())};
  }
  to.phase = *phase;
  to.sql_address = from.sql_address();
  to.fenced = from.fenced();
  to.read_only = from.read_only();
  to.gtid_position = from.gtid_position();
  to.server_id = from.server_id();
  to.server_version = from.server_version();
  to.confirmed = from.confirmed();
  to.replication = *replication;
  to.replication_error = from.replication_error();
  if (!is_epoch(from.promise())) return std::nullopt;
  to.promise = {from.promise()};
  to.semi_sync = from.semi_sync();
  to.pace = Duration(from.pace_us());
  return to;
}

std::optional<ProxyState> take(const protocol::ProxyState& from) {
  if (!is_name_or_empty(from.node()) || !is_text(from.last_error()) ||
      from.driver().size() > kMaxNameLength) {
    return std::nullopt;
  }
  return ProxyState{from.proxy(),      from.holding(),     {from.switchover_id()},
                    {from.epoch()},    from.node(),        from.driver(),
                    from.last_error(), from.incarnation(), from.sequence()};
}

std::optional<NodeMessage> take(const protocol::ProxyNews& from) {
  ProxyNews to;
  for (const auto& row : from.proxies()) {
    auto state = take(row.state());
    if (!state || !is_valid_name(row.state().proxy()) || row.ip().size() > kMaxNameLength)
      return std::nullopt;
    to.proxies.push_back(
        {std::move(*state), row.ip(), from_ms(row.age_ms()), row.connected(), row.lost()});
  }
  return to;
}

std::optional<NodeMessage> take(const protocol::SwitchRequest& from) {
  // The target is checked by the core, which knows how to refuse it.
  if (from.switchover_id() == 0 || !is_text(from.target()) ||
      !is_name_or_empty(from.requested_by())) {
    return std::nullopt;
  }
  return SwitchRequest{{from.switchover_id()}, from.target(),   from.requested_by(),
                       from.check_only(),      from.failover(), from.forced()};
}

std::optional<NodeMessage> take(const protocol::CheckRequest& from) {
  if (!is_text(from.server_version()) || !is_text(from.gtid_binlog_state())) return std::nullopt;
  return CheckRequest{{from.switchover_id()},
                      from.server_id(),
                      from.server_version(),
                      from.gtid_binlog_state(),
                      {from.newest_event()}};
}

std::optional<NodeMessage> take(const protocol::CheckReply& from) {
  CheckReply to{{from.switchover_id()}, {}};
  if (!take_rows(from.rows(), to.rows)) return std::nullopt;
  return to;
}

std::optional<NodeMessage> take(const protocol::Probe& from) {
  if (!is_text(from.gtid_position())) return std::nullopt;
  return Probe{
      {from.switchover_id()}, from.number(), from.gtid_position(), from_ms(from.timeout_ms())};
}

std::optional<NodeMessage> take(const protocol::ProbeReply& from) {
  if (!is_text(from.error())) return std::nullopt;
  return ProbeReply{{from.switchover_id()}, from.number(), from.reached(), from.error()};
}

std::optional<NodeMessage> take(const protocol::FollowRequest& from) {
  if (!is_text(from.gtids())) return std::nullopt;
  return FollowRequest{from.number(), from.gtids()};
}

std::optional<NodeMessage> take(const protocol::FollowReply& from) {
  if (!is_text(from.error()) || !is_text(from.errant()) || !is_text(from.position()))
    return std::nullopt;
  return FollowReply{from.number(), from.error(), from.errant(), from.position()};
}

std::optional<NodeMessage> take(const protocol::Ask& from) {
  constexpr uint64_t kLongestLease = 600'000'000;
  if (!is_epoch(from.epoch()) || !is_text(from.voters()) || from.lease_us() > kLongestLease)
    return std::nullopt;
  return Ask{{from.switchover_id()},
             from.round(),
             {from.epoch()},
             from.binding(),
             Duration{static_cast<Duration::rep>(from.lease_us())},
             from.voters()};
}

std::optional<NodeMessage> take(const protocol::AskReply& from) {
  if (!is_text(from.refusal()) || !is_text(from.gtids()) || !is_epoch(from.epoch()) ||
      !is_epoch(from.promise())) {
    return std::nullopt;
  }
  return AskReply{{from.switchover_id()}, from.round(),     from.promised(), from.refusal(),
                  {from.epoch()},         {from.promise()}, from.bids(),     from.alive(),
                  from.gtids(),           from.may_lack()};
}

std::optional<NodeMessage> take(const protocol::Offer& from) {
  if (!is_valid_name(from.candidate()) || !is_text(from.gtid()) || !is_epoch(from.epoch()))
    return std::nullopt;
  return Offer{{from.switchover_id()}, {from.epoch()},
               from.candidate(),       from.gtid(),
               from.granted(),         from_ms(from.remaining_ms())};
}

std::optional<NodeMessage> take(const protocol::Decline& from) {
  if (!is_text(from.error())) return std::nullopt;
  return Decline{{from.switchover_id()}, {from.epoch()}, from.error()};
}

std::optional<NodeMessage> take(const protocol::SwitchoverReport& from) {
  SwitchoverReport to;
  const auto result = by_name(from.result(), Result::kUnknown);
  if (!result || from.switchover_id() == 0 || !is_name_or_empty(from.from_node()) ||
      !is_name_or_empty(from.to_node()) || !is_name_or_empty(from.requested_by()) ||
      !is_text(from.error()) || from.phases_size() > kMaxRows) {
    return std::nullopt;
  }
  to.id = {from.switchover_id()};
  to.check_only = from.check_only();
  to.failover = from.failover();
  to.epoch = {from.epoch()};
  to.from = from.from_node();
  to.to = from.to_node();
  to.requested_by = from.requested_by();
  to.result = *result;
  to.error_number = from.error_number();
  to.error = from.error();
  for (const auto& row : from.phases()) {
    const auto phase = by_name(row.phase(), Phase::kDone);
    if (!phase || row.microseconds() > INT64_MAX) return std::nullopt;
    to.phases.push_back({*phase, Duration(static_cast<int64_t>(row.microseconds()))});
  }
  if (!take_rows(from.checks(), to.checks)) return std::nullopt;
  to.started = from.started_unix_us();
  if (from.write_pause_us() > INT64_MAX || from.predicted_pause_us() > INT64_MAX)
    return std::nullopt;
  if (from.write_pause_us() > 0)
    to.write_pause = Duration(static_cast<int64_t>(from.write_pause_us()));
  if (from.predicted_pause_us() > 0)
    to.predicted_pause = Duration(static_cast<int64_t>(from.predicted_pause_us()));
  return to;
}

}  // namespace

Frame to_wire(const NodeMessage& message) {
  Frame frame;
  std::visit([&](const auto& m) { put(m, frame); }, message);
  return frame;
}

Frame to_wire(const NodeState& state) {
  Frame frame;
  put(state, frame);
  return frame;
}

std::optional<NodeMessage> node_message_from_wire(const Frame& frame) {
  switch (frame.body_case()) {
    case Frame::kNodeState:
      return take(frame.node_state());
    case Frame::kSwitchRequest:
      return take(frame.switch_request());
    case Frame::kCancelRequest:
      return CancelRequest{{frame.cancel_request().switchover_id()}};
    case Frame::kCheckRequest:
      return take(frame.check_request());
    case Frame::kCheckReply:
      return take(frame.check_reply());
    case Frame::kProbe:
      return take(frame.probe());
    case Frame::kProbeReply:
      return take(frame.probe_reply());
    case Frame::kOffer:
      return take(frame.offer());
    case Frame::kGrantRequest:
      return GrantRequest{{frame.grant_request().switchover_id()}, {frame.grant_request().epoch()}};
    case Frame::kDecline:
      return take(frame.decline());
    case Frame::kSwitchoverReport:
      return take(frame.switchover_report());
    case Frame::kFollowRequest:
      return take(frame.follow_request());
    case Frame::kFollowReply:
      return take(frame.follow_reply());
    case Frame::kAsk:
      return take(frame.ask());
    case Frame::kAskReply:
      return take(frame.ask_reply());
    case Frame::kProxyNews:
      return take(frame.proxy_news());
    default:
      return std::nullopt;
  }
}

std::optional<ProxyState> proxy_state_from_wire(const Frame& frame) {
  if (frame.body_case() != Frame::kProxyState) return std::nullopt;
  return take(frame.proxy_state());
}

}  // namespace active_master
