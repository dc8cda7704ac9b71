// Random faults, one after the other, while the role moves and clients write: for hours.
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <map>
#include <random>

#include "client/lab/faults.h"
#include "client/lab/play.h"

namespace active_master::lab {
namespace {

constexpr int kRoundsPerCheck = 20;

// The same everywhere for a seed, unlike the standard library's distributions.
class Chance {
 public:
  explicit Chance(uint64_t seed) : engine_(seed) {}
  uint64_t below(uint64_t limit) { return engine_() % limit; }
  std::chrono::milliseconds between(int64_t low, int64_t high) {
    return std::chrono::milliseconds(
        low + static_cast<int64_t>(below(static_cast<uint64_t>(high - low))));
  }

 private:
  std::mt19937_64 engine_;
};

// One round: a switchover is asked for, a fault happens at some moment of it, it ends, everything
// is well again, and the role moves.
class Soak {
 public:
  Soak(Cluster& cluster, uint64_t seed) : cluster_(cluster), chance_(seed) {}

  [[nodiscard]] const std::map<std::string, int>& faults() const { return faults_; }
  [[nodiscard]] int switchovers() const { return switchovers_; }
  [[nodiscard]] int refused() const { return refused_; }
  [[nodiscard]] uint64_t acknowledged() const { return acknowledged_; }
  [[nodiscard]] int64_t worst_recovery_us() const { return worst_recovery_us_; }

  // So many rounds, whose history is then checked.
  void play(int rounds) {
    Play play(cluster_, {.errors_inside_allowed = true});
    play.expect_failovers();
    for (int i = 0; i < rounds; ++i) round(play);
    play.finish("soak");
    const Report report = check(play.recording());
    acknowledged_ += report.acknowledged;
  }

 private:
  Node& any() { return *cluster_.nodes()[chance_.below(cluster_.nodes().size())]; }

  void round(Play& play) {
    Node& asked = any();
    auto switchover = begin(asked, other_than(play.agreed()));
    pass(chance_.between(0, 60));
    const std::string what = do_something();
    ++faults_[what];
    settle(play, what);
    end(play, std::move(switchover));
    const std::string active = play.agreed();
    cluster_.wait_until_healthy(active);
    Node& next = other_than(active);
    sql::Connection connection = any().connect();
    // A candidate that still lags is refused.
    std::string refusal;
    const bool moved = wait_until(
        60s,
        [&] {
          const auto result = Cluster::switch_to(next.name(), connection);
          play.add(result);
          refusal = result.summary.text;
          ++(result.summary.done ? switchovers_ : refused_);
          return result.summary.done;
        },
        500ms);
    must(moved, "after " + what + ": " + refusal);
    play.traffic_must_run();
  }

  std::future<SwitchoverResult> begin(Node& asked, Node& target) {
    auto connection = std::make_shared<sql::Connection>(asked.connect());
    return std::async(std::launch::async, [connection, to = target.name()] {
      return Cluster::switch_to(to, *connection);
    });
  }

  void end(Play& play, std::future<SwitchoverResult> switchover) {
    must(wait_until(60s, [&] { return switchover.wait_for(0s) == std::future_status::ready; }),
         "a switchover doesn't end");
    auto result = switchover.get();
    ++(result.summary.done ? switchovers_ : refused_);
    play.add(result);
  }

  // What it was, when it is over; machines may still be down.
  std::string do_something() {
    Node& node = any();
    Node& other = other_than(node.name());
    auto& wires = cluster_.wires();
    const auto cut_for_a_while = [&] {
      pass(chance_.between(100, 4000));
      wires.heal();
    };
    switch (chance_.below(9)) {
      case 0:
        node.kill();
        pass(chance_.between(0, 3000));
        return "kill -9 of a server";
      case 1:
        node.freeze();
        pass(chance_.between(50, 4000));
        node.thaw();
        return "SIGSTOP of a server";
      case 2:
        wires.cut(node.name(), other.name());
        cut_for_a_while();
        return "cut between two nodes";
      case 3:
        wires.cut_one_way(node.name(), other.name());
        cut_for_a_while();
        return "cut one way";
      case 4:
        for (const auto& one : cluster_.nodes()) {
          if (one.get() != &node) wires.cut(node.name(), one->name());
        }
        cut_for_a_while();
        return "a node cut off from all others";
      case 5:
        wires.cut(node.name(), other.name(),
                  chance_.below(2) == 0 ? node.sql_port() : node.plugin_address().address.port);
        cut_for_a_while();
        return "one port cut between two nodes";
      case 6:
        cluster_.agent().kill();
        pass(chance_.between(0, 1000));
        cluster_.start_agent();
        return "kill -9 of HAProxy's agent";
      case 7:
        cluster_.agent().signal(SIGSTOP);
        pass(chance_.between(50, 4000));
        cluster_.agent().signal(SIGCONT);
        return "SIGSTOP of HAProxy's agent";
      default:
        wires.slow_down(node.name(), 512);
        cut_for_a_while();
        return "slow link";
    }
  }

