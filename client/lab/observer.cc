#include "client/lab/observer.h"

#include "client/lab/wait.h"

namespace active_master::lab {
namespace {

constexpr std::chrono::milliseconds kPeriod{5};
constexpr std::chrono::milliseconds kRetry{50};
constexpr int kProxiesEvery = 8;  // looks

constexpr const char* kNode =
    "SELECT EPOCH, ROLE, PHASE, @@global.read_only OR FENCED AS READ_ONLY "
    "FROM INFORMATION_SCHEMA.ACTIVE_MASTER_STATE";
constexpr const char* kProxies =
    "SELECT PROXY, EPOCH FROM INFORMATION_SCHEMA.ACTIVE_MASTER_PROXIES "
    "WHERE STATE = 'CONNECTED' AND EPOCH > 0";

}  // namespace

Observer::Observer(const Cluster& cluster) {
  for (const auto& node : cluster.nodes()) {
    threads_.emplace_back(
        [this, &node = *node](const std::stop_token& stop) { watch(stop, node); });
  }
}

std::vector<Observation> Observer::stop() {
  for (auto& thread : threads_) thread.request_stop();
  threads_.clear();
  return std::move(seen_);
}

void Observer::watch(const std::stop_token& stop, const Node& node) {
  std::optional<sql::Connection> connection;
  int64_t life = 0;
  const auto look = [&](const char* statement, auto note) {
    Observation seen;
    seen.start_us = now_us();
    const auto sets = connection->query(statement);
    seen.end_us = now_us();
    const std::lock_guard lock(mutex_);
    for (const sql::Row& row : sets.at(0).rows) note(seen, row);
  };
  for (int looks = 0; !stop.stop_requested(); ++looks) {
    try {
      if (!connection) connection.emplace(node.root());
      look(kNode, [&](Observation seen, const sql::Row& row) {
        seen.who = node.name();
        seen.epoch = std::stoull(row[0].value_or("0"));
        seen.role = row[1].value_or("");
        seen.phase = row[2].value_or("");
        seen.is_writable = row[3] == "0";
        seen.life = life;
        seen_.push_back(std::move(seen));
      });
      // News of a proxy come to one node earlier than to another, but to each in their order.
      if (looks % kProxiesEvery == 0) {
        look(kProxies, [&](Observation seen, const sql::Row& row) {
          seen.who = row[0].value_or("") + " at " + node.name();
          seen.is_proxy = true;
          seen.epoch = std::stoull(row[1].value_or("0"));
          seen_.push_back(std::move(seen));
        });
      }
    } catch (const sql::Error&) {
      connection.reset();  // the node is down, or on its way
      ++life;
      std::this_thread::sleep_for(kRetry);
    }
    std::this_thread::sleep_for(kPeriod);
  }
}

}  // namespace active_master::lab
