#include "plugin/core/sim/play.h"

#include <algorithm>
#include <mutex>
#include <thread>

#include "plugin/core/sim/world.h"

namespace active_master::sim {

Outcome play(const Schedule& schedule, const Mutant* mutant, std::string* trace) {
  World world(schedule, mutant, trace);
  world.run();
  Outcome outcome;
  outcome.violation = world.violation();
  for (const auto& request : world.requests()) outcome.results.push_back(request.result);
  outcome.steps = world.steps();
  outcome.messages = world.messages();
  outcome.jobs = world.jobs();
  outcome.fired = world.fired();
  outcome.subscriber_fired = world.subscriber_fired();
  return outcome;
}

Schedule shrink(Schedule schedule, const Mutant* mutant) {
  const auto fails = [&](const Schedule& s) { return !play(s, mutant).violation.empty(); };
  for (bool smaller = true; smaller;) {
    smaller = false;
    for (size_t i = 0; i < schedule.faults.size(); ++i) {
      Schedule without = schedule;
      without.faults.erase(without.faults.begin() + static_cast<std::ptrdiff_t>(i));
      if (!fails(without)) continue;
      schedule = std::move(without);
      smaller = true;
      break;
    }
  }
  for (auto& fault : schedule.faults) {
    while (fault.duration > Duration{1'000}) {
      const auto longer = std::exchange(fault.duration, fault.duration / 2);
      if (fails(schedule)) continue;
      fault.duration = longer;
      break;
    }
  }
  return schedule;
}

std::string explain(const Schedule& schedule, const Mutant* mutant) {
  const auto violation = play(schedule, mutant).violation;
  const Schedule small = shrink(schedule, mutant);
  std::string trace;
  const auto last = play(small, mutant, &trace).violation;
  return violation + "\n" + to_string(schedule) + "smallest form, " +
         std::to_string(small.faults.size()) + " fault(s):\n" + to_string(small) + trace + last +
         "\nagain: simulator --replay " + std::to_string(schedule.seed) + "\n";
}

Tally play_many(uint64_t first, uint64_t count, unsigned threads, const Mutant* mutant,
                size_t enough) {
  constexpr uint64_t kBatch = 64;
  std::atomic<uint64_t> next{0};
  std::mutex mutex;
  Tally tally;
  tally.fired.resize(1000);
  tally.subscriber_fired.resize(64);
  const auto work = [&] {
    while (true) {
      const uint64_t begin = next.fetch_add(kBatch);
      if (begin >= count) return;
      Tally own;
      own.fired.resize(1000);
      own.subscriber_fired.resize(64);
      for (uint64_t i = begin; i < std::min(begin + kBatch, count); ++i) {
        const auto outcome = play(generate(first + i), mutant);
        ++own.schedules;
        own.steps += outcome.steps;
        for (const auto result : outcome.results) ++own.results[to_string(result)];
        for (size_t rule = 0; rule < own.fired.size(); ++rule)
          if (outcome.fired[rule]) own.fired[rule] = true;
        for (size_t rule = 0; rule < own.subscriber_fired.size(); ++rule)
          if (outcome.subscriber_fired[rule]) own.subscriber_fired[rule] = true;
        if (outcome.violation.empty()) continue;
        own.failed_seeds.push_back(first + i);
        if (own.first_violation.empty()) own.first_violation = outcome.violation;
        if (mutant) break;
      }
      const std::lock_guard lock(mutex);
      tally.schedules += own.schedules;
      tally.steps += own.steps;
      for (const auto& [result, n] : own.results) tally.results[result] += n;
      for (size_t rule = 0; rule < own.fired.size(); ++rule)
        if (own.fired[rule]) tally.fired[rule] = true;
      for (size_t rule = 0; rule < own.subscriber_fired.size(); ++rule)
        if (own.subscriber_fired[rule]) tally.subscriber_fired[rule] = true;
      if (tally.first_violation.empty()) tally.first_violation = own.first_violation;
      tally.failed_seeds.insert(tally.failed_seeds.end(), own.failed_seeds.begin(),
                                own.failed_seeds.end());
      if (tally.failed_seeds.size() >= enough) next = count;
    }
  };
  std::vector<std::jthread> team;
  for (unsigned i = 1; i < threads; ++i) team.emplace_back(work);
  work();
  team.clear();
  return tally;
}

}  // namespace active_master::sim
