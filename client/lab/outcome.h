// Plays switchovers under load in a cluster of its own, and keeps all that is of interest
// afterwards.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "client/checker/checker.h"
#include "client/lab/cluster.h"
#include "client/lab/scenario.h"

namespace active_master::lab {

struct Spread {
  int64_t median = 0;
  int64_t min = 0;
  int64_t max = 0;
  int64_t p99 = 0;
};

// Zeros when there is no value.
[[nodiscard]] Spread spread(std::vector<int64_t> values);

struct Outcome {
  std::string machine;
  std::string versions;
  Recording recording;
  Report report;
  std::vector<SwitchoverResult> done;
  std::string via;
  int writers = 0;
  int failed = 0;  // switchovers

  // In microseconds, one for each switchover: the longest time between two acknowledged writes,
  // the pause as the plugin measured it, the whole statement.
  [[nodiscard]] std::vector<int64_t> gaps() const;
  [[nodiscard]] std::vector<int64_t> write_pauses() const;
  [[nodiscard]] std::vector<int64_t> predicted_pauses() const;  // of the same switchovers
  [[nodiscard]] std::vector<int64_t> durations() const;
  [[nodiscard]] double seconds() const;  // from the first write to the last
  [[nodiscard]] uint64_t writes_per_second() const;
};

[[nodiscard]] nlohmann::ordered_json to_json(const Spread& spread);

// Something else to do with the cluster, while nobody writes.
using Visit = std::function<void(Cluster&)>;

// Everything is stopped again when it returns.
[[nodiscard]] Outcome play(const RunOptions& options, std::ostream& progress,
                           const Visit& before = {}, const Visit& after = {});

// "12.3 ms"
[[nodiscard]] std::string milliseconds(int64_t microseconds);

}  // namespace active_master::lab
