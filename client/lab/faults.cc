#include "client/lab/faults.h"

#include <algorithm>
#include <cstdio>
#include <iostream>

#include "client/lab/play.h"

namespace active_master::lab {
namespace {

Installation installation_for(const LabOptions& lab, Setting setting) {
  Installation installation = lab.installation;
  if (setting == Setting::kPoints || setting == Setting::kPointsStar) {
    installation.plugin = installation.plugin.parent_path() / "faults" / "active_master.so";
    installation.agent += "-faults";
  }
  return installation;
}

bool has_wires(Setting setting) {
  return setting == Setting::kWires || setting == Setting::kSemiSyncWires ||
         setting == Setting::kVoters || setting == Setting::kWitness;
}

// What it needs ends with this process, if it is isolated.
bool is_isolated(Setting setting) {
  return has_wires(setting) || setting == Setting::kSmallDisks;
}

// A build has fault points by an option only.
bool has_points(const LabOptions& lab) {
  const Installation installation = installation_for(lab, Setting::kPoints);
  return std::filesystem::exists(installation.plugin) &&
         std::filesystem::exists(installation.agent);
}

bool is_wanted(const Scenario& scenario, const FaultOptions& options) {
  if (options.only.empty()) return options.all || scenario.is_representative;
  return std::any_of(options.only.begin(), options.only.end(), [&](const std::string& name) {
    return name.ends_with('*') ? scenario.name.starts_with(name.substr(0, name.size() - 1))
                               : scenario.name == name;
  });
}

}  // namespace

bool needs_isolation(const FaultOptions& options) {
  return options.soak > 0 || options.failovers > 0 ||
         std::ranges::any_of(scenarios(), [&](const Scenario& scenario) {
           return is_isolated(scenario.setting) && is_wanted(scenario, options);
         });
}

std::unique_ptr<Cluster> make_cluster(const LabOptions& lab, Setting setting) {
  ClusterOptions options = lab.cluster;
  options.star = setting == Setting::kStar || setting == Setting::kPointsStar || has_wires(setting);
  options.witness = setting == Setting::kWitness;
  options.wires = has_wires(setting);
  options.small_disks = setting == Setting::kSmallDisks;
  const bool has_lease = setting == Setting::kVoters || setting == Setting::kWitness;
  if (has_lease && options.lease.count() == 0) options.lease = kLease;
  if (options.star && !options.witness) options.nodes = 3;
  const auto limit = [&options](const char* name, std::chrono::milliseconds value) {
    options.settings.push_back(std::string(name) + "=" + std::to_string(value.count()));
  };
  limit("active_master_pause_timeout", kPauseTimeout);
  limit("active_master_catch_up_timeout", kCatchUpTimeout);
  limit("active_master_switchover_timeout", kSwitchoverTimeout);
  // A machine that is busy, and probes that are late, shall not look like a candidate that lags.
  limit("active_master_approach_max_lag", 1000ms);
  options.settings.emplace_back("plugin_load_add=metadata_lock_info");
  if (setting == Setting::kSemiSync || setting == Setting::kSemiSyncWires || has_lease) {
    for (const char* line :
         {"rpl_semi_sync_master_enabled=ON", "rpl_semi_sync_slave_enabled=ON",
          "rpl_semi_sync_master_wait_point=AFTER_SYNC", "rpl_semi_sync_master_wait_no_slave=OFF"})
      options.settings.emplace_back(line);
    // With one standby only, writes hang so long when it is gone; longer than a lease, in which an
    // active master that is alone is fenced.
    options.settings.push_back("rpl_semi_sync_master_timeout=" +
                               std::to_string(options.witness ? 3 * kLease.count() : 60000));
  }
  auto made =
      std::make_unique<Cluster>(installation_for(lab, setting), options,
                                [](const std::string& text) { std::cout << text << std::endl; });
  if (lab.keep_files) made->keep_files();
  return made;
}

namespace {

void must_be_found(const std::string& what, const Report& report) {
  std::string all;
  for (const std::string& violation : report.violations) all += "\n       found: " + violation;
  must(all.find(what) != std::string::npos, "the checker does not find what is wrong" + all);
}

// What went wrong; empty when nothing did.
std::string play(const Scenario& scenario, Cluster& cluster,
                 const std::filesystem::path& recordings) {
  try {
    Play under_load(cluster, {.errors_inside_allowed = scenario.clients_may_see_it});
    const auto save_it = [&] {
      if (!recordings.empty())
        save(under_load.recording(), recordings / (scenario.name + ".jsonl"));
    };
    try {
      scenario.play(under_load);
      if (!scenario.must_find.empty()) {
        must_be_found(scenario.must_find, under_load.report_of_what_is_wrong());
        return {};
      }
      under_load.finish(scenario.name);
    } catch (const std::exception&) {
      save_it();
      throw;
    }
    save_it();
    return {};
  } catch (const LabError& failure) {
    return failure.what();
  } catch (const sql::Error& error) {
    return "error " + std::to_string(error.number()) + " " + error.what();
  }
}

class Runner {
 public:
  explicit Runner(const FaultOptions& options) : options_(options) {}

