#include "client/lab/scenario.h"

#include <sys/utsname.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "client/lab/binlog.h"
#include "client/lab/read_only_watch.h"
#include "client/lab/wait.h"

namespace active_master::lab {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::ordered_json;

constexpr auto kWriteLimit = 30s;
constexpr auto kOutcomeLimit = 30s;
constexpr const char* kPhase = "SELECT PHASE FROM INFORMATION_SCHEMA.ACTIVE_MASTER_STATE";
constexpr uint64_t kWritesBetween = 200;  // traffic must really run before the next switchover

std::string milliseconds(int64_t microseconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f ms", static_cast<double>(microseconds) / 1000);
  return text;
}

struct Spread {
  int64_t median = 0;
  int64_t min = 0;
  int64_t max = 0;
};

Spread spread(std::vector<int64_t> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  return {values[values.size() / 2], values.front(), values.back()};
}

std::string to_text(const Spread& spread) {
  return milliseconds(spread.median) + " / " + milliseconds(spread.min) + " / " +
         milliseconds(spread.max);
}

Json to_json(const Spread& spread) {
  return {{"median", spread.median}, {"min", spread.min}, {"max", spread.max}};
}

std::string first_line_of(const std::filesystem::path& file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(key)) return line.substr(line.find_first_not_of(" \t:", key.size()));
  }
  return "unknown";
}

std::string machine() {
  utsname system{};
  uname(&system);
  return std::to_string(std::thread::hardware_concurrency()) + " CPUs (" +
         first_line_of("/proc/cpuinfo", "model name") + "), memory " +
         first_line_of("/proc/meminfo", "MemTotal") + ", " + system.sysname + " " + system.release;
}

std::string haproxy_version(const Cluster& cluster) {
  const std::filesystem::path file = cluster.directory() / "haproxy.version";
  run({.name = "haproxy -v", .arguments = {cluster.installation().haproxy, "-v"}, .log = file},
      10s);
  const std::string line = first_line_of(file, "HAProxy version");
  return "HAProxy " + line.substr(0, line.find(' '));
}

std::string versions(Cluster& cluster) {
  const auto server = cluster.nodes().front()->connect().value("SELECT VERSION()");
  return "MariaDB " + server.value_or("unknown") +
         (cluster.has_proxy() ? ", " + haproxy_version(cluster) : "");
}

std::string to_text(const std::vector<Phase>& phases) {
  std::string text;
  for (const Phase& phase : phases) {
    char line[64];
    std::snprintf(line, sizeof line, "    %-10s %10s  ", phase.name.c_str(),
                  milliseconds(phase.duration_us).c_str());
    text += line + phase.detail;
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
  }
  return text;
}

// Everything about a run that is of interest afterwards.
struct Outcome {
  std::string machine;
  std::string versions;
  Recording recording;
  Report report;
  std::vector<int64_t> write_pauses_us;  // as the plugin measured them
  std::string via;
  int writers = 0;
  int failed = 0;  // switchovers
};

std::vector<int64_t> gaps_of(const Report& report) {
  std::vector<int64_t> gaps;
  for (const auto& gap : report.switchover_gaps) {
    if (gap) gaps.push_back(gap->length_us());
  }
  return gaps;
}

std::vector<int64_t> durations_of(const History& history) {
  std::vector<int64_t> durations;
  for (const Switchover& switchover : history.switchovers) {
    if (switchover.text.empty()) durations.push_back(switchover.end_us - switchover.start_us);
  }
  return durations;
}

double seconds_of(const History& history) {
  if (history.writes.empty()) return 0;
  const auto by_start = [](const Write& a, const Write& b) { return a.start_us < b.start_us; };
  const auto by_end = [](const Write& a, const Write& b) { return a.end_us < b.end_us; };
  const int64_t start =
      std::min_element(history.writes.begin(), history.writes.end(), by_start)->start_us;
  const int64_t end =
      std::max_element(history.writes.begin(), history.writes.end(), by_end)->end_us;
  return static_cast<double>(end - start) / 1e6;
}

uint64_t per_second(const Outcome& outcome) {
  const double seconds = seconds_of(outcome.recording.history);
  return seconds > 0
             ? static_cast<uint64_t>(static_cast<double>(outcome.report.acknowledged) / seconds)
             : 0;
}

Json to_json(const Outcome& outcome) {
  const Report& report = outcome.report;
  const History& history = outcome.recording.history;
  const auto length = [](const std::optional<Gap>& gap) {
    return gap ? Json(gap->length_us()) : Json();
  };
  Json nodes = Json::array();
  for (const NodeReport& node : report.nodes) {
    nodes.push_back({{"node", node.node},
                     {"rows", node.rows},
                     {"acknowledged", node.acknowledged},
                     {"missing", node.missing},
                     {"duplicated", node.duplicated},
                     {"stray", node.stray}});
  }
  return {{"ok", report.ok()},
          {"violations", report.violations},
          {"machine", outcome.machine},
          {"versions", outcome.versions},
          {"via", outcome.via},
          {"writers", outcome.writers},
          {"seconds", seconds_of(history)},
          {"switchovers", history.switchovers.size()},
          {"switchovers_done", durations_of(history).size()},
          {"duration_us", to_json(spread(durations_of(history)))},
          {"gap_us", to_json(spread(gaps_of(report)))},
          {"write_pause_us", to_json(spread(outcome.write_pauses_us))},
          {"longest_gap_us", length(report.longest_gap)},
          {"longest_quiet_gap_us", length(report.quiet_gap)},
          {"writes_acknowledged", report.acknowledged},
          {"writes_per_second", per_second(outcome)},
          {"errors_between", report.errors_between},
          {"errors_inside", report.errors_inside},
          {"unknown_present", report.unknown_present},
          {"unknown_absent", report.unknown_absent},
          {"failed_present", report.failed_present},
          {"two_masters", report.two_masters},
          {"nodes", nodes}};
}

