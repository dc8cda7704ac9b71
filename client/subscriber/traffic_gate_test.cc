#include "client/subscriber/traffic_gate.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

namespace active_master::client {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kNow{0};
constexpr seconds kLong{60};

Route route(uint64_t epoch) {
  return {epoch, "node" + std::to_string(epoch), {"127.0.0.1", 3306}};
}

TEST(TrafficGate, IsClosedUntilTheFirstOpen) {
  TrafficGate gate;
  EXPECT_FALSE(gate.enter(kNow));
  gate.open(route(1));
  const auto pass = gate.enter(kNow);
  ASSERT_TRUE(pass);
  EXPECT_EQ(pass->route(), route(1));
  EXPECT_EQ(gate.inside(), 1);
}

TEST(TrafficGate, ReportsEmptyWhenTheLastPassLeaves) {
  TrafficGate gate;
  gate.open(route(1));
  auto first = gate.enter(kNow);
  auto second = gate.enter(kNow);
  int empty = 0;
  gate.hold([&] { ++empty; });
  EXPECT_FALSE(gate.enter(kNow));
  first.reset();
  EXPECT_EQ(empty, 0);
  auto moved = std::move(*second);
  second.reset();
  EXPECT_EQ(empty, 0) << "the pass lives on where it was moved to";
  EXPECT_EQ(moved.route(), route(1));
  { const auto last = std::move(moved); }
  EXPECT_EQ(empty, 1);
}

TEST(TrafficGate, ReportsEmptyAtOnceWhenNobodyIsInside) {
  TrafficGate gate;
  int empty = 0;
  gate.hold([&] { ++empty; });
  EXPECT_EQ(empty, 1);
  gate.hold([&] { empty += 10; });
  EXPECT_EQ(empty, 11) << "each hold has its answer";
}

TEST(TrafficGate, PacedLetsInOneByOne) {
  constexpr milliseconds kDistance{20};
  TrafficGate gate;
  gate.open(route(1));
  gate.pace(kDistance);
  const auto since = Clock::now();
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&gate] { EXPECT_TRUE(gate.enter(kLong)); });
  }
  for (auto& client : clients) client.join();
  EXPECT_GE(Clock::now() - since, 3 * kDistance);
  EXPECT_TRUE(gate.enter(kNow)) << "who can't wait is not refused for a turn";
}

TEST(TrafficGate, WhoWaitsForATurnIsHeldAndLetInWithoutOne) {
  TrafficGate gate;
  gate.open(route(1));
  gate.pace(seconds(50));
  EXPECT_TRUE(gate.enter(kNow));
  gate.hold([] {});
  std::atomic<bool> is_in{false};
  std::thread client([&] { is_in = gate.enter(kLong).has_value(); });
  std::this_thread::sleep_for(milliseconds(150));  // its turn comes meanwhile, and lets nobody in
  EXPECT_FALSE(is_in);
  gate.open(route(2));
  gate.pace(milliseconds{0});
  client.join();
  EXPECT_TRUE(is_in);
}

TEST(TrafficGate, AnOpenWinsOverADrain) {
  TrafficGate gate;
  gate.open(route(1));
  auto old = gate.enter(kNow);
  bool empty = false;
  gate.hold([&] { empty = true; });
  gate.open(route(2));
  const auto fresh = gate.enter(kNow);
  ASSERT_TRUE(fresh);
  EXPECT_EQ(fresh->route(), route(2));
  old.reset();
  EXPECT_FALSE(empty) << "nobody waits for that any more";
}

TEST(TrafficGate, AssigningAPassLeavesTheOldOne) {
  TrafficGate gate;
  gate.open(route(1));
  auto pass = gate.enter(kNow);
  *pass = *gate.enter(kNow);
  EXPECT_EQ(gate.inside(), 1);
  pass.reset();
  EXPECT_EQ(gate.inside(), 0);
}

TEST(TrafficGate, LetsWaitersThrough) {
  TrafficGate gate;
  std::atomic<int> through = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      if (const auto pass = gate.enter(kLong); pass && pass->route() == route(7)) ++through;
    });
  }
  gate.open(route(7));
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(through, 8);
}

// The promise that a switchover rests on: between "empty" and the next open nobody is inside, and
// each pass is inside the epoch that it names.
TEST(TrafficGate, NobodyIsEverInsideWhileHeld) {
  TrafficGate gate;
  std::atomic<uint64_t> allowed = 0;  // the epoch that transactions may run in; 0 while held
  std::atomic<uint64_t> wrong = 0;
  std::atomic<uint64_t> passes = 0;
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      while (!done) {
        const auto pass = gate.enter(milliseconds(100));
        if (!pass) continue;
        if (allowed != pass->route().epoch) ++wrong;
        ++passes;
        std::this_thread::yield();
        if (allowed != pass->route().epoch) ++wrong;
      }
    });
  }
  for (uint64_t epoch = 1; epoch <= 300; ++epoch) {
    allowed = epoch;
    const uint64_t before = passes;
    gate.open(route(epoch));
    while (passes == before) std::this_thread::yield();
    std::atomic<bool> empty = false;
    gate.hold([&] {
      allowed = 0;
      empty = true;
      empty.notify_one();
    });
    empty.wait(false);
    ASSERT_EQ(gate.inside(), 0);
  }
  done = true;
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace active_master::client
