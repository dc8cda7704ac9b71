#include "client/lab/read_only_watch.h"

#include "client/lab/wait.h"

namespace active_master::lab {
namespace {

constexpr std::chrono::milliseconds kPeriod{1};
constexpr std::chrono::milliseconds kRetry{50};

}  // namespace

void ReadOnlyRecord::saw_writable(const std::string& node, int64_t start_us, int64_t end_us) {
  const auto [seen, is_first] = seen_.try_emplace(node, Seen{end_us, start_us});
  if (!is_first) seen->second.last_start_us = start_us;
}

std::string ReadOnlyRecord::verdict(bool has_moved) const {
  for (const auto& [name, seen] : seen_) {
    if (name != from_ && (name != to_ || !has_moved)) return name + " was seen writable";
  }
  const auto old = seen_.find(from_);
  const auto next = seen_.find(to_);
  if (old == seen_.end() || next == seen_.end()) return {};
  // A look that began on the old one after another had ended on the new one: both were writable in
  // between, however long each look took.
  const int64_t overlap = old->second.last_start_us - next->second.first_end_us;
  if (overlap <= 0) return {};
  return from_ + " was seen writable " + std::to_string(overlap) + " us after " + to_ + " was";
}

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
      if (is_writable && record_) record_->saw_writable(node.name(), start, end);
    } catch (const sql::Error&) {
      connection.reset();  // the node is down, or on its way
      std::this_thread::sleep_for(kRetry);
    }
    std::this_thread::sleep_for(kPeriod);
  }
}

void ReadOnlyWatch::begin(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  record_.emplace(from, to);
}

std::string ReadOnlyWatch::end(bool has_moved) {
  const std::lock_guard lock(mutex_);
  return record_ ? record_->verdict(has_moved) : "";
}

uint64_t ReadOnlyWatch::samples() const {
  const std::lock_guard lock(mutex_);
  return samples_;
}

}  // namespace active_master::lab
