// What the lab plays beside faults: switchovers back and forth under load, proxies of every kind.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "client/checker/checker.h"
#include "client/lab/cluster.h"
#include "client/lab/workload.h"

namespace active_master::lab {

struct LabOptions {
  Installation installation = default_installation();
  ClusterOptions cluster;
  bool keep_files = false;
};

struct RunOptions {
  LabOptions lab;
  std::vector<WorkloadOptions> workloads;
  int switchovers = 100;
  std::chrono::milliseconds interval{0};  // between two switchovers
  bool show_phases = false;
  bool show_trace = false;           // of the last switchover
  std::filesystem::path trace = {};  // where to draw that
  bool watch_read_only = false;      // as a monitor that sees nothing else
  bool json = false;  // the summary as JSON on standard output, progress on the other
  std::filesystem::path recording = {};  // where to save what was seen
};

// True when nothing that must hold was violated.
[[nodiscard]] bool run_switchovers(const RunOptions& options);

// Every kind of proxy in one cluster of two nodes. True when nothing that must hold was violated.
[[nodiscard]] bool run_mixed(const LabOptions& options, int switchovers);

// A cluster for people to play with, until Ctrl-C.
void keep_up(const LabOptions& options);

// Reads a recording and checks it again, by the rules that are in it.
[[nodiscard]] bool check_recording(const std::filesystem::path& file);

// What the report says, for people.
[[nodiscard]] std::string to_text(const Report& report);

}  // namespace active_master::lab
