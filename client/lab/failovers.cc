// How long writes pause when the active master dies under load.
#include <algorithm>
#include <cstdio>

#include "client/lab/faults.h"
#include "client/lab/play.h"

namespace active_master::lab {
namespace {

void print(const char* what, std::vector<int64_t> us) {
  std::ranges::sort(us);
  std::printf("%-24s median %lld ms, %lld to %lld ms\n", what,
              static_cast<long long>(us[us.size() / 2] / 1000),
              static_cast<long long>(us.front() / 1000), static_cast<long long>(us.back() / 1000));
}

}  // namespace

bool run_failovers(const FaultOptions& options) {
  if (!options.no_isolation.empty()) {
    std::printf("SKIPPED  failovers, which need networks of their own: %s\n",
                options.no_isolation.c_str());
    return true;
  }
  LabOptions lab = options.lab;
  if (!options.by_hand) lab.cluster.lease = options.lease;
  const auto cluster =
      make_cluster(lab, options.by_hand ? Setting::kSemiSyncWires : Setting::kVoters);
  std::vector<int64_t> active_after_told, active_after, traffic_after;
  std::string error;
  try {
    Play play(*cluster, {.errors_inside_allowed = true});
    play.expect_failovers();
    for (int i = 0; i < options.failovers; ++i) {
      Node& old = cluster->node(play.agreed());
      if (options.cut) play.cut_off(old);
      if (options.freeze) {
        old.freeze();
      } else {
        old.kill();
      }
      const auto takeover = play.must_fail_over_from(old, options.by_hand);
      active_after_told.push_back(takeover.active_after_told.count());
      active_after.push_back(takeover.active_after.count());
      traffic_after.push_back(takeover.traffic_after.count());
      std::fflush(stdout);
      play.restart_as_replica(old);
      if (options.cut) cluster->wires().heal();
      play.bring_back(old);
      cluster->wait_until_healthy(takeover.by.name());
    }
    play.finish("failovers");
    const auto complaints = cluster->stop();
    if (!complaints.empty()) error = complaints.front();
  } catch (const LabError& failure) {
    error = failure.what();
  } catch (const sql::Error& failure) {
    error = failure.what();
  }
  if (!active_after.empty()) {
    std::printf(
        "%zu failovers after %s%s, %s\n", active_after.size(),
        options.freeze ? "SIGSTOP" : "kill -9", options.cut ? ", cut off from the other nodes" : "",
        options.by_hand ? "by force_failover"
                        : ("lease " + std::to_string(options.lease.count()) + " ms").c_str());
    if (options.by_hand) print("it takes", active_after_told);
    print("another is active after", active_after);
    print("clients write after", traffic_after);
  }
  if (!error.empty()) {
    cluster->keep_files();
    std::printf("FAILED: %s\n       logs: %s\n", error.c_str(),
                cluster->directory().string().c_str());
  }
  return error.empty();
}

}  // namespace active_master::lab
