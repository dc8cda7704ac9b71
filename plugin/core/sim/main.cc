#include <cstdio>
#include <cstdlib>
#include "plugin/core/sim/world.h"
using namespace active_master::sim;
int main(int argc, char** argv) {
  const uint64_t first = std::strtoull(argv[1], nullptr, 10);
  const uint64_t count = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  uint64_t bad = 0, steps = 0;
  std::map<std::string,int> results;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    const auto schedule = generate(seed);
    std::string trace;
    World world(schedule, nullptr, count == 1 ? &trace : nullptr);
    world.run();
    steps += world.steps();
    for (auto& r : world.requests()) ++results[std::string(active_master::to_string(r.result))];
    if (!world.violation().empty()) {
      if (++bad <= 12) std::printf("%llu: %s\n", (unsigned long long)seed, world.violation().c_str());
    }
    if (count == 1) std::printf("%s%s%s\n", to_string(schedule).c_str(), trace.c_str(), world.violation().c_str());
  }
  std::printf("%llu of %llu bad, %.1f steps each\n", (unsigned long long)bad, (unsigned long long)count, double(steps)/double(count));
  for (auto& [k,v] : results) std::printf("%s %d\n", k.c_str(), v);
}
