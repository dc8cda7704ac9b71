// The table of rules: complete, without a rule that nothing reaches, and each fired by a scenario.
#include "plugin/core/rules.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "plugin/core/scenario.h"

namespace active_master {
namespace {

using testing::scenarios;

TEST(Rules, AreAllFiredByTheScenarios) {
  std::set<int> fired;
  for (const auto play : scenarios()) fired.merge(std::set<int>(play().fired()));
  // Those of leases: in voter_test.cc and the simulator.
  const std::set<int> elsewhere{825, 826, 832, 836, 837, 838, 839, 840, 841};
  for (const auto& rule : rules()) {
    EXPECT_TRUE(fired.contains(rule.number) || elsewhere.contains(rule.number))
        << rule.number << ": " << rule.reason;
  }
}

TEST(Rules, AreNumberedInOrder) {
  int last = 0;
  for (const auto& rule : rules()) {
    EXPECT_LT(last, rule.number);
    last = rule.number;
  }
}

TEST(Rules, TakeEveryEventInEveryStateOrIgnoreItForAReason) {
  for (int e = static_cast<int>(Event::kAlways) + 1; e <= static_cast<int>(Event::kAsk); ++e) {
    const auto event = static_cast<Event>(e);
    for (int s = 0; s < kStateCount; ++s) {
      const auto state = static_cast<State>(s);
      const auto taken = std::ranges::any_of(
          rules(), [&](const Rule& r) { return r.on == event && r.from.contains(state); });
      const auto times = std::ranges::count_if(
          ignored(), [&](const Ignored& i) { return i.on == event && i.in.contains(state); });
      EXPECT_EQ(times, taken ? 0 : 1) << to_string(event) << " in " << to_string(state);
    }
  }
}

TEST(Rules, LetEveryStateButTheLastBeLeft) {
  for (int i = 0; i < kStateCount; ++i) {
    const auto state = static_cast<State>(i);
    bool has_exit = state == State::kStopped;
    for (const auto& rule : rules())
      has_exit |= rule.from.contains(state) && !rule.stays && rule.to != state;
    EXPECT_TRUE(has_exit) << to_string(state);
  }
}

TEST(Rules, AreNotHiddenByAnUnconditionalOneBefore) {
  const auto all = rules();
  for (size_t i = 0; i < all.size(); ++i) {
    uint64_t reachable = all[i].from.bits;
    for (size_t j = 0; j < i; ++j) {
      if (all[j].on == all[i].on && !all[j].guard) reachable &= ~all[j].from.bits;
    }
    EXPECT_NE(reachable, 0u) << all[i].number;
  }
}

}  // namespace
}  // namespace active_master
