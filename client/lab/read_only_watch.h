// What a monitor sees that looks only at read_only: each node is asked about 1000 times a second,
// by a thread of its own.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "client/lab/cluster.h"

namespace active_master::lab {

// What was seen of one move of the role: the verdict, without servers and threads.
class ReadOnlyRecord {
 public:
  ReadOnlyRecord(std::string from, std::string to) : from_(std::move(from)), to_(std::move(to)) {}

  // A look at the node, which began and ended then, found it writable.
  void saw_writable(const std::string& node, int64_t start_us, int64_t end_us);

  // What must never be seen; empty if nothing of it was. When the role did not move, the new one
  // must not have been writable at all.
  [[nodiscard]] std::string verdict(bool has_moved) const;

 private:
  struct Seen {
    int64_t first_end_us = 0;
    int64_t last_start_us = 0;
  };

  std::string from_;
  std::string to_;
  std::map<std::string, Seen> seen_;
};

class ReadOnlyWatch {
 public:
  explicit ReadOnlyWatch(const Cluster& cluster);

  // From here on the role may move between these two, once.
  void begin(const std::string& from, const std::string& to);
  // The verdict on what was seen since.
  [[nodiscard]] std::string end(bool has_moved);

  [[nodiscard]] uint64_t samples() const;

 private:
  void watch(const std::stop_token& stop, const Node& node);

  mutable std::mutex mutex_;
  std::optional<ReadOnlyRecord> record_;
  uint64_t samples_ = 0;
  std::vector<std::jthread> threads_;  // last: they end first
};

}  // namespace active_master::lab
