// Holds what was seen of a run against what must hold, and against what is in the tables: a pure
// function.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/checker/history.h"

namespace active_master::lab {

// The longest time between the answers of two acknowledged writes that follow each other, over all
// clients.
struct Gap {
  int64_t start_us = 0;
  int64_t end_us = 0;

  [[nodiscard]] int64_t length_us() const { return end_us - start_us; }
};

struct NodeReport {
  std::string node;
  uint64_t rows = 0;
  uint64_t acknowledged = 0;  // acknowledged writes that are there
  uint64_t missing = 0;       // acknowledged, but not there
  uint64_t duplicated = 0;    // writes that are there more than once
  uint64_t stray = 0;         // rows that no client wrote
};

struct Report {
  uint64_t acknowledged = 0;
  std::vector<NodeReport> nodes;
  uint64_t differing = 0;        // writes that are on some nodes only
  uint64_t two_masters = 0;      // writes taken by a node after another one had taken over
  uint64_t unknown_present = 0;  // the answer was lost, the row is there (on any node)
  uint64_t unknown_absent = 0;
  uint64_t failed_present = 0;  // the server said no, but the row is there

  uint64_t epochs_lowered = 0;  // looks at a node or proxy whose epoch was lower than before
  uint64_t epochs_shared = 0;   // looks at a second node that was active in an epoch
  uint64_t late_writable = 0;   // looks at a node that was writable after one of a higher epoch

  // How the switchovers ended that were looked at afterwards.
  uint64_t done = 0;
  uint64_t rolled_back = 0;
  uint64_t failed_closed = 0;
  int64_t worst_recovery_us = 0;

  // Errors that clients saw, by where: between transactions (nothing was lost but the time to try
  // again), or inside (a running transaction was cut, or a write's outcome was left unclear).
  uint64_t errors_between = 0;
  uint64_t errors_inside = 0;

  std::optional<Gap> longest_gap;
  std::optional<Gap> quiet_gap;                     // the same, away from every switchover
  std::vector<std::optional<Gap>> switchover_gaps;  // around each switchover of the history

  std::vector<std::string> violations;  // each in a sentence, the first of its kind with an example

  [[nodiscard]] bool ok() const { return violations.empty(); }
};

[[nodiscard]] Report check(const Recording& recording);

}  // namespace active_master::lab
