// One run, many runs, and what to do with one that failed.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "plugin/core/sim/mutants.h"
#include "plugin/core/sim/schedule.h"

namespace active_master::sim {

struct Outcome {
  std::string violation;  // empty: every invariant held
  std::vector<Result> results;
  uint64_t steps = 0;
  uint64_t messages = 0;
  uint64_t jobs = 0;
  std::vector<bool> fired;             // by number of the node's rule
  std::vector<bool> subscriber_fired;  // by number of the subscriber's rule
};

[[nodiscard]] Outcome play(const Schedule& schedule, const Mutant* mutant = nullptr,
                           std::string* trace = nullptr);

// The same failure with fewer faults, and each as short as it can be.
[[nodiscard]] Schedule shrink(Schedule schedule, const Mutant* mutant = nullptr);

// Everything about a failure: its seed, its schedule, its smallest form, and the trace of that.
[[nodiscard]] std::string explain(const Schedule& schedule, const Mutant* mutant = nullptr);

struct Tally {
  uint64_t schedules = 0;
  uint64_t steps = 0;
  std::map<std::string, uint64_t> results;
  std::vector<bool> fired;
  std::vector<bool> subscriber_fired;
  std::vector<uint64_t> failed_seeds;
  std::string first_violation;
};

// Plays the random schedules of the seeds [first, first + count) on so many threads; ends early at
// `enough` failures.
[[nodiscard]] Tally play_many(uint64_t first, uint64_t count, unsigned threads,
                              const Mutant* mutant = nullptr, size_t enough = 5);

}  // namespace active_master::sim
