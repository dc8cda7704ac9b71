// How long writes pause, with what, and against what.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "client/lab/scenario.h"

namespace active_master::lab {

struct BenchOptions {
  LabOptions lab;
  int switchovers = 100;  // of each load
  int classic_switchovers = 20;
  std::vector<std::string> only = {};  // names of loads; empty: all
  std::filesystem::path out = "bench";
};

[[nodiscard]] std::vector<std::string> bench_loads();

// Writes bench.json, bench.md, bench.svg and bench-growth.svg into the folder `out`; progress goes
// to standard output. True when nothing that must hold was violated.
[[nodiscard]] bool run_bench(const BenchOptions& options);

}  // namespace active_master::lab
