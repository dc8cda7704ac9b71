#include "client/lab/read_only_watch.h"

#include "client/lab/wait.h"

namespace active_master::lab {
namespace {

constexpr std::chrono::milliseconds kPeriod{1};
constexpr std::chrono::milliseconds kRetry{50};

}  // namespace

ReadOnlyWatch::ReadOnlyWatch(const Cluster& cluster) {
  for (const auto& node : cluster.nodes()) {
    threads_.emplace_back(
        [this, &node = *node](const std::stop_token& stop) { watch(stop, node); });
  }
}

void ReadOnlyWatch::watch(const std::stop_token& stop, const Node& node) {
  std::optional<sql::Connection> connection;
  while (!stop.stop_requested()) {
    try {
      if (!connection) connection.emplace(node.root());
      const int64_t start = now_us();
      const bool is_writable = connection->value("SELECT @@global.read_only") == "0";
      const int64_t end = now_us();
      const std::lock_guard lock(mutex_);
      ++samples_;
      if (is_writable) {
        Seen& seen = seen_[node.name()];
        if (!seen.ever) seen.first_end_us = end;
        seen.last_start_us = start;
        seen.ever = true;
      }
    } catch (const sql::Error&) {
      connection.reset();  // the node is down, or on its way
      std::this_thread::sleep_for(kRetry);
    }
    std::this_thread::sleep_for(kPeriod);
  }
}

void ReadOnlyWatch::begin(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  seen_.clear();
  from_ = from;
  to_ = to;
}

std::string ReadOnlyWatch::end(bool has_moved) {
  const std::lock_guard lock(mutex_);
  for (const auto& [name, seen] : seen_) {
    if (name != from_ && (name != to_ || !has_moved)) return name + " was seen writable";
  }
  const Seen& old = seen_[from_];
  const Seen& next = seen_[to_];
  // A look that began on the old one after another had ended on the new one: both were writable in
  // between, however long each look took.
  if (old.ever && next.ever && old.last_start_us > next.first_end_us) {
    return from_ + " was seen writable " + std::to_string(old.last_start_us - next.first_end_us) +
           " us after " + to_ + " was";
  }
  return {};
}

uint64_t ReadOnlyWatch::samples() const {
  const std::lock_guard lock(mutex_);
  return samples_;
}

}  // namespace active_master::lab
