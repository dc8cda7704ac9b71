// Every kind of proxy in one cluster: two HAProxy with their agents, an in-process gate, a proxy
// that speaks only SQL, and one that is steered by a program; clients write through each of them.

#include <signal.h>

#include <fstream>
#include <iostream>
#include <sstream>

#include "client/lab/read_only_watch.h"
#include "client/lab/scenario.h"
#include "client/lab/steered_gate.h"
#include "client/lab/wait.h"

namespace active_master::lab {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr auto kLimit = 60s;
constexpr uint64_t kWritesBetween = 200;  // through each of the five, so 1000 in all
constexpr unsigned kProxiesDidNotHold = 33312;
constexpr int kProxies = 5;

std::string read_file(const fs::path& file) {
  std::stringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

void write_program(const fs::path& file, const std::string& text) {
  std::ofstream(file) << text;
  fs::permissions(file, fs::perms::owner_all);
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size()) {
    text.replace(at, what.size(), by);
  }
  return text;
}

// The proxies beside the cluster's own HAProxy, with the processes that steer them.
class Proxies {
 public:
  explicit Proxies(Cluster& cluster) : cluster_(cluster) {
    start_haproxy();
    start_exec();
    start_sql();
  }

  // What the traffic goes through: one load for each proxy.
  [[nodiscard]] std::vector<std::unique_ptr<Workload>> loads() {
    std::vector<std::unique_ptr<Workload>> loads;
    uint32_t first = 1;
    const auto add = [&](WorkloadOptions options) {
      options.writers = 2;
      options.think = 10ms;
      options.first_client = first;
      first += 100;
      loads.push_back(std::make_unique<Workload>(cluster_, options));
    };
    add({.via = Via::kHaproxy});
    add({.via = Via::kHaproxy, .port = haproxy_port_.number()});
    add({.via = Via::kGate});
    add({.via = Via::kGate, .gate = &by_exec_.gate()});
    add({.via = Via::kGate, .gate = &by_sql_.gate()});
    return loads;
  }

  [[nodiscard]] Process& exec_agent() { return *exec_agent_; }
  [[nodiscard]] Process& sql_proxy() { return *sql_proxy_; }

 private:
  void start(std::unique_ptr<Process>& process, const std::string& name,
             std::vector<std::string> arguments) {
    process = std::make_unique<Process>(Command{.name = name,
                                                .arguments = std::move(arguments),
                                                .log = cluster_.directory() / (name + ".log")});
  }

  void start_haproxy() {
    const fs::path file = cluster_.directory() / "haproxy2.cfg";
    const fs::path socket = cluster_.directory() / "haproxy2.socket";
    std::ofstream(file) << replaced(
        replaced(read_file(cluster_.directory() / "haproxy.cfg"),
                 "127.0.0.1:" + std::to_string(cluster_.proxy_port()), haproxy_port_.address()),
        cluster_.proxy_socket().string(), socket.string());
    start(haproxy_, "haproxy2", {cluster_.installation().haproxy, "-db", "-f", file});
    require("The second HAProxy isn't ready", kLimit, [&] { return fs::exists(socket); });
    auto arguments = cluster_.agent_arguments("haproxy2");
    for (const std::string& argument :
         {"--haproxy-socket=" + socket.string(), std::string("--backend=active_master"),
          std::string("--server=active"), "--frontend=" + haproxy_port_.address(),
          "--park=" + closed_port_.address()}) {
      arguments.push_back(argument);
    }
    start(haproxy_agent_, "haproxy2-agent", arguments);
  }

