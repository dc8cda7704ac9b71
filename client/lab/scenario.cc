#include "client/lab/scenario.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "client/cli/trace.h"
#include "client/lab/outcome.h"
#include "client/lab/wait.h"

namespace active_master::lab {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::ordered_json;

std::string to_text(const Spread& spread) {
  return milliseconds(spread.median) + " / " + milliseconds(spread.min) + " / " +
         milliseconds(spread.max);
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
          {"seconds", outcome.seconds()},
          {"switchovers", history.switchovers.size()},
          {"switchovers_done", outcome.done.size()},
          {"duration_us", to_json(spread(outcome.durations()))},
          {"gap_us", to_json(spread(outcome.gaps()))},
          {"write_pause_us", to_json(spread(outcome.write_pauses()))},
          {"longest_gap_us", length(report.longest_gap)},
          {"longest_quiet_gap_us", length(report.quiet_gap)},
          {"writes_acknowledged", report.acknowledged},
          {"writes_per_second", outcome.writes_per_second()},
          {"errors_between", report.errors_between},
          {"errors_inside", report.errors_inside},
          {"unknown_present", report.unknown_present},
          {"unknown_absent", report.unknown_absent},
          {"failed_present", report.failed_present},
          {"two_masters", report.two_masters},
          {"nodes", nodes}};
}

std::string to_text(const Outcome& outcome) {
  return "\nMachine            " + outcome.machine + "\nVersions           " + outcome.versions +
         "\nLoad               " + std::to_string(outcome.writers) + " writers through " +
         outcome.via + ", " + std::to_string(outcome.writes_per_second()) + " writes/s" +
         "\nSwitchovers        " + std::to_string(outcome.done.size()) + " done, " +
         std::to_string(outcome.failed) + " failed" + "\n  whole            " +
         to_text(spread(outcome.durations())) + "  (median / min / max)" + "\n  write pause      " +
         to_text(spread(outcome.write_pauses())) + "\n  gap for clients  " +
         to_text(spread(outcome.gaps())) + "\n" + lab::to_text(outcome.report);
}

// As a client sees it that may connect to every node.
void show_trace(const RunOptions& options, Cluster& cluster) {
  sql::Options connection;
  connection.host = "127.0.0.1";
  connection.port = cluster.nodes().front()->sql_port();
  connection.user = kAppUser;
  connection.password = kAppPassword;
  const cli::Trace trace = cli::read_trace(connection, 0);
  (options.json ? std::cerr : std::cout) << "\n" << cli::trace_text(trace);
  if (!options.trace.empty()) write_file(options.trace, cli::trace_svg(trace));
}

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
  const Outcome outcome =
      play(options, options.json ? std::cerr : std::cout, {}, [&](Cluster& cluster) {
        if (options.show_trace || !options.trace.empty()) show_trace(options, cluster);
      });
  if (!options.recording.empty()) save(outcome.recording, options.recording);
  if (options.json) {
    std::cout << to_json(outcome).dump(2) << std::endl;
  } else {
    std::cout << to_text(outcome);
  }
  return outcome.report.ok();
}

bool check_recording(const std::filesystem::path& file) {
  const Report report = check(load(file));
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
    pass(1s);  // throws Interrupted
  }
}

}  // namespace active_master::lab
