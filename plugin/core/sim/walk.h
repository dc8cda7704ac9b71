// The systematic part: one fault at each place of a plain switchover where it can happen, for every
// place; and pairs of faults where there are few enough.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "plugin/core/sim/play.h"

namespace active_master::sim {

// Three nodes, three proxies, n1 active, the role asked for n2 at n3.
[[nodiscard]] Schedule plain();

struct Walk {
  uint64_t schedules = 0;
  std::map<Result, uint64_t> results;  // of the switchover
  std::vector<std::string> failures;   // explained
};

// Plays `base` with `fault` at each message, job or step (whichever it is about) of the run of
// `base` itself, and a while beyond.
[[nodiscard]] Walk walk(const Schedule& base, Fault fault);

// The same with a second fault at each place after the first; `stride` leaves places out.
[[nodiscard]] Walk walk_pairs(const Schedule& base, Fault first, Fault second, uint32_t stride);

}  // namespace active_master::sim
