// The steps that fault scenarios are written in: a cluster under load, what is done to it, and what
// must hold at the end.
#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "client/checker/checker.h"
#include "client/lab/cluster.h"
#include "client/lab/footprint.h"
#include "client/lab/observer.h"
#include "client/lab/wait.h"
#include "client/lab/workload.h"

namespace active_master::lab {

using namespace std::chrono_literals;

// The limits that fault scenarios set, shorter than the defaults: some wait for them to run out.
inline constexpr std::chrono::milliseconds kPauseTimeout{2000};
inline constexpr std::chrono::milliseconds kCatchUpTimeout{2000};
inline constexpr std::chrono::milliseconds kSwitchoverTimeout{20000};
inline constexpr std::chrono::milliseconds kLease{1000};
inline constexpr std::chrono::milliseconds kTrafficLimit{
    10000};  // more than the first two together

// Numbers of the plugin's errors, see docs/reference.md.
inline constexpr unsigned kUnknownNode = 33306;
inline constexpr unsigned kAlreadyActive = 33307;
inline constexpr unsigned kBusy = 33308;
inline constexpr unsigned kCandidateUnreachable = 33309;
inline constexpr unsigned kCheckFailed = 33310;
inline constexpr unsigned kCandidateLags = 33311;
inline constexpr unsigned kProxiesDidNotHold = 33312;
inline constexpr unsigned kCancelled = 33316;
inline constexpr unsigned kDiverged = 33340;
inline constexpr unsigned kMasterAlive = 33350;
inline constexpr unsigned kNotFenced = 33351;

void must(bool holds, const std::string& what);

// Begins with a healthy cluster, puts it under load, and ends with finish(). `master` is the active
// master at the beginning, `candidate` the standby that replicates from it.
class Play {
 public:
  // A scenario in which the active master dies has rules that let its clients see it.
  Play(Cluster& cluster, const Rules& rules);
  // Whatever the scenario has left: nobody sleeps, nothing is cut.
  ~Play();
  Play(const Play&) = delete;
  Play& operator=(const Play&) = delete;

  // --- what is done ---

  // The statement, given on `director` by a thread of its own.
  std::future<SwitchoverResult> begin_switchover(const Node& director);
  std::future<SwitchoverResult> begin_switchover() { return begin_switchover(master); }
  // The session of the last one begun.
  [[nodiscard]] uint64_t session() const { return session_; }
  // Waits for its answer.
  SwitchoverResult end(std::future<SwitchoverResult> switchover);
  // The role moves, asked on `director`; it must. Returns the exceptions that the report lists.
  std::string move_role(const Node& target, const Node& director);
  void restart(Node& node) { node.start(cluster_.installation()); }
  // kill -9 if it runs. It comes back as one that forgets what no standby had acknowledged: so an
  // old active master has nothing of its own, and follows by itself (docs/failover.md).
  void restart_as_replica(Node& node);
  // From now on no packet between it and another node; Wires::heal() ends it.
  void cut_off(const Node& node);
  // An old active master that slept or was cut off; if it has diverged it is made anew, as a copy
  // of another.
  void bring_back(Node& node);

  // From now on nodes may take the role by themselves: what was seen of it counts as switchovers.
  void expect_failovers() { failovers_expected_ = true; }
  // Waits until all nodes take the same one for the active master. Its name.
  std::string agreed();
  // Another node than this one becomes active, by itself or by force, by the hand of somebody who
  // goes by docs/failover.md and tries again until the death is noticed; and traffic runs again.
  struct Takeover {
    Node& by;
    std::chrono::microseconds active_after_told;
    std::chrono::microseconds active_after;
    std::chrono::microseconds traffic_after;
  };
  Takeover must_fail_over_from(const Node& old, bool by_hand = false);

  // Writes and switchovers that were made beside these.
  void add(std::vector<Write> writes);
  void add(const SwitchoverResult& result);

  // --- what must hold ---

  void traffic_must_run(std::chrono::milliseconds limit = kTrafficLimit);
  [[nodiscard]] bool sees_phase(const std::string& phase, std::chrono::milliseconds limit);
  void must_see_phase(const std::string& phase);
  void must_be_refused(const SwitchoverResult& result, unsigned error);
  void must_have_failed(const SwitchoverResult& result);
  // Nothing has changed: the old active master goes on.
  void old_master_must_be_active();

  // The statement's value; empty when the session is closed meanwhile, as by a node that stands
  // down.
  [[nodiscard]] static std::string says(const Node& node, const std::string& statement);

  // --- the end ---

  // All is well again by itself, traffic runs, the history agrees with the tables, nothing is
  // leaked.
  void finish(const std::string& after);
  // Nothing of this is expected: the checker is to find what is wrong.
  [[nodiscard]] Report report_of_what_is_wrong();
  [[nodiscard]] const Recording& recording() const { return recording_; }

  Cluster& cluster() { return cluster_; }
  Node& third();

 private:
  [[nodiscard]] std::optional<ReadBack> read_back() const;
  void stop_load();
  void note_failovers();
  [[nodiscard]] const Node* candidate_instead_of(const Node& old);
  void rebuild(Node& node);
  void forget_where_it_was(Node& node);

  Cluster& cluster_;
  bool failovers_expected_ = false;
  std::string active_;
  Recording recording_;
  uint64_t session_ = 0;
  std::vector<std::unique_ptr<Workload>> loads_;
  std::optional<Observer> observer_;

 public:
  Node& master;
  Node& candidate;
};

// A session of root that holds something open until it is destroyed.
class Holder {
 public:
  Holder(const Node& node, const std::string& statement) : connection_(node.connect()) {
    connection_.execute(statement);
  }

 private:
  sql::Connection connection_;
};

// A client of the application in the middle of a transaction.
class OpenTransaction {
 public:
  explicit OpenTransaction(sql::Options account);

 private:
  sql::Connection connection_;
};

// To the server itself, past every proxy.
[[nodiscard]] sql::Options directly(const Node& node);

// root, past every proxy, writing to one node as fast as it can, through restarts.
class Rogue {
 public:
  Rogue(const Node& node, uint32_t number)
      : node_(node), number_(number), thread_([this](std::stop_token stop) { run(stop); }) {}

  std::vector<Write> stop();
  [[nodiscard]] int64_t refused() const { return refused_; }

 private:
  void run(const std::stop_token& stop);

  const Node& node_;
  uint32_t number_;
  std::vector<Write> writes_;
  std::atomic<int64_t> refused_{0};
  std::jthread thread_;
};

[[nodiscard]] bool has_acknowledged(const std::vector<Write>& writes);

}  // namespace active_master::lab
