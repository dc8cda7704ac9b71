// active-master-lab: real clusters on one machine, to see, to measure and to break.

#include <signal.h>

#include <CLI/CLI.hpp>
#include <iomanip>
#include <iostream>

#include "client/lab/bench.h"
#include "client/lab/fanout.h"
#include "client/lab/faults.h"
#include "client/lab/scenario.h"
#include "client/lab/wait.h"

namespace {

using namespace active_master::lab;

constexpr const char* kFooter = R"(Exit codes:
  0  everything held
  1  something that must hold was violated, or the lab itself failed
  2  wrong options
  130  interrupted

All servers listen on 127.0.0.1 only, on ports that are free, with their data in a temporary
directory; they end with this program.)";

struct CommandLine {
  LabOptions lab;
  FaultOptions faults;
  RunOptions run;
  BenchOptions bench;
  FanoutOptions fanout;
  bool list = false;
  bool with_gate = false;
  int writers = 8;
  int demo_switchovers = 4;
  int mixed_switchovers = 2;
  int64_t think_us = 0;
  int64_t demo_think_us = 1000;
  int64_t interval_ms = 0;
  std::vector<std::string> via = {"haproxy"};
  Statements statements = Statements::kPlain;
  bool no_agents = false;
  std::string recording;
};

void add_lab_options(CLI::App& app, LabOptions& lab) {
  app.add_flag("--keep", lab.keep_files, "Keep the servers' files when done");
  app.add_option("--set", lab.cluster.settings,
                 "A line for every server's option file: NAME=VALUE");
  app.add_option("--parallel-threads", lab.cluster.parallel_threads, "slave_parallel_threads")
      ->check(CLI::Range(0, 64));
  app.add_option("--plugin", lab.installation.plugin, "The plugin, active_master.so");
  app.add_option("--install-sql", lab.installation.install_sql, "sql/install.sql");
  app.add_option("--agent", lab.installation.agent, "The program active-master-agent");
  app.add_option("--mariadbd", lab.installation.mariadbd, "The MariaDB server");
  app.add_option("--haproxy", lab.installation.haproxy, "HAProxy");
}

void add_nodes(CLI::App& command, CommandLine& line) {
  command.add_option("--nodes", line.lab.cluster.nodes, "MariaDB servers")->check(CLI::Range(2, 9));
  command.add_flag("--star", line.lab.cluster.star,
                   "Standbys replicate from node1 only, so that a switchover changes their master");
}

// Clients through HAProxy, through a gate, or both.
std::vector<WorkloadOptions> workloads(const CommandLine& line, std::chrono::microseconds think) {
  std::vector<WorkloadOptions> all;
  for (const std::string& via : line.via) {
    const bool gate = via == "gate";
    WorkloadOptions options{.via = gate ? Via::kGate : Via::kHaproxy,
                            .writers = line.writers,
                            .think = think,
                            .first_client = static_cast<uint32_t>(1 + 1000 * all.size()),
                            .agent = !line.no_agents,
                            .statements = line.statements};
    for (const auto kind : {ForeignKind::kProxysql, ForeignKind::kMaxscale}) {
      if (via == to_string(kind)) options.foreign = kind;
    }
    all.push_back(options);
  }
  return all;
}

bool uses(const CommandLine& line, std::string_view via) {
  return std::find(line.via.begin(), line.via.end(), via) != line.via.end();
}

int result(bool ok) {
  return ok ? 0 : 1;
}

