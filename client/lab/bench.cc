#include "client/lab/bench.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "client/cli/chart.h"
#include "client/lab/outcome.h"
#include "client/lab/wait.h"
#include "client/lab/yardsticks.h"

namespace active_master::lab {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kYardsticks = 200;

struct Load {
  std::string name;
  WorkloadOptions clients;
  int nodes = 2;
  bool classic = true;  // held against a script's switchovers

  Load(std::string name_, Via via, int writers) : name(std::move(name_)) {
    clients.via = via;
    clients.writers = writers;
  }
};

std::vector<Load> loads() {
  constexpr std::chrono::milliseconds kEvery{16};  // 8 writers: 500 transactions a second
  std::vector<Load> all;
  for (const auto& [via, prefix] : {std::pair{Via::kGate, std::string("gate-")},
                                    std::pair{Via::kHaproxy, std::string("haproxy-")}}) {
    all.emplace_back(prefix + "500tx", via, 8).clients.every = kEvery;
    for (const int writers : {1, 8, 32})
      all.emplace_back(prefix + std::to_string(writers), via, writers);
  }
  // What else the pause may grow with, one thing at a time; without the script.
  const auto more = [&all](const std::string& name) -> Load& {
    all.emplace_back("gate-8-" + name, Via::kGate, 8).classic = false;
    return all.back();
  };
  for (const int standbys : {2, 4})
    more(std::to_string(standbys) + "-standbys").nodes = 1 + standbys;
  for (const uint32_t kib : {1, 8, 64}) {  // by the clock: as fast as they can they fill any disk
    auto& clients = more(std::to_string(kib) + "KiB-rows-500tx").clients;
    clients.row_bytes = kib * 1024;
    clients.every = kEvery;
  }
  for (const int ms : {10, 50, 200})
    more(std::to_string(ms) + "ms-transactions").clients.lasts = std::chrono::milliseconds(ms);
  return all;
}

struct Measured {
  Load load;
  Outcome outcome;
  std::vector<int64_t> commits;
  std::vector<int64_t> round_trips;
  ClassicSwitchovers classic;
};

// In which writes pause, in their order.
constexpr std::array kPausePhases{"PAUSE", "DRAIN", "FENCE", "HANDOVER", "CATCH_UP", "ACTIVATE"};

// With their medians.
std::vector<std::pair<std::string, int64_t>> pause_by_phase(const Outcome& outcome) {
  std::vector<std::pair<std::string, int64_t>> medians;
  for (const char* name : kPausePhases) {
    std::vector<int64_t> values;
    for (const SwitchoverResult& result : outcome.done) {
      for (const Phase& phase : result.phases) {
        if (phase.name == name) values.push_back(phase.duration_us);
      }
    }
    medians.emplace_back(name, spread(values).median);
  }
  return medians;
}

// What the longest pause was made of.
Json longest_pause(const Outcome& outcome) {
  const auto longest =
      std::ranges::max_element(outcome.done, {}, &SwitchoverResult::write_pause_us);
  Json phases;
  if (longest == outcome.done.end()) return phases;
  for (const Phase& phase : longest->phases) {
    if (std::ranges::find(kPausePhases, phase.name) != kPausePhases.end())
      phases[phase.name] = phase.duration_us;
  }
  return phases;
}

std::vector<int64_t> prediction_off_by(const Outcome& outcome) {
  auto predicted = outcome.predicted_pauses();
  const auto actual = outcome.write_pauses();
  for (size_t i = 0; i < predicted.size(); ++i) predicted[i] = std::abs(predicted[i] - actual[i]);
  return predicted;
}

Measured measure(const BenchOptions& options, const Load& load) {
  Measured measured{.load = load, .outcome = {}, .commits = {}, .round_trips = {}, .classic = {}};
  RunOptions run{
      .lab = options.lab, .workloads = {load.clients}, .switchovers = options.switchovers};
  run.lab.cluster.nodes = load.nodes;
  run.lab.cluster.star = load.nodes > 2;
  measured.outcome = play(
      run, std::cout,
      [&](Cluster& cluster) {
        measured.commits = replicated_commits(cluster, kYardsticks);
        measured.round_trips = message_round_trips(cluster, kYardsticks);
      },
      [&](Cluster& cluster) {
        if (options.classic_switchovers == 0 || !load.classic) return;
        std::cout << options.classic_switchovers << " classic switchovers" << std::endl;
        measured.classic =
            classic_switchovers(cluster, run.workloads.front(), options.classic_switchovers);
      });
  return measured;
}

Json to_json(const Measured& measured) {
  const Outcome& outcome = measured.outcome;
  Json phases;
  for (const auto& [name, median] : pause_by_phase(outcome)) phases[name] = median;
  return {{"load", measured.load.name},
          {"writers", measured.load.clients.writers},
          {"writes_per_second", outcome.writes_per_second()},
          {"switchovers", outcome.done.size()},
          {"failed", outcome.failed},
          {"violations", outcome.report.violations},
          {"gap_us", to_json(spread(outcome.gaps()))},
          {"write_pause_us", to_json(spread(outcome.write_pauses()))},
          {"predicted_pause_us", to_json(spread(outcome.predicted_pauses()))},
          {"prediction_off_by_us", to_json(spread(prediction_off_by(outcome)))},
          {"phase_median_us", phases},
          {"phase_of_longest_pause_us", longest_pause(outcome)},
          {"whole_us", to_json(spread(outcome.durations()))},
          {"client_errors", outcome.report.errors_between + outcome.report.errors_inside},
          {"acknowledged", outcome.report.acknowledged},
          {"replicated_commit_us", to_json(spread(measured.commits))},
          {"message_round_trip_us", to_json(spread(measured.round_trips))},
          {"classic_gap_us", to_json(spread(measured.classic.gaps))},
          {"classic_client_errors", measured.classic.errors}};
}

std::string ms(int64_t microseconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", static_cast<double>(microseconds) / 1000);
  return text;
}

std::string ms(const Spread& spread) {
  return ms(spread.median) + " (" + ms(spread.p99) + ")";
}

std::string ratio(int64_t a, int64_t b) {
  if (a == 0 || b == 0) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", static_cast<double>(a) / static_cast<double>(b));
  return text;
}

std::string to_markdown(const std::vector<Measured>& all) {
  std::string text =
      "Milliseconds, median (p99). The gap is the longest time between two acknowledged writes "
      "over "
      "all clients.\n\n"
      "| load | writes/s | gap | write pause in the server | predicted | off by | "
      "replicated commit | round trip | classic gap | classic / ours | client errors, ours / "
      "classic "
      "|\n"
      "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
  for (const Measured& measured : all) {
    const Outcome& outcome = measured.outcome;
    const Spread gap = spread(outcome.gaps());
    const Spread classic = spread(measured.classic.gaps);
    text += "| " + measured.load.name + " | " + std::to_string(outcome.writes_per_second()) +
            " | " + ms(gap) + " | " + ms(spread(outcome.write_pauses())) + " | " +
            ms(spread(outcome.predicted_pauses())) + " | " +
            ms(spread(prediction_off_by(outcome))) + " | " + ms(spread(measured.commits)) + " | " +
            ms(spread(measured.round_trips)) + " | " +
            (measured.classic.gaps.empty() ? "-" : ms(classic)) + " | " +
            ratio(classic.median, gap.median) + " | " +
            std::to_string(outcome.report.errors_between + outcome.report.errors_inside) + " / " +
            std::to_string(measured.classic.errors) + " |\n";
  }
  return text;
}

// Of the loads with a script's switchovers, or of the others.
std::string to_svg(const std::vector<Measured>& all, bool classic) {
  std::vector<cli::Bar> bars;
  const auto in_ms = [](int64_t us) { return static_cast<double>(us) / 1000; };
  for (const Measured& measured : all) {
    if (measured.load.classic != classic) continue;
    cli::Bar bar{.label = measured.load.name, .parts = {}};
    int64_t rest = spread(measured.outcome.gaps()).median;
    for (const auto& [name, median] : pause_by_phase(measured.outcome)) {
      bar.parts.push_back({name, in_ms(median)});
      rest -= median;
    }
    bar.parts.push_back({"to the next commit", in_ms(std::max<int64_t>(rest, 0))});
    bars.push_back(std::move(bar));
    if (measured.classic.gaps.empty()) continue;
    bars.push_back({.label = "classic",
                    .parts = {{"classic script", in_ms(spread(measured.classic.gaps).median)}}});
  }
  return cli::bar_chart("Gap between two commits in a switchover (medians)", "ms", bars);
}

// Whatever becomes of the loads that follow, these are kept. Returns the table.
std::string write(const std::vector<Measured>& all, const std::filesystem::path& folder) {
  Json json = {{"machine", all.front().outcome.machine},
               {"versions", all.front().outcome.versions},
               {"loads", Json::array()}};
  for (const Measured& measured : all) json["loads"].push_back(to_json(measured));
  std::string table = to_markdown(all);
  write_file(folder / "bench.json", json.dump(2) + "\n");
  write_file(folder / "bench.md", table);
  write_file(folder / "bench.svg", to_svg(all, true));
  write_file(folder / "bench-growth.svg", to_svg(all, false));
  return table;
}

}  // namespace

std::vector<std::string> bench_loads() {
  std::vector<std::string> names;
  for (const Load& load : loads()) names.push_back(load.name);
  return names;
}

bool run_bench(const BenchOptions& options) {
  std::filesystem::create_directories(options.out);
  std::vector<Measured> all;
  std::string table;
  bool ok = true;
  for (const Load& load : loads()) {
    const auto& only = options.only;
    if (!only.empty() && std::ranges::find(only, load.name) == only.end()) continue;
    std::cout << "--- " << load.name << std::endl;
    all.push_back(measure(options, load));
    table = write(all, options.out);
    for (const std::string& violation : all.back().outcome.report.violations) {
      std::cout << "VIOLATED           " << violation << std::endl;
      ok = false;
    }
  }
  if (all.empty()) throw LabError("No load was chosen");
  std::cout << "\n"
            << all.front().outcome.machine << "\n"
            << all.front().outcome.versions << "\n\n"
            << table << "\nWritten to " << options.out.string() << std::endl;
  return ok;
}

}  // namespace active_master::lab
