#include "plugin/core/sim/walk.h"

#include <algorithm>

namespace active_master::sim {
namespace {

constexpr size_t kEnough = 3;

// How many places there are for this fault.
uint32_t places(const Schedule& base, FaultKind kind) {
  const auto outcome = play(base);
  if (kind <= FaultKind::kDelayMessage) return static_cast<uint32_t>(outcome.messages);
  if (kind <= FaultKind::kHangJob) return static_cast<uint32_t>(outcome.jobs);
  return static_cast<uint32_t>(outcome.steps);
}

void add(Walk& walk, const Schedule& schedule) {
  const auto outcome = play(schedule);
  ++walk.schedules;
  if (!outcome.results.empty()) ++walk.results[outcome.results.front()];
  if (!outcome.violation.empty() && walk.failures.size() < kEnough)
    walk.failures.push_back(explain(schedule));
}

}  // namespace

Schedule plain() {
  Schedule schedule;
  schedule.seed = 1;
  schedule.asked_at = 1;  // the first is asked at the node after
  return schedule;
}

Walk walk(const Schedule& base, Fault fault) {
  Walk result;
  Schedule schedule = base;
  schedule.faults.push_back(fault);
  auto& moving = schedule.faults.back();
  const uint32_t end = places(base, fault.kind);
  for (moving.at = 0; moving.at <= end; ++moving.at) add(result, schedule);
  return result;
}

Walk walk_pairs(const Schedule& base, Fault first, Fault second, uint32_t stride) {
  Walk result;
  const uint32_t end = places(base, first.kind);
  for (first.at = 1; first.at <= end; first.at += stride) {
    Schedule with_first = base;
    with_first.faults.push_back(first);
    const uint32_t second_end = places(with_first, second.kind);
    for (second.at = 1; second.at <= second_end; second.at += stride) {
      Schedule schedule = with_first;
      schedule.faults.push_back(second);
      add(result, schedule);
    }
  }
  return result;
}

}  // namespace active_master::sim
