// What the operator's program is told.
#include <utility>

#include "plugin/core/node.h"

namespace active_master {

const char* to_string(Hook hook) {
  switch (hook) {
    case Hook::kSwitchoverStart:
      return "switchover-start";
    case Hook::kSwitchoverDone:
      return "switchover-done";
    case Hook::kSwitchoverAborted:
      return "switchover-aborted";
    case Hook::kFailover:
      return "failover";
    case Hook::kFailoverDone:
      return "failover-done";
    case Hook::kFailoverAborted:
      return "failover-aborted";
    case Hook::kConflict:
      return "conflict";
    case Hook::kDiverged:
      return "diverged";
    case Hook::kFenceClosed:
      return "fence-closed";
    case Hook::kFenceOpened:
      return "fence-opened";
  }
  return "?";
}

HookJob Node::hook_job(Hook hook, std::string text) const {
  HookJob job{config_.hook, config_.hook_timeout, hook, config_.identity, known_epoch(),
              switchover(), durable_.active_node, {},   std::move(text)};
  if (operation_) {
    const auto& report = *operation_->report;
    job.from = report.from;
    job.to = report.to;
    if (report.epoch > job.epoch) job.epoch = report.epoch;
  }
  return job;
}

void Node::tell_operator(Hook hook, std::string text) {
  if (!config_.hook.empty()) run_aside(hook_job(hook, std::move(text)));
}

// Of one that was only refused there was no start either.
void Node::tell_outcome(const SwitchoverReport& report) {
  if (report.check_only || report.result == Result::kRefused) return;
  const bool is_done = report.result == Result::kDone;
  if (report.failover) {
    tell_operator(is_done ? Hook::kFailoverDone : Hook::kFailoverAborted, report.error);
  } else {
    tell_operator(is_done ? Hook::kSwitchoverDone : Hook::kSwitchoverAborted, report.error);
  }
}

// That another node was made active above it, it hears from this one and stands down. Once it may
// have been said before that.
void Node::note_claim(Peer& peer) {
  const auto& state = peer.state;
  const bool is_wrong = state.role == Role::kActive && state.epoch <= known_epoch() &&
                        !durable_.active_node.empty() && state.node != durable_.active_node;
  const bool was_conflict = peer.claims > 1;
  peer.claims = is_wrong ? peer.claims + 1 : 0;
  if (was_conflict == (peer.claims > 1)) return;
  view_changed_ = true;
  peer.error = peer.claims > 1
                   ? "it says that it is the active master of epoch " +
                         std::to_string(state.epoch.value) + ", but " + durable_.active_node +
                         " is, of epoch " + std::to_string(known_epoch().value)
                   : "";
  if (peer.error.empty()) return;
  log(LogLine::Level::kError, "conflict peer=" + state.node + " error=\"" + peer.error + "\"");
  tell_operator(Hook::kConflict, state.node + ": " + peer.error);
}

}  // namespace active_master
