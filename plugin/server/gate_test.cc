#include "plugin/server/gate.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace active_master {
namespace {

using Entry = Gate::Entry;

bool alive() {
  return false;
}
bool never() {
  return false;
}

void wait_until(const std::function<bool()>& condition) {
  while (!condition()) std::this_thread::yield();
}

TEST(Gate, LetsEveryonePassWhileOpen) {
  Gate gate;
  EXPECT_EQ(gate.enter(false, alive), Entry::kInside);
  EXPECT_EQ(gate.enter(true, alive), Entry::kInside);
  EXPECT_EQ(gate.inside(), 2);
  gate.leave();
  gate.leave();
  EXPECT_EQ(gate.inside(), 0);
}

TEST(Gate, HoldsNewOnesAndLetsTransactionsGoOn) {
  Gate gate;
  gate.set_mode(Gate::Mode::kHoldNew);
  EXPECT_EQ(gate.enter(true, alive), Entry::kInside);
  std::atomic<bool> passed = false;
  std::thread held([&] { passed = gate.enter(false, alive) == Entry::kInside; });
  wait_until([&] { return gate.held() == 1; });
  EXPECT_FALSE(passed);
  EXPECT_EQ(gate.inside(), 1) << "who is held is not inside";
  gate.set_mode(Gate::Mode::kOpen);
  held.join();
  EXPECT_TRUE(passed);
  EXPECT_EQ(gate.held(), 0);
}

TEST(Gate, HoldsTransactionsThatHaveDoneNothingWhenItHoldsAll) {
  Gate gate;
  gate.set_mode(Gate::Mode::kHoldAll);
  std::thread held([&] { EXPECT_EQ(gate.enter(true, alive), Entry::kInside); });
  wait_until([&] { return gate.held() == 1; });
  gate.set_mode(Gate::Mode::kOpen);
  held.join();
}

TEST(Gate, AKilledSessionIsLetGoAndIsNotInside) {
  Gate gate;
  gate.set_mode(Gate::Mode::kHoldNew);
  std::atomic<bool> killed = false;
  std::thread held(
      [&] { EXPECT_EQ(gate.enter(false, [&] { return killed.load(); }), Entry::kKilled); });
  wait_until([&] { return gate.held() == 1; });
  killed = true;
  held.join();
  EXPECT_EQ(gate.inside(), 0);
}

TEST(Gate, HoldsForTheLimitAndNoLonger) {
  Gate gate;
  gate.set_mode(Gate::Mode::kHoldNew);
  gate.set_hold_limit(std::chrono::milliseconds(1));
  EXPECT_EQ(gate.enter(false, alive), Entry::kTooLong);
  EXPECT_EQ(gate.inside(), 0);
  EXPECT_EQ(gate.held(), 0);
}

TEST(Gate, TellsWhoConnectedBeforeTheRoleLeft) {
  Gate gate;
  const auto before = gate.term();
  gate.set_mode(Gate::Mode::kHoldAll);
  EXPECT_FALSE(gate.is_left(before));
  gate.set_mode(Gate::Mode::kFenced);
  const auto after = gate.term();
  EXPECT_TRUE(gate.is_left(before));
  EXPECT_FALSE(gate.is_left(after));
  gate.set_mode(Gate::Mode::kFenced);  // again: no new term
  EXPECT_FALSE(gate.is_left(after));
  gate.set_mode(Gate::Mode::kOpen);
  EXPECT_FALSE(gate.is_left(before)) << "the role came back";
}

TEST(Gate, WaitsUntilEmptyOrUntilToldToGiveUp) {
  Gate gate;
  EXPECT_EQ(gate.enter(false, alive), Entry::kInside);
  gate.set_mode(Gate::Mode::kHoldNew);
  int asked = 0;
  EXPECT_FALSE(gate.wait_until_empty([&] { return ++asked == 3; }));
  std::thread leaves([&] { gate.leave(); });
  EXPECT_TRUE(gate.wait_until_empty(never));
  leaves.join();
}

TEST(Gate, LetsTransactionsBeginAtADistanceAndGoOnAtWill) {
  using std::chrono::steady_clock;
  Gate gate;
  constexpr std::chrono::milliseconds kDistance{5};
  gate.set_pace(kDistance);
  const auto start = steady_clock::now();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(gate.enter(false, alive), Entry::kInside);
  EXPECT_GE(steady_clock::now() - start, 3 * kDistance) << "the first at once";
  EXPECT_EQ(gate.inside(), 4);
  gate.set_pace(std::chrono::hours(1));
  EXPECT_EQ(gate.enter(true, alive), Entry::kInside);
}

TEST(Gate, PaceLetsGoOfAllWhoWaitWhenItEndsOrTheyAreKilled) {
  Gate gate;
  gate.set_pace(std::chrono::milliseconds(90));  // less than what anybody waits at most
  EXPECT_EQ(gate.enter(false, alive), Entry::kInside);
  std::atomic<bool> killed = false;
  std::thread first(
      [&] { EXPECT_EQ(gate.enter(false, [&] { return killed.load(); }), Entry::kKilled); });
  wait_until([&] { return gate.held() == 1; });
  killed = true;
  first.join();
  gate.set_pace(std::chrono::hours(1));
  std::thread second([&] { EXPECT_EQ(gate.enter(false, alive), Entry::kInside); });
  gate.set_pace(std::chrono::microseconds(0));
  second.join();
  EXPECT_EQ(gate.mode(), Gate::Mode::kOpen);
  EXPECT_EQ(gate.inside(), 2);
}

TEST(Gate, PaceIsNothingWhileItIsHeldOrFenced) {
  Gate gate;
  for (const auto mode : {Gate::Mode::kHoldNew, Gate::Mode::kHoldAll, Gate::Mode::kFenced}) {
    gate.set_mode(mode);
    gate.set_pace(std::chrono::microseconds(1));
    EXPECT_EQ(gate.mode(), mode);
    gate.set_pace(std::chrono::microseconds(0));
    EXPECT_EQ(gate.mode(), mode) << "the end of a pace opens nothing";
  }
}

// The promise that the drain rests on: after kHoldAll and an empty gate nobody is inside until it
// opens.
std::chrono::microseconds from_now(std::chrono::microseconds time) {
  using std::chrono::steady_clock;
  return std::chrono::duration_cast<std::chrono::microseconds>(
             steady_clock::now().time_since_epoch()) +
         time;
}

TEST(Gate, NobodyWaitsForALeaseThatIsNotOver) {
  Gate gate;
  EXPECT_FALSE(gate.needs_lease());
  EXPECT_EQ(gate.lease_left().count(), 0);
  gate.set_write_until(from_now(std::chrono::hours(1)));
  EXPECT_TRUE(gate.needs_lease());
  EXPECT_FALSE(gate.is_lease_over());
  EXPECT_GT(gate.lease_left(), std::chrono::minutes(59));
  gate.await_lease(never);
}

TEST(Gate, WhoMayWriteWaitsUntilTheLeaseIsRenewed) {
  Gate gate;
  gate.set_write_until(from_now(std::chrono::microseconds(0)));
  EXPECT_TRUE(gate.is_lease_over());
  EXPECT_EQ(gate.lease_left().count(), 0);
  std::atomic<bool> passed = false;
  std::thread held([&] {
    gate.await_lease(never);
    passed = true;
  });
  wait_until([&] { return gate.held() == 1; });
  EXPECT_FALSE(passed);
  gate.set_write_until(from_now(std::chrono::hours(1)));
  held.join();
  EXPECT_EQ(gate.held(), 0);
}

TEST(Gate, NobodyWaitsForALeaseOnceWritesAreRefusedOrItIsGivenUp) {
  Gate gate;
  gate.set_write_until(from_now(std::chrono::microseconds(0)));
  gate.await_lease([] { return true; });
  std::thread held([&] { gate.await_lease(never); });
  wait_until([&] { return gate.held() == 1; });
  gate.set_refusing(true);
  held.join();
  EXPECT_FALSE(gate.is_lease_over()) << "read_only says it now";
}

TEST(Gate, NobodyIsInsideBetweenTheDrainAndTheOpening) {
  Gate gate;
  std::atomic<int> working = 0;
  std::atomic<bool> stop = false;
  std::vector<std::thread> sessions;
  for (int i = 0; i < 6; ++i) {
    sessions.emplace_back([&] {
      while (!stop) {
        if (gate.enter(false, [&] { return stop.load(); }) != Entry::kInside) continue;
        ++working;
        --working;
        gate.leave();
      }
    });
  }
  for (int round = 0; round < 300; ++round) {
    gate.set_mode(Gate::Mode::kHoldNew);
    EXPECT_TRUE(gate.wait_until_empty(never));
    gate.set_mode(Gate::Mode::kHoldAll);
    EXPECT_TRUE(gate.wait_until_empty(never));
    for (int look = 0; look < 20; ++look) EXPECT_EQ(working, 0);
    gate.set_mode(Gate::Mode::kOpen);
    if (round % 2 == 0) gate.set_pace(std::chrono::microseconds(10));
  }
  stop = true;
  for (auto& session : sessions) session.join();
}

}  // namespace
}  // namespace active_master
