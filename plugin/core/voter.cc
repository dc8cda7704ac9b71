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
  if (promise &&
      (promise->epoch > epoch || (promise->epoch == epoch && promise->candidate != holder))) {
    return "it promised epoch " + std::to_string(promise->epoch.value) + " to node " +
           promise->candidate;
  }
  bind(holder, now + lease);
  return {};
}

}  // namespace active_master
