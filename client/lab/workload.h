// Clients that write all the time and note each answer.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include "client/checker/history.h"
#include "client/lab/cluster.h"
#include "client/lab/foreign_proxy.h"

namespace active_master::client {
class TrafficGate;
}

namespace active_master::lab {

enum class Via {
  kGate,     // this process subscribes to the cluster; its writers share one traffic gate
  kHaproxy,  // one connection for each writer, through HAProxy, made anew when it is lost
};

// What a write is made of: some of it ties a session to its server in a proxy that shares
// connections.
enum class Statements {
  kPlain,
  kAutoIncrement,  // the table has such a column
  kUserVariables,  // each write sets one before, and reads it
};

struct WorkloadOptions {
  Via via = Via::kHaproxy;
  int writers = 8;
  std::chrono::microseconds think{0};   // between two writes of a client; 0: as fast as it goes
  std::chrono::microseconds every{0};   // a client's writes begin so often; 0: not by the clock
  uint32_t first_client = 1;            // the clients' numbers; unique over all workloads of a run
  client::TrafficGate* gate = nullptr;  // kGate: one that somebody else opens and closes
  uint16_t port = 0;                    // kHaproxy: of another proxy than the cluster's own
  std::optional<ForeignKind> foreign = {};  // kHaproxy: that other proxy, to be started first
  bool agent = true;                        // foreign: it has one
  Statements statements = Statements::kPlain;
  uint32_t row_bytes = 0;              // of a row, beside its number
  std::chrono::microseconds lasts{0};  // a transaction, from its INSERT to its COMMIT
  // A client that waits longer for an answer gives its connection up: the server may be a machine
  // that is gone.
  std::chrono::seconds patience{60};
};

// Runs from construction to stop(). Each write is one row of lab.writes, with its own number even
// when it is tried again: autocommit and BEGIN ... COMMIT by turns, all as plain text statements.
class Workload {
 public:
  Workload(Cluster& cluster, const WorkloadOptions& options);
  ~Workload();
  Workload(const Workload&) = delete;
  Workload& operator=(const Workload&) = delete;

  // Ends all writers and adds what they saw to the history.
  void stop(History& history);

  [[nodiscard]] uint64_t acknowledged() const { return acknowledged_; }
  // Waits until `count` more writes were acknowledged; false if that takes longer than `limit`.
  [[nodiscard]] bool wait_for_writes(uint64_t count, std::chrono::milliseconds limit) const;

 private:
  class Client;
  class Gate;

  void stop_writers();

  void write_through_proxy(Client& client) const;
  void write_through_gate(Client& client) const;

  const WorkloadOptions options_;
  sql::Options account_;
  std::atomic<uint64_t> acknowledged_ = 0;
  std::atomic<bool> stopping_ = false;
  std::unique_ptr<Gate> own_gate_;
  client::TrafficGate* gate_ = nullptr;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::jthread> threads_;
};

}  // namespace active_master::lab
