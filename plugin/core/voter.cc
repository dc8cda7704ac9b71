#include "plugin/core/voter.h"

namespace active_master {

std::string Voter::give(const NodeName& holder, Epoch epoch, Duration lease, const Durable& known,
                        Time now) {
  // Whoever has lost its memory learns first who is active.
  if (known.epoch == Epoch{}) return "it knows of no active master yet";
  if (known.epoch > epoch || (known.epoch == epoch && known.active_node != holder))
    return "it knows of epoch " + std::to_string(known.epoch.value) + ", of node " +
           known.active_node;
  const auto& promise = known.promise;
  // Not for a higher epoch either: who was outbid must be promised one itself.
  if (promise && promise->epoch > known.epoch &&
      (promise->candidate != holder || promise->epoch > epoch)) {
    return "it promised epoch " + std::to_string(promise->epoch.value) + " to node " +
           promise->candidate;
  }
  // The active master hands its role over to the next epoch, and takes it back: that it has not
  // granted it, it knows itself.
  if (!is_free(now) && epoch < epoch_ && holder != known.active_node)
    return "node " + holder_ + " has its lease in epoch " + std::to_string(epoch_.value);
  bind(holder, now + lease);
  epoch_ = epoch;
  return {};
}

}  // namespace active_master