  // All machines are up, nobody has diverged.
  void settle(Play& play, const std::string& what) {
    const int64_t start = now_us();
    for (const auto& node : cluster_.nodes()) {
      if (node->running()) continue;
      // Only who was replaced may forget what no standby acknowledged.
      const bool was_replaced = std::ranges::any_of(cluster_.nodes(), [&](const auto& other) {
        return other->running() &&
               Play::says(*other, "SELECT ROLE FROM INFORMATION_SCHEMA.ACTIVE_MASTER_STATE") ==
                   "ACTIVE";
      });
      if (was_replaced) {
        play.restart_as_replica(*node);
      } else {
        play.restart(*node);
      }
    }
    for (const auto& node : cluster_.nodes()) play.bring_back(*node);
    const int64_t took = now_us() - start;
    if (took > worst_recovery_us_) {
      worst_recovery_us_ = took;
      std::printf("  slowest recovery up to now: %lld ms after %s\n",
                  static_cast<long long>(took / 1000), what.c_str());
    }
  }

  Node& other_than(const std::string& name) {
    for (;;) {
      Node& node = any();
      if (node.name() != name) return node;
    }
  }

  Cluster& cluster_;
  Chance chance_;
  std::map<std::string, int> faults_;
  int switchovers_ = 0;
  int refused_ = 0;
  uint64_t acknowledged_ = 0;
  int64_t worst_recovery_us_ = 0;
};

}  // namespace

bool run_soak(const FaultOptions& options) {
  if (!options.no_isolation.empty()) {
    std::printf("SKIPPED  the soak, which cuts networks: %s\n", options.no_isolation.c_str());
    return true;
  }
  const auto cluster = make_cluster(options.lab, Setting::kVoters);
  std::printf("Soak: %d faults, seed %llu\n", options.soak,
              static_cast<unsigned long long>(options.seed));
  Soak soak(*cluster, options.seed);
  const int64_t start = now_us();
  std::string error;
  int done = 0;
  try {
    while (done < options.soak) {
      const int rounds = std::min(kRoundsPerCheck, options.soak - done);
      soak.play(rounds);
      done += rounds;
      std::printf("%d faults, %d switchovers done and %d refused or undone, %llu writes, %lld s\n",
                  done, soak.switchovers(), soak.refused(),
                  static_cast<unsigned long long>(soak.acknowledged()),
                  static_cast<long long>((now_us() - start) / 1'000'000));
      std::fflush(stdout);
    }
  } catch (const LabError& failure) {
    error = failure.what();
  } catch (const sql::Error& failure) {
    error = failure.what();
  }
  for (const auto& [what, count] : soak.faults()) std::printf("  %5d  %s\n", count, what.c_str());
  std::printf("  slowest recovery: %lld ms\n",
              static_cast<long long>(soak.worst_recovery_us() / 1000));
  if (error.empty()) {
    const auto complaints = cluster->stop();
    if (!complaints.empty()) error = complaints.front();
  }
  if (!error.empty()) {
    cluster->keep_files();
    std::printf("FAILED after %d faults: %s\n       logs: %s\n", done, error.c_str(),
                cluster->directory().string().c_str());
  }
  std::printf("%d passed, %d failed\n", error.empty() ? 1 : 0, error.empty() ? 0 : 1);
  return error.empty();
}

}  // namespace active_master::lab
