// simulator: plays random schedules of the protocol, or one of them again with its trace.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <iostream>
#include <random>
#include <thread>

#include "client/subscriber/subscription.h"
#include "plugin/core/rules.h"
#include "plugin/core/sim/play.h"

namespace {

using namespace active_master;
using namespace active_master::sim;

// True: every invariant held.
bool report(const Tally& tally, uint64_t first, double seconds, const Mutant* mutant) {
  std::string results;
  for (const auto& [result, count] : tally.results)
    results += " " + result + "=" + std::to_string(count);
  std::cout << "Simulator  " << tally.schedules << " schedules from seed " << first << ", "
            << static_cast<uint64_t>(static_cast<double>(tally.schedules) / seconds)
            << " schedules/s, " << tally.steps / std::max<uint64_t>(tally.schedules, 1)
            << " steps each, " << tally.failed_seeds.size() << " violations; answers:" << results
            << std::endl;
  if (tally.failed_seeds.empty()) return true;
  std::cout << explain(generate(tally.failed_seeds.front()), mutant) << "failing seeds:";
  for (const auto seed : tally.failed_seeds) std::cout << " " << seed;
  std::cout << std::endl;
  return false;
}

void list_unfired(const Tally& tally) {
  std::cout << "rules that did not fire:";
  for (const auto& rule : rules()) {
    if (!tally.fired[static_cast<size_t>(rule.number)]) std::cout << " " << rule.number;
  }
  for (const auto& rule : client::Subscription::rules()) {
    if (!tally.subscriber_fired[static_cast<size_t>(rule.number)])
      std::cout << " subscriber " << rule.number;
  }
  std::cout << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t schedules = 100'000;
  std::optional<uint64_t> seed, replay;
  bool soak = false, unfired = false;
  unsigned threads = std::max(1U, std::thread::hardware_concurrency());
  std::string mutant_name;
  CLI::App app{
      "Plays random schedules of the protocol and checks its invariants after every step."};
  app.add_option("--schedules", schedules, "How many (default 100000)");
  app.add_option("--seed", seed, "The first seed (default: a random one, printed)");
  app.add_option("--replay", replay, "Plays the schedule of this seed and prints its trace");
  app.add_flag("--soak", soak, "Plays on until it is interrupted or an invariant is broken");
  app.add_option("--threads", threads, "Default: one for each core")->check(CLI::Range(1, 256));
  app.add_option("--mutant", mutant_name, "Plants this fault (see mutants.cc)");
  app.add_flag("--unfired", unfired, "Lists the rules that did not fire");
  CLI11_PARSE(app, argc, argv);

  const Mutant* mutant = nullptr;
  for (const auto& one : mutants()) {
    if (one.name == mutant_name) mutant = &one;
  }
  if (!mutant_name.empty() && !mutant) {
    std::cerr << "simulator: there is no mutant '" << mutant_name << "'\n";
    return 2;
  }
  if (replay) {
    std::string trace;
    const Schedule schedule = generate(*replay);
    const auto outcome = play(schedule, mutant, &trace);
    std::cout << to_string(schedule) << trace
              << (outcome.violation.empty() ? "every invariant held" : outcome.violation) << "\n";
    return outcome.violation.empty() ? 0 : 1;
  }
  if (!seed) seed = std::random_device{}() + (uint64_t{1} << 32);
  do {
    const auto since = std::chrono::steady_clock::now();
    const auto tally = play_many(*seed, schedules, threads, mutant);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - since;
    if (!report(tally, *seed, took.count(), mutant)) return 1;
    if (unfired) list_unfired(tally);
    *seed += schedules;
  } while (soak);
  return 0;
}