std::string to_text(const Outcome& outcome) {
  const History& history = outcome.recording.history;
  const auto done = durations_of(history);
  return "\nMachine            " + outcome.machine + "\nVersions           " + outcome.versions +
         "\nLoad               " + std::to_string(outcome.writers) + " writers through " +
         outcome.via + ", " + std::to_string(per_second(outcome)) + " writes/s" +
         "\nSwitchovers        " + std::to_string(done.size()) + " done, " +
         std::to_string(outcome.failed) + " failed" + "\n  whole            " +
         to_text(spread(done)) + "  (median / min / max)" + "\n  write pause      " +
         to_text(spread(outcome.write_pauses_us)) + "\n  gap for clients  " +
         to_text(spread(gaps_of(outcome.report))) + "\n" + lab::to_text(outcome.report);
}

class Switcher {
 public:
  Switcher(const RunOptions& options, Cluster& cluster, Outcome& outcome, std::ostream& out)
      : options_(options), cluster_(cluster), outcome_(outcome), out_(out) {}

  void run() {
    std::vector<std::unique_ptr<ForeignProxy>> proxies;
    std::vector<std::unique_ptr<Workload>> workloads;  // last: they end first
    for (WorkloadOptions workload : options_.workloads) {
      if (workload.foreign) {
        proxies.push_back(std::make_unique<ForeignProxy>(cluster_, *workload.foreign));
        workload.port = proxies.back()->port();
      }
      workloads.push_back(std::make_unique<Workload>(cluster_, workload));
    }
    const auto wait_for_traffic = [&workloads] {
      for (const auto& workload : workloads) {
        if (!workload->wait_for_writes(kWritesBetween, kWriteLimit)) {
          throw LabError("The clients' writes don't go on");
        }
      }
    };
    History& history = outcome_.recording.history;
    history.first_active = Cluster::active_node(*cluster_.nodes().front());
    std::string active = history.first_active;
    if (options_.watch_read_only) watch_.emplace(cluster_);
    wait_for_traffic();
    for (int i = 1; i <= options_.switchovers; ++i) {
      const std::string before = std::exchange(active, one(i, active));
      cluster_.wait_until_healthy(active);
      if (const auto seen = watch_ ? watch_->end(active != before) : ""; !seen.empty()) {
        outcome_.report.violations.push_back(seen);
      }
      wait_for_traffic();
      (void)wait_until(options_.interval, [] { return false; });
    }
    for (const auto& workload : workloads) workload->stop(history);
  }

 private:
  // Returns who is the active master afterwards.
  std::string one(int number, const std::string& active) {
    auto& nodes = cluster_.nodes();
    const auto at = std::find_if(nodes.begin(), nodes.end(),
                                 [&active](const auto& node) { return node->name() == active; });
    // To the node that replicates from this one. By turns the statement is given there and here.
    Node& target = at + 1 == nodes.end() ? *nodes.front() : **(at + 1);
    Node& director = number % 2 == 0 ? **at : target;
    sql::Connection connection = director.connect();
    if (watch_) watch_->begin(active, target.name());
    SwitchoverResult result = Cluster::switch_to(target.name(), connection);
    out_ << "  " << number << "/" << options_.switchovers << "  " << active << " -> "
         << target.name() << ", asked on " << director.name() << ": ";
    if (result.error != 0) {
      ++outcome_.failed;
      out_ << "FAILED: error " << result.error << ' ' << result.summary.text << std::endl;
      // The statement may have failed and the role have moved all the same.
      (void)wait_until(kOutcomeLimit,
                       [&director] { return director.connect().value(kPhase) == "NONE"; });
      result.summary.done = Cluster::active_node(director) == target.name();
    }
    outcome_.recording.history.switchovers.push_back(result.summary);
    if (result.error != 0) return result.summary.done ? target.name() : active;
    outcome_.write_pauses_us.push_back(result.write_pause_us);
    out_ << "done in " << milliseconds(result.summary.end_us - result.summary.start_us)
         << std::endl;
    if (options_.show_phases) out_ << to_text(result.phases);
    return target.name();
  }

  const RunOptions& options_;
  Cluster& cluster_;
  Outcome& outcome_;
  std::ostream& out_;
  std::optional<ReadOnlyWatch> watch_;
};

}  // namespace

