// How switchovers and idle nodes fare with many subscribers.
#pragma once

#include <filesystem>
#include <vector>

#include "client/lab/scenario.h"

namespace active_master::lab {

struct FanoutOptions {
  LabOptions lab;
  std::vector<int> subscribers = {1, 10, 100, 1000, 5000};
  int switchovers = 10;  // with each number of them
  std::filesystem::path out = "bench";
};

// Writes fanout.json and fanout.md into the folder `out`. The subscribers, all connected to both
// nodes, share one thread of this process; each answers at once.
void run_fanout(const FanoutOptions& options);

}  // namespace active_master::lab
