#include "plugin/core/voter.h"

namespace active_master {

namespace {

std::string in_ms(Duration d) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(d).count()) + " ms";
}

std::string described(const Promise& promise) {
  return "it promised epoch " + std::to_string(promise.epoch.value) +
         (promise.candidate.empty() ? ", before it lost its state file"
                                    : " to node " + promise.candidate);
}

constexpr const char* kNoMemory = "it has no state file yet, and must hear every node first";

}  // namespace

void Voter::start(Time now, const std::vector<NodeName>& voters, Duration lease) {
  voters_.clear();
  for (const auto& name : voters) voters_ += (voters_.empty() ? "" : ",") + name;
  bind("whoever had it before this start", now + std::max(lease_, lease));
  lease_ = lease;
}

std::string Voter::refusal(const NodeName& holder, const Ask& ask, const Durable& known,
                           Time now) const {
  if (ask.voters != voters_) return cut("its active_master_voters is '" + voters_ + "'");
  // After a restart it waits for its own.
  if (ask.lease != lease_) return "its active_master_lease is " + in_ms(lease_);
  if (!known.votes) return kNoMemory;
  if (known.epoch == Epoch{}) return "it knows of no active master yet";
  if (known.epoch > ask.epoch || (known.epoch == ask.epoch && known.active_node != holder))
    return "it knows of epoch " + std::to_string(known.epoch.value) + ", of node " +
           known.active_node;
  const auto& promise = known.promise;
  // Not for a higher epoch either: who was outbid must be promised one itself.
  if (promise && promise->epoch > known.epoch &&
      (promise->candidate != holder || promise->epoch > ask.epoch)) {
    return described(*promise);
  }
  // The active master hands its role over to the next epoch, and takes it back: that it has not
  // granted it, it knows itself.
  if (!is_free(now) && ask.epoch < epoch_ && holder != known.active_node)
    return "node " + holder_ + " has its lease in epoch " + std::to_string(epoch_.value);
  return {};
}

std::string Voter::give(const NodeName& holder, const Ask& ask, const Durable& known, Time now) {
  auto reason = refusal(holder, ask, known, now);
  if (!reason.empty()) return reason;
  bind(holder, now + ask.lease);
  epoch_ = ask.epoch;
  return {};
}

AskReply Voter::answer(const NodeName& holder, const Ask& ask, const Durable& known, Time now) {
  AskReply reply;
  reply.round = ask.round;
  reply.epoch = ask.epoch;
  reply.refusal = give(holder, ask, known, now);
  reply.promised = reply.refusal.empty();
  if (known.promise) reply.promise = known.promise->epoch;
  return reply;
}

std::string Voter::why_bound(const Durable& known, Time now) const {
  if (!known.votes) return kNoMemory;
  return is_free(now) ? "" : "it gave the lease to " + holder_;
}

std::string why_no_promise(Epoch epoch, const NodeName& candidate, const Durable& known) {
  if (epoch <= known.epoch)
    return "it knows of epoch " + std::to_string(known.epoch.value) + ", of node " +
           known.active_node;
  const auto& promise = known.promise;
  const bool is_below = promise && (promise->epoch > epoch ||
                                    (promise->epoch == epoch && promise->candidate != candidate));
  return is_below ? described(*promise) : "";
}

Promise promise_of(const NodeState& node) {
  const Epoch activated = node.activation ? node.activation->epoch : Epoch{};
  if (node.epoch > activated && node.epoch >= node.promise) return {node.epoch, node.node};
  return {node.promise, {}};
}

void gain_vote(Durable& durable, const Promise& highest) {
  durable.votes = true;
  const Epoch own = durable.promise ? durable.promise->epoch : Epoch{};
  if (highest.epoch > std::max(durable.epoch, own)) durable.promise = highest;
}

}  // namespace active_master