int run(int argc, char** argv) {
  CommandLine line;
  CLI::App app("Real clusters on one machine, to see, to measure and to break.",
               "active-master-lab");
  app.footer(kFooter);
  app.require_subcommand(1);
  app.fallthrough();
  app.option_defaults()->always_capture_default();
  add_lab_options(app, line.lab);

  auto* demo =
      app.add_subcommand("demo", "Two nodes, HAProxy, clients; the role moves there and back");
  demo->add_option("--writers", line.writers, "Clients")->check(CLI::Range(1, 400));
  demo->add_option("--switchovers", line.demo_switchovers, "How often");
  demo->add_option("--think-us", line.demo_think_us, "A client's pause between two writes");
  demo->add_flag("--gate", line.with_gate, "As many clients through an in-process gate, too");

  auto* many = app.add_subcommand("run", "Many switchovers under load, and what they cost");
  many->add_option("--switchovers", line.run.switchovers, "How many")
      ->check(CLI::Range(0, 1000000));
  many->add_option("--writers", line.writers, "Clients, each way")->check(CLI::Range(1, 400));
  many->add_option(
          "--via", line.via,
          "How they connect: haproxy, gate, proxysql, maxscale, or several, also of a kind")
      ->check(CLI::IsMember({"haproxy", "gate", "proxysql", "maxscale"}))
      ->delimiter(',');
  many->add_option("--statements", line.statements, "What a write is made of")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, Statements>{{"plain", Statements::kPlain},
                                            {"auto-increment", Statements::kAutoIncrement},
                                            {"user-variables", Statements::kUserVariables}}));
  many->add_flag("--no-agents", line.no_agents,
                 "ProxySQL and MaxScale have their own monitors only, which look at read_only");
  many->add_option("--think-us", line.think_us, "A client's pause between two writes; 0: none");
  many->add_option("--interval-ms", line.interval_ms, "Pause between two switchovers");
  for (CLI::App* command : {demo, many}) {
    command->add_option("--trace", line.run.trace, "Draw the last switchover into this SVG file");
  }
  many->add_flag("--phases", line.run.show_phases, "Show the phases of each switchover");
  many->add_flag("--watch-read-only", line.run.watch_read_only,
                 "Look at read_only on every node, about 1000 times a second each");
  many->add_flag("--json", line.run.json, "The summary as JSON; progress goes to standard error");
  many->add_option("--save", line.run.recording,
                   "Save what the clients saw and what the tables hold");
  add_nodes(*many, line);

  auto* bench = app.add_subcommand(
      "bench", "How long writes pause, by load, and what the same takes by a script");
  bench->add_option("--switchovers", line.bench.switchovers, "Of each load")
      ->check(CLI::Range(1, 100000));
  bench
      ->add_option("--classic", line.bench.classic_switchovers,
                   "As many by a script, without the plugin")
      ->check(CLI::Range(0, 100000));
  bench->add_option("--only", line.bench.only, "Only these loads")
      ->check(CLI::IsMember(bench_loads()))
      ->delimiter(',');
  bench->add_option("--out", line.bench.out, "Folder for bench.json, bench.md and bench.svg");

  auto* fanout = app.add_subcommand("fanout", "Switchovers and idle nodes with many subscribers");
  fanout->add_option("--subscribers", line.fanout.subscribers, "How many, one after the other")
      ->check(CLI::Range(1, 8000))
      ->delimiter(',');
  fanout->add_option("--switchovers", line.fanout.switchovers, "With each number of subscribers")
      ->check(CLI::Range(1, 100000));
  fanout->add_option("--out", line.fanout.out, "Folder for fanout.json and fanout.md");

  auto* faults = app.add_subcommand("faults", "Break things, and see that nothing is lost");
  faults
      ->add_option("--only", line.faults.only,
                   "Only these scenarios; NAME* for all that begin with NAME")
      ->delimiter(',');
  faults->add_option("--save", line.faults.recordings,
                     "A directory for what was seen of each scenario, as `check` reads it");
  faults->add_flag("--all", line.faults.all, "Every scenario, not only the representative ones");
  faults->add_flag("--list", line.list, "Show the scenarios");
  faults
      ->add_option("--soak", line.faults.soak,
                   "Instead: so many random faults, and two switchovers for each")
      ->check(CLI::Range(1, 1000000));
  faults->add_option("--seed", line.faults.seed, "Of the soak; the same faults in the same order");
  faults
      ->add_option("--failovers", line.faults.failovers,
                   "Instead: kill the active master of three voters so often, and see how long it "
                   "takes until another takes writes")
      ->check(CLI::Range(1, 100000));
  faults->add_flag("--by-hand", line.faults.by_hand, "Of these: without voters, by force_failover");
  faults->add_flag("--freeze", line.faults.freeze, "Of these: SIGSTOP instead of kill -9");
  faults->add_flag("--cut", line.faults.cut, "Of these: and no packet between it and another node");
  int64_t lease_ms = line.faults.lease.count();
  faults->add_option("--lease", lease_ms, "active_master_lease of these, in ms")
      ->check(CLI::Range(100, 60000));

  auto* mixed = app.add_subcommand("mixed", "Every kind of proxy in one cluster");
  mixed->add_option("--switchovers", line.mixed_switchovers, "How many")
      ->check(CLI::Range(1, 1000000));

  auto* up = app.add_subcommand("up", "Start a cluster and keep it until Ctrl-C");
  add_nodes(*up, line);

  auto* check = app.add_subcommand("check", "Check a saved recording again");
  check->add_option("FILE", line.recording, "What `run --save` or `faults --save` wrote")
      ->required();

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }

  watch_for_interrupts();
  ::signal(SIGPIPE, SIG_IGN);
  if (check->parsed()) return result(check_recording(line.recording));
  if (up->parsed()) {
    keep_up(line.lab);
    return 0;
  }
  if (fanout->parsed()) {
    line.fanout.lab = line.lab;
    run_fanout(line.fanout);
    return 0;
  }
  if (bench->parsed()) {
    line.bench.lab = line.lab;
    return result(run_bench(line.bench));
  }
  if (mixed->parsed()) return result(run_mixed(line.lab, line.mixed_switchovers));
  if (faults->parsed()) {
    if (line.list) {
      for (const Scenario& scenario : scenarios()) {
        std::cout << std::left << std::setw(34) << scenario.name << ' ' << std::setw(14)
                  << scenario.rows << ' ' << scenario.verifies << '\n';
      }
      return 0;
    }
    line.faults.lab = line.lab;
    if (needs_isolation(line.faults)) (void)Wires::isolate(line.faults.no_isolation);
    line.faults.lease = std::chrono::milliseconds(lease_ms);
    return result(line.faults.failovers > 0 ? run_failovers(line.faults)
                  : line.faults.soak > 0    ? run_soak(line.faults)
                                            : run_faults(line.faults));
  }
  if (demo->parsed()) {
    if (line.with_gate) line.via.emplace_back("gate");
    line.run.switchovers = line.demo_switchovers;
    line.run.show_phases = line.run.show_trace = true;
    line.run.interval = std::chrono::milliseconds(500);
    line.run.workloads = workloads(line, std::chrono::microseconds(line.demo_think_us));
  } else {
    line.run.interval = std::chrono::milliseconds(line.interval_ms);
    line.run.workloads = workloads(line, std::chrono::microseconds(line.think_us));
  }
  for (const auto& workload : line.run.workloads) {
    if (!workload.foreign || find_program(*workload.foreign)) continue;
    const std::string name = to_string(*workload.foreign);
    std::cout << "SKIPPED  no " << name << " was found, neither in PATH nor by "
              << (name == "proxysql" ? "PROXYSQL_BIN" : "MAXSCALE_BIN") << std::endl;
    return 0;
  }
  line.run.lab = line.lab;
  line.run.lab.cluster.proxy = uses(line, "haproxy");
  return result(run_switchovers(line.run));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const Interrupted&) {
    std::cerr << "Interrupted; everything is stopped.\n";
    return 130;
  } catch (const std::exception& error) {
    std::cerr << "active-master-lab: " << error.what() << '\n';
    return 1;
  }
}
