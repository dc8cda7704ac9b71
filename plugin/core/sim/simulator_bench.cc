// How fast schedules are played on one core: `simulator_bench`.
#include <benchmark/benchmark.h>

#include "plugin/core/sim/play.h"
#include "plugin/core/sim/walk.h"

namespace active_master::sim {
namespace {

// Random schedules of three nodes, three proxies, one switchover, faults.
void RandomSchedules(benchmark::State& state) {
  uint64_t seed = 0;
  uint64_t steps = 0;
  for (auto _ : state) {
    state.PauseTiming();
    Schedule schedule;
    do {
      schedule = generate(++seed);
    } while (schedule.nodes != 3 || schedule.proxies != 3 || schedule.asks != 1 ||
             schedule.faults.empty());
    state.ResumeTiming();
    steps += play(schedule).steps;
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["steps"] = static_cast<double>(steps) / static_cast<double>(state.iterations());
}
BENCHMARK(RandomSchedules)->Unit(benchmark::kMicrosecond);

void PlainSwitchover(benchmark::State& state) {
  const Schedule schedule = plain();
  for (auto _ : state) benchmark::DoNotOptimize(play(schedule));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(PlainSwitchover)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace active_master::sim

BENCHMARK_MAIN();
