// What nodes and proxies say of themselves all the while, for the checker.
#pragma once

#include <mutex>
#include <thread>
#include <vector>

#include "client/lab/cluster.h"

namespace active_master::lab {

// Looks at each node a few hundred times a second, by a thread of its own, from construction to
// stop().
class Observer {
 public:
  explicit Observer(const Cluster& cluster);

  [[nodiscard]] std::vector<Observation> stop();

 private:
  void watch(const std::stop_token& stop, const Node& node);

  std::mutex mutex_;
  std::vector<Observation> seen_;
  std::vector<std::jthread> threads_;  // last: they end first
};

}  // namespace active_master::lab