  void start_exec() {
    const fs::path program = cluster_.directory() / "steer";
    write_program(program,
                  "#!/bin/bash\n"
                  "input=$(cat)\n"
                  "case $1 in\n"
                  "  check | verify) exit 0 ;;\n"
                  "  hold) order=hold ;;\n"
                  "  open)\n"
                  "    [[ $input =~ \\\"active\\\":\\{\\\"node\\\":\\\"[^\\\"]*\\\",\\\"host\\\":"
                  "\\\"([^\\\"]*)\\\",\\\"port\\\":([0-9]+) ]] || exit 1\n"
                  "    order=\"open ${BASH_REMATCH[1]} ${BASH_REMATCH[2]}\" ;;\n"
                  "esac\n"
                  "exec 3<>/dev/tcp/127.0.0.1/" +
                      std::to_string(by_exec_.port()) +
                      "\n"
                      "echo \"$order\" >&3 && read -r answer <&3 && [[ $answer == ok ]]\n");
    auto arguments = cluster_.agent_arguments("exec1");
    arguments.push_back("--driver=exec");
    arguments.push_back("--exec-program=" + program.string());
    start(exec_agent_, "exec1-agent", arguments);
  }

  void start_sql() {
    const fs::path hook = cluster_.directory() / "hook";
    write_program(hook, "#!/bin/bash\nexec 3<>/dev/tcp/127.0.0.1/" +
                            std::to_string(by_sql_.port()) +
                            "\necho \"$*\" >&3 && read -r answer <&3 && [[ $answer == ok ]]\n");
    std::ofstream(cluster_.directory() / ".my.cnf") << "[client]\nuser=proxy\npassword=proxy\n";
    sql::Connection connection = cluster_.nodes().front()->connect();
    connection.execute("CREATE USER proxy@'127.0.0.1' IDENTIFIED BY 'proxy'");
    for (const char* procedure : {"register_proxy", "wait_event", "acknowledge"}) {
      connection.execute(std::string("GRANT EXECUTE ON PROCEDURE active_master.") + procedure +
                         " TO proxy@'127.0.0.1'");
    }
    cluster_.wait_until_in_sync();
    std::vector<std::string> arguments = {"/usr/bin/env",
                                          "HOME=" + cluster_.directory().string(),
                                          cluster_.installation().sql_proxy,
                                          "sql1",
                                          "127.0.0.1",
                                          hook};
    for (const auto& node : cluster_.nodes()) arguments.push_back(node->sql_address());
    start(sql_proxy_, "sql1", arguments);
  }

  Cluster& cluster_;
  Port haproxy_port_;
  Port closed_port_;
  SteeredGate by_exec_;
  SteeredGate by_sql_;
  std::unique_ptr<Process> haproxy_;
  std::unique_ptr<Process> haproxy_agent_;
  std::unique_ptr<Process> exec_agent_;
  std::unique_ptr<Process> sql_proxy_;
};

class Mixed {
 public:
  Mixed(Cluster& cluster, int switchovers)
      : cluster_(cluster), switchovers_(switchovers), proxies_(cluster), loads_(proxies_.loads()) {}

  [[nodiscard]] Report run() {
    active_ = Cluster::active_node(*cluster_.nodes().front());
    recording_.history.first_active = active_;
    ReadOnlyWatch watch(cluster_);
    wait_for_traffic();
    for (int i = 1; i <= switchovers_; ++i) {
      std::cout << "  " << i << "/" << switchovers_ << "  " << switch_once(watch) << std::endl;
      wait_for_traffic();
    }
    for (Process* frozen : {&proxies_.exec_agent(), &proxies_.sql_proxy()}) refuse_without(*frozen);
    for (const auto& load : loads_) load->stop(recording_.history);
    cluster_.wait_until_in_sync();
    recording_.nodes = cluster_.read_rows();
    std::cout << "read_only was looked at " << watch.samples() << " times" << std::endl;
    Report report = check(recording_);
    report.violations.insert(report.violations.end(), violations_.begin(), violations_.end());
    return report;
  }

 private:
  [[nodiscard]] Node& other() {
    auto& nodes = cluster_.nodes();
    return *nodes[nodes[0]->name() == active_ ? 1 : 0];
  }