std::string to_text(const Report& report) {
  const auto gap = [](const std::optional<Gap>& g) {
    return g ? milliseconds(g->length_us()) : "-";
  };
  std::string text = "Longest gap        " + gap(report.longest_gap) + " between two commits; " +
                     gap(report.quiet_gap) + " away from switchovers\n" + "Writes             " +
                     std::to_string(report.acknowledged) + " acknowledged, " +
                     std::to_string(report.unknown_present + report.unknown_absent) +
                     " with unknown outcome (" + std::to_string(report.unknown_present) +
                     " of them are there)\n" + "Client errors      " +
                     std::to_string(report.errors_between) + " between transactions, " +
                     std::to_string(report.errors_inside) + " inside\n";
  for (const NodeReport& node : report.nodes) {
    text += "Rows on " + node.node +
            std::string(node.node.size() < 11 ? 11 - node.node.size() : 1, ' ') +
            std::to_string(node.acknowledged) + " of " + std::to_string(report.acknowledged) +
            " acknowledged found, " + std::to_string(node.missing) + " lost, " +
            std::to_string(node.duplicated) + " duplicated\n";
  }
  for (const std::string& violation : report.violations)
    text += "VIOLATED           " + violation + '\n';
  return text + (report.ok() ? "Result             ok\n" : "Result             FAILED\n");
}

bool run_switchovers(const RunOptions& options) {
  std::ostream& out = options.json ? std::cerr : std::cout;
  Outcome outcome;
  Cluster cluster(options.lab.installation, options.lab.cluster,
                  [&out](const std::string& text) { out << text << std::endl; });
  if (options.lab.keep_files) {
    cluster.keep_files();
    out << "Files are kept in " << cluster.directory().string() << std::endl;
  }
  outcome.machine = machine();
  outcome.versions = versions(cluster);
  for (const WorkloadOptions& workload : options.workloads) {
    outcome.via +=
        (outcome.via.empty() ? "" : " and ") +
        (workload.foreign ? to_string(*workload.foreign)
                          : std::string(workload.via == Via::kGate ? "gate" : "haproxy"));
    outcome.writers += workload.writers;
  }
  out << outcome.writers << " clients write through " << outcome.via << "; " << options.switchovers
      << " switchovers:" << std::endl;
  try {
    Switcher(options, cluster, outcome, out).run();
    cluster.wait_until_in_sync();
    outcome.recording.nodes = cluster.read_rows();
    for (const auto& node : cluster.nodes()) {
      for (auto& wrong : missed_handovers(*node, cluster.directory() / "binlog.txt"))
        outcome.report.violations.push_back(std::move(wrong));
      // In a circle of two each replicates from the other already: once by the lab, then never.
      const bool is_pair = cluster.nodes().size() == 2 && !options.lab.cluster.star;
      if (is_pair && node->changes_of_master() != 1)
        outcome.report.violations.push_back("CHANGE MASTER was run on " + node->name());
    }
  } catch (const LabError&) {
    cluster.keep_files();
    out << "Failed; the logs are in " << cluster.directory().string() << std::endl;
    throw;
  }
  const std::vector<std::string> seen = std::exchange(outcome.report.violations, {});
  outcome.report = check(outcome.recording, {});
  outcome.report.violations.insert(outcome.report.violations.end(), seen.begin(), seen.end());
  if (outcome.failed > 0) {
    outcome.report.violations.push_back(std::to_string(outcome.failed) + " switchovers failed");
  }
  const std::vector<std::string> complaints = cluster.stop();
  outcome.report.violations.insert(outcome.report.violations.end(), complaints.begin(),
                                   complaints.end());
  if (!options.recording.empty()) save(outcome.recording, options.recording);
  if (!outcome.report.ok()) {
    cluster.keep_files();
    out << "The logs are in " << cluster.directory().string() << std::endl;
  }
  if (options.json) {
    std::cout << to_json(outcome).dump(2) << std::endl;
  } else {
    std::cout << to_text(outcome);
  }
  return outcome.report.ok();
}

bool check_recording(const std::filesystem::path& file) {
  const Report report = check(load(file), {});
  std::cout << to_text(report);
  return report.ok();
}

void keep_up(const LabOptions& options) {
  Cluster cluster(options.installation, options.cluster,
                  [](const std::string& text) { std::cout << text << std::endl; });
  if (options.keep_files) cluster.keep_files();
  std::cout << "\nThe cluster is up. Files and logs: " << cluster.directory().string() << "\n\n";
  for (const auto& node : cluster.nodes()) {
    std::cout << node->name() << "  mariadb --no-defaults -u root -S " << node->socket().string()
              << "\n       active-master --no-defaults -u root -S " << node->socket().string()
              << " status\n";
  }
  if (cluster.has_proxy()) {
    std::cout << "\nClients, through HAProxy:\n       mariadb --no-defaults -h 127.0.0.1 -P "
              << cluster.proxy_port() << " -u " << kAppUser << " -p" << kAppPassword << " lab\n";
  }
  std::cout << "\nCtrl-C ends it." << std::endl;
  for (;;) {
    (void)wait_until(1s, [] { return false; });  // throws Interrupted
  }
}

}  // namespace active_master::lab
