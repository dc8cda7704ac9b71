#include "client/lab/outcome.h"

#include <sys/utsname.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <ostream>
#include <set>
#include <utility>

#include "client/lab/binlog.h"
#include "client/lab/read_only_watch.h"
#include "client/lab/wait.h"

namespace active_master::lab {
namespace {

using namespace std::chrono_literals;

constexpr auto kWriteLimit = 30s;
constexpr auto kOutcomeLimit = 30s;
constexpr const char* kPhase = "SELECT PHASE FROM INFORMATION_SCHEMA.ACTIVE_MASTER_STATE";
constexpr uint64_t kWritesBetween = 200;  // traffic must really run before the next switchover

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

// "NAME 1.2", of a program that says so at the begin of a line, maybe with more words before the
// number.
std::string version(const Cluster& cluster, const std::string& name,
                    const std::filesystem::path& program, const std::string& option) {
  const std::filesystem::path file = cluster.directory() / (name + ".version");
  run({.name = name, .arguments = {program, option}, .log = file}, 10s);
  std::string line = first_line_of(file, name);
  line = line.substr(std::min(line.find_first_of("0123456789"), line.size()));
  return name + " " + line.substr(0, line.find_first_of(" ,"));
}

std::string versions(Cluster& cluster, const std::vector<WorkloadOptions>& workloads) {
  const auto server = cluster.nodes().front()->connect().value("SELECT VERSION()");
  std::set<std::string> proxies;
  if (cluster.has_proxy())
    proxies.insert(version(cluster, "HAProxy", cluster.installation().haproxy, "-v"));
  for (const auto& workload : workloads) {
    if (!workload.foreign) continue;
    const bool is_proxysql = *workload.foreign == ForeignKind::kProxysql;
    proxies.insert(version(cluster, is_proxysql ? "ProxySQL" : "MaxScale",
                           find_program(*workload.foreign).value(), "--version"));
  }
  std::string text = "MariaDB " + server.value_or("unknown");
  for (const auto& proxy : proxies) text += ", " + proxy;
  return text;
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

class Switcher {
 public:
  Switcher(const RunOptions& options, Cluster& cluster, Outcome& outcome, std::ostream& out)
      : options_(options), cluster_(cluster), outcome_(outcome), out_(out) {}

  void run() {
    std::vector<std::unique_ptr<ForeignProxy>> proxies;
    std::vector<std::unique_ptr<Workload>> workloads;  // last: they end first
    for (WorkloadOptions workload : options_.workloads) {
      prepare_for(workload);
      if (workload.foreign) {
        proxies.push_back(std::make_unique<ForeignProxy>(
            cluster_, *workload.foreign,
            to_string(*workload.foreign) + std::to_string(proxies.size() + 1), workload.agent));
        workload.port = proxies.back()->port();
        for (const auto& one : proxies) {
          one->meet(*proxies.back());
          proxies.back()->meet(*one);
        }
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
      pass(options_.interval);
    }
    for (const auto& workload : workloads) workload->stop(history);
    for (const auto& proxy : proxies) {
      if (!proxy->has_agent()) continue;
      const std::string target = neighbor_of(active).name();
      for (auto& wrong : proxy->wrong_with_statement(target))
        outcome_.report.violations.push_back(std::move(wrong));
      active = Cluster::active_node(*cluster_.nodes().front());
    }
    if (watch_) out_ << "read_only was looked at " << watch_->samples() << " times" << std::endl;
  }

 private:
  void prepare_for(const WorkloadOptions& workload) {
    if (workload.statements == Statements::kAutoIncrement)
      add_column("id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, KEY id (id)");
    if (workload.row_bytes != 0) add_column("pad MEDIUMBLOB");
    cluster_.wait_until_in_sync();
  }
  void add_column(const std::string& definition) {
    cluster_.nodes().front()->connect().execute("ALTER TABLE lab.writes ADD IF NOT EXISTS (" +
                                                definition + ")");
  }

  // The node that replicates from this one.
  Node& neighbor_of(const std::string& name) {
    auto& nodes = cluster_.nodes();
    const auto at = std::ranges::find(nodes, name, &Node::name);
    return at + 1 == nodes.end() ? *nodes.front() : **(at + 1);
  }

  // Returns who is the active master afterwards.
  std::string one(int number, const std::string& active) {
    // By turns the statement is given there and here.
    Node& target = neighbor_of(active);
    Node& director = number % 2 == 0 ? cluster_.node(active) : target;
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
    out_ << "done in " << milliseconds(result.summary.end_us - result.summary.start_us)
         << std::endl;
    if (options_.show_phases) out_ << to_text(result.phases);
    outcome_.done.push_back(std::move(result));
    return target.name();
  }

  const RunOptions& options_;
  Cluster& cluster_;
  Outcome& outcome_;
  std::ostream& out_;
  std::optional<ReadOnlyWatch> watch_;
};

}  // namespace

std::string milliseconds(int64_t microseconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f ms", static_cast<double>(microseconds) / 1000);
  return text;
}

Spread spread(std::vector<int64_t> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  return {values[values.size() / 2], values.front(), values.back(),
          values[values.size() * 99 / 100]};
}

nlohmann::ordered_json to_json(const Spread& spread) {
  return {{"median", spread.median}, {"p99", spread.p99}, {"min", spread.min}, {"max", spread.max}};
}

std::vector<int64_t> Outcome::gaps() const {
  std::vector<int64_t> all;
  for (const auto& gap : report.switchover_gaps) {
    if (gap) all.push_back(gap->length_us());
  }
  return all;
}

std::vector<int64_t> Outcome::write_pauses() const {
  std::vector<int64_t> all;
  for (const SwitchoverResult& result : done) all.push_back(result.write_pause_us);
  return all;
}

std::vector<int64_t> Outcome::predicted_pauses() const {
  std::vector<int64_t> all;
  for (const SwitchoverResult& result : done) all.push_back(result.phases.at(0).duration_us);
  return all;
}

std::vector<int64_t> Outcome::durations() const {
  std::vector<int64_t> all;
  for (const SwitchoverResult& result : done)
    all.push_back(result.summary.end_us - result.summary.start_us);
  return all;
}

double Outcome::seconds() const {
  const std::vector<Write>& writes = recording.history.writes;
  if (writes.empty()) return 0;
  const int64_t start = std::ranges::min_element(writes, {}, &Write::start_us)->start_us;
  const int64_t end = std::ranges::max_element(writes, {}, &Write::end_us)->end_us;
  return static_cast<double>(end - start) / 1e6;
}

uint64_t Outcome::writes_per_second() const {
  const double length = seconds();
  return length > 0 ? static_cast<uint64_t>(static_cast<double>(report.acknowledged) / length) : 0;
}

Outcome play(const RunOptions& options, std::ostream& out, const Visit& before,
             const Visit& after) {
  Outcome outcome;
  Cluster cluster(options.lab.installation, options.lab.cluster,
                  [&out](const std::string& text) { out << text << std::endl; });
  if (options.lab.keep_files) {
    cluster.keep_files();
    out << "Files are kept in " << cluster.directory().string() << std::endl;
  }
  outcome.machine = machine();
  outcome.versions = versions(cluster, options.workloads);
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
    if (before) before(cluster);
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
    if (after) after(cluster);
  } catch (const LabError&) {
    cluster.keep_files();
    out << "Failed; the logs are in " << cluster.directory().string() << std::endl;
    throw;
  }
  const std::vector<std::string> seen = std::exchange(outcome.report.violations, {});
  // A proxy without an agent holds nothing back.
  const bool is_cut = std::ranges::any_of(options.workloads, [](const WorkloadOptions& workload) {
    return workload.foreign && !workload.agent;
  });
  outcome.recording.rules.errors_inside_allowed = is_cut;
  outcome.report = check(outcome.recording);
  outcome.report.violations.insert(outcome.report.violations.end(), seen.begin(), seen.end());
  if (outcome.failed > 0) {
    outcome.report.violations.push_back(std::to_string(outcome.failed) + " switchovers failed");
  }
  const std::vector<std::string> complaints = cluster.stop();
  outcome.report.violations.insert(outcome.report.violations.end(), complaints.begin(),
                                   complaints.end());
  if (!outcome.report.ok()) {
    cluster.keep_files();
    out << "The logs are in " << cluster.directory().string() << std::endl;
  }
  return outcome;
}

}  // namespace active_master::lab
