// The table of rules in words and as a diagram, and what no rule takes, with the reason.
#include <map>

#include "plugin/core/rules.h"

namespace active_master {
namespace {

using S = State;
using E = Event;

constexpr States kAll = [] {
  States all;
  all.bits = (uint64_t{1} << kStateCount) - 1;
  return all;
}();
constexpr States operator-(States all, States some) {
  all.bits &= ~some.bits;
  return all;
}

constexpr States kBeforeTheGrant{S::kCheck, S::kApproach, S::kIntent,   S::kPause,
                                 S::kDrain, S::kFence,    S::kHandover, S::kCatchUp};
constexpr States kAborting{S::kAbortPersist, S::kAbortOpen};
constexpr States kActivating{S::kActivatePersist, S::kActivateOpen};
constexpr States kBootstrapping{S::kNew, S::kBootstrapCheck, S::kBootstrapPersist};
constexpr States kCandidate = States(S::kFollow, S::kRequest) | kActivating;
constexpr States kFailover{S::kRecover, S::kAsk, S::kBid, S::kApply};
constexpr States kNothingAwaited{S::kStart,   S::kNew,     S::kStandby, S::kActive,
                                 S::kGranted, S::kRequest, S::kResume,  S::kStopped};

const Ignored kIgnored[] = {
    {E::kServerStarted, kAll - States(S::kStart), "it comes once, at the start"},
    {E::kBootstrap, States(S::kStopped), "the plugin is gone"},
    {E::kSwitch,
     kBootstrapping | States(S::kFollow, S::kRequest, S::kStart, S::kRecover, S::kReopen,
                             S::kStandby, S::kStopped),
     "not the active master: the statement was passed on, or refused, before the rules see it"},
    {E::kCancel, States(S::kGrant, S::kGranted, S::kResume),
     "too late: only the candidate can go on"},
    {E::kCancel, kAborting, "it is being undone already"},
    {E::kCancel,
     kBootstrapping | kCandidate |
         States(S::kStart, S::kRecover, S::kReopen, S::kStandby, S::kActive, S::kStopped),
     "no switchover is directed here"},
    {E::kJobDone, kNothingAwaited | States(S::kPause, S::kCatchUp), "no job is awaited"},
    {E::kJobFailed, kNothingAwaited, "no job is awaited"},
    {E::kHigherActivation, States(S::kStart),
     "what is durable is looked at first; news are repeated"},
    {E::kHigherActivation, States(S::kStopped), "the plugin is gone"},
    {E::kOffer, kActivating, "it was taken already"},
    {E::kOffer,
     kBootstrapping | kBeforeTheGrant | kAborting | (kFailover - States(S::kRecover)) |
         States(S::kStart, S::kReopen, S::kActive, S::kGrant, S::kGranted, S::kResume, S::kStopped),
     "only a standby can take the role; an offer is repeated"},
    {E::kGrantRequest, kBeforeTheGrant - States(S::kCatchUp),
     "of an earlier offer: this activation tells the sender that it is over"},
    {E::kGrantRequest, States(S::kGrant), "the answer is sent when it is durable"},
    {E::kGrantRequest,
     kBootstrapping | kCandidate | kFailover | States(S::kStart, S::kReopen, S::kStopped),
     "this node offers nothing; the question is repeated"},
    {E::kDecline, kAll - States(S::kCatchUp), "no offer of this node is open"},
    {E::kCheckReply, kAll - States(S::kCheck), "nothing was asked, or it comes too late"},
    {E::kProbeReply, kAll - States(S::kApproach), "nothing was asked, or it comes too late"},
    {E::kErrantWrite, kAll - States(S::kStandby), "only looked for on a standby"},
    {E::kRejoin, States(S::kStopped), "the plugin is gone"},
    {E::kFollowStep, kAll - kFollowers, "it was cancelled"},
    {E::kFollowFailed, kAll - kFollowers, "it was cancelled"},
    {E::kFollowReply, kAll - kFollowers, "nothing was asked, or it comes too late"},
    {E::kFailover, States(S::kStopped), "the plugin is gone"},
    {E::kAsk, States(S::kStopped), "the plugin is gone"},
    {E::kWritableStandby, kAll - States(S::kStandby),
     "writes are open here, or this node is about to change read_only itself"},
};

std::string names(States states) {
  std::string text;
  for (int i = 0; i < kStateCount; ++i) {
    const auto state = static_cast<State>(i);
    if (states.contains(state)) text += (text.empty() ? "" : ", ") + std::string(to_string(state));
  }
  return text;
}

}  // namespace

std::span<const Ignored> ignored() {
  return kIgnored;
}

std::string rules_as_markdown() {
  std::string text =
      "| rule | state | on | when | then | next state | why |\n"
      "| --- | --- | --- | --- | --- | --- | --- |\n";
  for (const auto& rule : rules()) {
    text += "| " + std::to_string(rule.number) + " | " + names(rule.from) + " | " +
            to_string(rule.on) + " | " + rule.when + " | " + rule.then + " | " +
            (rule.stays ? "(same)" : to_string(rule.to)) + " | " + rule.reason + " |\n";
  }
  return text;
}

std::string ignored_as_markdown() {
  std::string text = "| on | ignored in | because |\n| --- | --- | --- |\n";
  for (const auto& row : ignored()) {
    text +=
        std::string("| ") + to_string(row.on) + " | " + names(row.in) + " | " + row.why + " |\n";
  }
  return text;
}

// What leads everywhere from nearly everywhere would only hide the rest.
std::string rules_as_mermaid() {
  std::map<std::pair<State, State>, std::string> arrows;
  for (const auto& rule : rules()) {
    if (rule.stays || rule.to == S::kStopped || rule.number == 503) continue;
    for (int i = 0; i < kStateCount; ++i) {
      const auto from = static_cast<State>(i);
      if (!rule.from.contains(from) || from == rule.to) continue;
      auto& label = arrows[{from, rule.to}];
      label += (label.empty() ? "" : ", ") + std::to_string(rule.number);
    }
  }
  std::string text = "```mermaid\nstateDiagram-v2\n  [*] --> START\n";
  for (const auto& [arrow, label] : arrows) {
    text += std::string("  ") + to_string(arrow.first) + " --> " + to_string(arrow.second) + ": " +
            label + "\n";
  }
  return text + "```\n";
}

}  // namespace active_master