  std::string switch_once(ReadOnlyWatch& watch) {
    Node& from = cluster_.node(active_);
    Node& to = other();
    sql::Connection director = from.connect();
    watch.begin(from.name(), to.name());
    const SwitchoverResult result = Cluster::switch_to(to.name(), director);
    recording_.history.switchovers.push_back(result.summary);
    if (result.error != 0)
      throw LabError("error " + std::to_string(result.error) + " " + result.summary.text);
    // As the old active master, which directed it, knows them: each held for it and has opened.
    const auto open = director.value(
        "SELECT COUNT(*) FROM INFORMATION_SCHEMA.ACTIVE_MASTER_PROXIES WHERE SWITCH = 0 AND NODE = "
        "'" +
        to.name() + "'");
    if (open != std::to_string(kProxies)) {
      violations_.push_back("only " + open.value_or("none") + " of " + std::to_string(kProxies) +
                            " proxies opened to " + to.name() + ": " + result.phases.back().detail);
    }
    active_ = to.name();
    cluster_.wait_until_healthy(active_);
    if (const auto seen = watch.end(true); !seen.empty()) violations_.push_back(seen);
    return from.name() + " -> " + to.name() + ": writes paused for " +
           std::to_string(result.write_pause_us / 1000) + " ms";
  }

  // Whoever doesn't hold is waited for before anything is fenced.
  void refuse_without(Process& frozen) {
    frozen.signal(SIGSTOP);
    sql::Connection director = cluster_.node(active_).connect();
    const SwitchoverResult result = Cluster::switch_to(other().name(), director);
    frozen.signal(SIGCONT);
    recording_.history.switchovers.push_back(result.summary);
    std::cout << "  without " << frozen.name() << ": " << result.summary.text << std::endl;
    if (result.error != kProxiesDidNotHold) {
      violations_.push_back("a switchover without " + frozen.name() + " was not refused for that");
    }
    wait_for_traffic();
  }

  // Every proxy is registered and open, and lets writes through.
  void wait_for_traffic() {
    cluster_.wait_until_healthy(active_);
    sql::Connection connection = cluster_.node(active_).connect();
    require("Not all proxies are there and open", kLimit, [&] {
      return connection.value(
                 "SELECT COUNT(*) FROM INFORMATION_SCHEMA.ACTIVE_MASTER_PROXIES "
                 "WHERE SWITCH = 0 AND STATE = 'CONNECTED'") == std::to_string(kProxies);
    });
    for (size_t i = 0; i < loads_.size(); ++i) {
      if (!loads_[i]->wait_for_writes(kWritesBetween, kLimit)) {
        throw LabError("Writes don't go on through proxy " + std::to_string(i + 1));
      }
    }
  }

  Cluster& cluster_;
  const int switchovers_;
  std::string active_;
  Recording recording_;
  std::vector<std::string> violations_;
  Proxies proxies_;
  std::vector<std::unique_ptr<Workload>> loads_;
};

}  // namespace

bool run_mixed(const LabOptions& options, int switchovers) {
  // Scripts are slow on a busy machine.
  ClusterOptions patient = options.cluster;
  for (const char* setting :
       {"active_master_approach_max_lag=5000", "active_master_approach_timeout=60000",
        "active_master_pause_timeout=5000", "active_master_catch_up_timeout=8000",
        "active_master_resume_timeout=30000", "active_master_switchover_timeout=180000"}) {
    patient.settings.emplace_back(setting);
  }
  Cluster cluster(options.installation, patient,
                  [](const std::string& text) { std::cout << text << std::endl; });
  if (options.keep_files) cluster.keep_files();
  Report report;
  try {
    std::cout << "Two HAProxy, a gate, a program and a SQL-only proxy; " << switchovers
              << " switchovers:" << std::endl;
    report = Mixed(cluster, switchovers).run();
  } catch (const LabError&) {
    cluster.keep_files();
    std::cout << "Failed; the logs are in " << cluster.directory().string() << std::endl;
    throw;
  }
  const auto complaints = cluster.stop();
  report.violations.insert(report.violations.end(), complaints.begin(), complaints.end());
  if (!report.ok()) {
    cluster.keep_files();
    std::cout << "The logs are in " << cluster.directory().string() << std::endl;
  }
  std::cout << to_text(report);
  return report.ok();
}

}  // namespace active_master::lab
