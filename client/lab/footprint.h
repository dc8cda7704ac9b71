// What the processes of a cluster hold: threads, sockets, files, sessions, metadata locks.
#pragma once

#include <vector>

#include "client/lab/cluster.h"

namespace active_master::lab {

inline constexpr const char* kAgentName = "agent";

// Of every node that runs and of the proxy's agent.
[[nodiscard]] std::vector<Footprint> footprints(Cluster& cluster);

// Whether each process that still is the same holds no more of anything.
[[nodiscard]] bool holds_no_more(const std::vector<Footprint>& before,
                                 const std::vector<Footprint>& after);

}  // namespace active_master::lab
