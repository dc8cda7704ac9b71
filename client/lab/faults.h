// Fault scenarios: what each one verifies, and its script. One file for each theme.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "client/lab/scenario.h"

namespace active_master::lab {

class Play;

// The cluster that a scenario is played in; those of the same kind share one.
enum class Setting {
  kPair,      // two nodes in a ring
  kStar,      // three nodes, whose standbys replicate from the active master only
  kSemiSync,  // the pair, of which the active master waits for the standby
  // Machines that can be cut off, whose standbys replicate from the active master only.
  kWires,          // three nodes
  kSemiSyncWires,  // and the same with semi-synchronous replication
  kVoters,         // and the same that vote, with automatic failover
  kWitness,        // so do two nodes and a witness
  kSmallDisks,     // the pair, each with a file system of its own
  // The same as the first two with the plugin and the agent that have fault points.
  kPoints,
  kPointsStar,
};

struct Scenario {
  std::string name;
  std::string rows;      // of the table in docs/testing.md: "S16, S21"
  std::string verifies;  // in a sentence
  std::function<void(Play&)> play;
  Setting setting = Setting::kPair;
  bool is_representative = true;    // else only played with --all
  bool clients_may_see_it = false;  // a server dies under them
  std::string must_find = {};       // a planted fault: the violation that the checker must report
};

[[nodiscard]] std::vector<Scenario> refusals();
[[nodiscard]] std::vector<Scenario> process_faults();
[[nodiscard]] std::vector<Scenario> strangers_at_the_door();
[[nodiscard]] std::vector<Scenario> following();
[[nodiscard]] std::vector<Scenario> failovers();
[[nodiscard]] std::vector<Scenario> partitions();
[[nodiscard]] std::vector<Scenario> exhausted_resources();
[[nodiscard]] std::vector<Scenario> automatic_failovers();
[[nodiscard]] std::vector<Scenario> at_fault_points();
[[nodiscard]] std::vector<Scenario> planted_faults();

// All of them, those of the same setting together.
[[nodiscard]] const std::vector<Scenario>& scenarios();

struct FaultOptions {
  LabOptions lab;
  std::vector<std::string> only = {};     // names; a trailing * stands for any ending
  bool all = false;                       // not only the representative ones
  std::filesystem::path recordings = {};  // a directory to save what was seen of each one in
  // Instead of scenarios: so many random faults, and two switchovers for each, by this seed.
  int soak = 0;
  uint64_t seed = 1;
  // Instead: the active master is killed, or stopped, so often, and how long until another has the
  // role: by itself, as soon as the lease is over, or as told at once.
  int failovers = 0;
  bool by_hand = false;
  bool freeze = false;
  bool cut = false;
  std::chrono::milliseconds lease{3000};
  std::string no_isolation = {};  // why there is none
};

// Does what is wanted need networks or file systems of its own (wires.h)?
[[nodiscard]] bool needs_isolation(const FaultOptions& options);

// Prints a line for each, and a summary. True when all passed.
[[nodiscard]] bool run_faults(const FaultOptions& options);

[[nodiscard]] std::unique_ptr<Cluster> make_cluster(const LabOptions& lab, Setting setting);
[[nodiscard]] bool run_soak(const FaultOptions& options);
[[nodiscard]] bool run_failovers(const FaultOptions& options);

}  // namespace active_master::lab
