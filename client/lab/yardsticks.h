// What a write pause is held against, measured on the same cluster.
#pragma once

#include <cstdint>
#include <vector>

#include "client/lab/cluster.h"
#include "client/lab/workload.h"

namespace active_master::lab {

// One client's commits on the idle active master: from the statement until the last standby has
// applied it. In microseconds, like all below.
[[nodiscard]] std::vector<int64_t> replicated_commits(Cluster& cluster, int count);

// One message to a node's plugin and its answer.
[[nodiscard]] std::vector<int64_t> message_round_trips(const Cluster& cluster, int count);

// What people script without the plugin, through the cluster's HAProxy, whatever the load goes
// through: read_only on, wait for the GTID on the other node, read_only off there, another address
// in HAProxy, whose old connections are closed. Ends the agent and uninstalls the plugin.
struct ClassicSwitchovers {
  std::vector<int64_t> gaps;  // between two acknowledged writes over all clients
  uint64_t errors = 0;        // that clients saw
};
[[nodiscard]] ClassicSwitchovers classic_switchovers(Cluster& cluster, WorkloadOptions load,
                                                     int count);

}  // namespace active_master::lab