  bool run() {
    if (!options_.recordings.empty()) std::filesystem::create_directories(options_.recordings);
    for (const Scenario& scenario : scenarios()) {
      if (is_wanted(scenario, options_)) run(scenario);
    }
    stop_cluster();
    if (skipped_ > 0) {
      std::printf("SKIPPED  %d scenarios: this build has no fault points (ACTIVE_MASTER_FAULTS)\n",
                  skipped_);
    }
    if (unisolated_ > 0)
      std::printf("SKIPPED  %d scenarios with networks and disks of their own: %s\n", unisolated_,
                  options_.no_isolation.c_str());
    std::printf("%d passed, %d failed\n", passed_, failed_);
    return failed_ == 0 && passed_ + skipped_ + unisolated_ > 0;
  }

 private:
  void run(const Scenario& scenario) {
    if (scenario.setting >= Setting::kPoints && !has_points(options_.lab)) {
      ++skipped_;
      return;
    }
    if (is_isolated(scenario.setting) && !options_.no_isolation.empty()) {
      ++unisolated_;
      return;
    }
    if (cluster_ && setting_ != scenario.setting) stop_cluster();
    if (!cluster_) cluster_ = make_cluster(options_.lab, setting_ = scenario.setting);
    const int64_t start = now_us();
    std::string error = play(scenario, *cluster_, options_.recordings);
    if (!error.empty()) {
      cluster_->keep_files();
      error += "\n       logs: " + cluster_->directory().string();
    }
    count(scenario.name, scenario.verifies, start, error);
    // Whatever state it is in now, the next scenario begins with a new one.
    if (!error.empty() || !scenario.must_find.empty()) stop_cluster();
  }

  void stop_cluster() {
    if (!cluster_) return;
    const int64_t start = now_us();
    const std::vector<std::string> complaints = cluster_->stop();
    if (!complaints.empty()) cluster_->keep_files();
    count("stop", "no server has crashed, and all of them stop when asked to", start,
          complaints.empty()
              ? ""
              : complaints.front() + "\n       logs: " + cluster_->directory().string());
    cluster_.reset();
  }

  void count(const std::string& name, const std::string& verifies, int64_t start,
             const std::string& error) {
    std::printf("%-6s %-34s %6.1f s  %s\n", error.empty() ? "ok" : "FAILED", name.c_str(),
                static_cast<double>(now_us() - start) / 1e6, verifies.c_str());
    if (!error.empty()) std::printf("       %s\n", error.c_str());
    std::fflush(stdout);
    ++(error.empty() ? passed_ : failed_);
  }

  const FaultOptions& options_;
  std::unique_ptr<Cluster> cluster_;
  Setting setting_ = Setting::kPair;
  int passed_ = 0;
  int failed_ = 0;
  int skipped_ = 0;
  int unisolated_ = 0;
};

}  // namespace

const std::vector<Scenario>& scenarios() {
  static const std::vector<Scenario> all = [] {
    std::vector<Scenario> every;
    for (const auto& theme : {refusals(), process_faults(), strangers_at_the_door(), following(),
                              failovers(), partitions(), exhausted_resources(),
                              automatic_failovers(), at_fault_points(), planted_faults()})
      every.insert(every.end(), theme.begin(), theme.end());
    std::stable_sort(every.begin(), every.end(),
                     [](const Scenario& a, const Scenario& b) { return a.setting < b.setting; });
    return every;
  }();
  return all;
}

bool run_faults(const FaultOptions& options) {
  return Runner(options).run();
}

}  // namespace active_master::lab
