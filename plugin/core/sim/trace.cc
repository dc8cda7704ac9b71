#include "plugin/core/sim/trace.h"

#include <array>

namespace active_master::sim {
namespace {

std::string number(uint64_t value) {
  return std::to_string(value);
}

std::string say(const NodeState& m) {
  std::string text = std::string("NodeState ") + to_string(m.role) + " " + number(m.epoch.value);
  if (m.activation)
    text += " activation " + number(m.activation->epoch.value) + "@" + m.activation->node;
  text += std::string(" ") + to_string(m.replication);
  if (m.pause) text += " pause " + number(m.pause->epoch.value);
  return text;
}
std::string say(const ProxyState& m) {
  return m.proxy + (m.holding ? " holds for " + number(m.switchover.value) : " does not hold") +
         ", opened " + number(m.epoch.value);
}
std::string say(const SwitchRequest& m) {
  return "SwitchRequest " + number(m.id.value) + " target " + m.target +
         (m.failover ? " failover" : "") + (m.forced ? " forced" : "") +
         (m.check_only ? " check" : "");
}
std::string say(const CancelRequest& m) {
  return "CancelRequest " + number(m.id.value);
}
std::string say(const CheckRequest& m) {
  return "CheckRequest " + number(m.id.value);
}
std::string say(const CheckReply& m) {
  return "CheckReply " + number(m.id.value) + " rows " + number(m.rows.size());
}
std::string say(const Probe& m) {
  return "Probe " + number(m.id.value) + "/" + number(m.number);
}
std::string say(const ProbeReply& m) {
  return "ProbeReply " + number(m.id.value) + "/" + number(m.number) + (m.reached ? " ok" : " no");
}
std::string say(const Offer& m) {
  return "Offer " + number(m.id.value) + " epoch " + number(m.epoch.value) + " to " + m.candidate +
         (m.granted ? " granted" : "");
}
std::string say(const GrantRequest& m) {
  return "GrantRequest " + number(m.id.value) + " epoch " + number(m.epoch.value);
}
std::string say(const FollowRequest& m) {
  return "FollowRequest " + number(m.number);
}
std::string say(const FollowReply& m) {
  return "FollowReply " + number(m.number) + (m.errant.empty() ? "" : " errant") + m.error;
}
std::string say(const Ask& m) {
  return "Ask " + number(m.id.value) + "/" + number(m.round % 1000) + " epoch " +
         number(m.epoch.value) + (m.binding ? " binding" : "");
}
std::string say(const AskReply& m) {
  return "AskReply " + number(m.id.value) + "/" + number(m.round % 1000) +
         (m.promised ? " promised" : "") + (m.bids ? " bids" : "") + (m.alive ? " alive" : "") +
         " epoch " + number(m.epoch.value) + " " + m.gtids + " " + m.refusal;
}
std::string say(const Decline& m) {
  return "Decline " + number(m.id.value) + ": " + m.error;
}
std::string say(const ProxyNews& m) {
  std::string text = "ProxyNews";
  for (const auto& entry : m.proxies)
    text += " [" + say(entry.state) + (entry.lost ? ", lost]" : "]");
  return text;
}
std::string say(const SwitchoverReport& m) {
  return "SwitchoverReport " + number(m.id.value) + " " + to_string(m.result);
}

}  // namespace

std::string describe(const Input& input) {
  if (const auto* proxy = std::get_if<ProxyState>(&input)) return say(*proxy);
  const auto& [from, message] = std::get<FromNode>(input);
  return from + " " + std::visit([](const auto& m) { return say(m); }, message);
}

}  // namespace active_master::sim
