// What a monitor sees that looks only at read_only: each node is asked about 1000 times a second,
// by a thread of its own.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "client/lab/cluster.h"

namespace active_master::lab {

class ReadOnlyWatch {
 public:
  explicit ReadOnlyWatch(const Cluster& cluster);

  // From here on the role may move between these two, once.
  void begin(const std::string& from, const std::string& to);
  // What was seen since that must never be; empty if nothing was. When the role went back to
  // `from`, the new one must not have been seen writable at all.
  [[nodiscard]] std::string end(bool has_moved);

  [[nodiscard]] uint64_t samples() const;

 private:
  // When a node was seen writable: the first time was over at, the last time began at.
  struct Seen {
    int64_t first_end_us = 0;
    int64_t last_start_us = 0;
    bool ever = false;
  };

  void watch(const std::stop_token& stop, const Node& node);

  mutable std::mutex mutex_;
  std::map<std::string, Seen> seen_;
  std::string from_;
  std::string to_;
  uint64_t samples_ = 0;
  std::vector<std::jthread> threads_;  // last: they end first
};

}  // namespace active_master::lab
