#include "plugin/server/gate.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace active_master {
namespace {

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
  EXPECT_TRUE(gate.enter(false, 1, alive));
  EXPECT_TRUE(gate.enter(true, 2, alive));
  EXPECT_EQ(gate.inside(), 2);
  gate.leave();
  gate.leave();
  EXPECT_EQ(gate.inside(), 0);
}

TEST(Gate, HoldsNewOnesAndLetsTransactionsGoOn) {
  Gate gate;
  gate.set_mode(Gate::Mode::kHoldNew);
  EXPECT_TRUE(gate.enter(true, 1, alive));
  std::atomic<bool> passed = false;
  std::thread held([&] { passed = gate.enter(false, 2, alive); });
  wait_until([&] { return gate.held() == std::vector<unsigned long>{2}; });
  EXPECT_FALSE(passed);
  EXPECT_EQ(gate.inside(), 1) << "who is held is not inside";
  gate.set_mode(Gate::Mode::kOpen);
  held.join();
  EXPECT_TRUE(passed);
  EXPECT_TRUE(gate.held().empty());
}

TEST(Gate, HoldsTransactionsThatHaveDoneNothingWhenItHoldsAll) {
  Gate gate;
  gate.set_mode(Gate::Mode::kHoldAll);
  std::thread held([&] { EXPECT_TRUE(gate.enter(true, 1, alive)); });
  wait_until([&] { return gate.held().size() == 1; });
  gate.set_mode(Gate::Mode::kPassing);
  held.join();
}

TEST(Gate, AKilledSessionIsLetGoAndIsNotInside) {
  Gate gate;
  gate.set_mode(Gate::Mode::kHoldNew);
  std::atomic<bool> killed = false;
  std::thread held([&] { EXPECT_FALSE(gate.enter(false, 1, [&] { return killed.load(); })); });
  wait_until([&] { return gate.held().size() == 1; });
  killed = true;
  held.join();
  EXPECT_EQ(gate.inside(), 0);
}

TEST(Gate, WaitsUntilEmptyOrUntilToldToGiveUp) {
  Gate gate;
  EXPECT_TRUE(gate.enter(false, 1, alive));
  gate.set_mode(Gate::Mode::kHoldNew);
  int asked = 0;
  EXPECT_FALSE(gate.wait_until_empty([&] { return ++asked == 3; }));
  std::thread leaves([&] { gate.leave(); });
  EXPECT_TRUE(gate.wait_until_empty(never));
  leaves.join();
}

// The promise that the drain rests on: after kHoldAll and an empty gate nobody is inside until it
// opens.
TEST(Gate, NobodyIsInsideBetweenTheDrainAndTheOpening) {
  Gate gate;
  std::atomic<int> working = 0;
  std::atomic<bool> stop = false;
  std::vector<std::thread> sessions;
  for (unsigned long id = 1; id <= 6; ++id) {
    sessions.emplace_back([&, id] {
      while (!stop) {
        if (!gate.enter(false, id, [&] { return stop.load(); })) continue;
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
  }
  stop = true;
  for (auto& session : sessions) session.join();
}

TEST(PassesAHeldGate, WhatOnlyReadsOrManages) {
  for (const auto* query :
       {"SELECT 1", "select 1", " /* x */ SELECT 1", "-- x\nSELECT 1", "#x\n\tSHOW STATUS",
        "KILL 5", "SET @a = 1", "UNINSTALL SONAME 'active_master'", "ROLLBACK",
        "WITH a AS (SELECT 1) SELECT * FROM a", "SELECT"}) {
    EXPECT_TRUE(passes_a_held_gate(query, true)) << query;
  }
}

TEST(PassesAHeldGate, NotWhatWritesOrCan) {
  for (const auto* query :
       {"INSERT INTO t VALUES (1)", "BEGIN", "START TRANSACTION", "CALL p()", "SELECTED",
        "/*! INSERT */ INTO t", "/* x", "", "(SELECT 1)", "EXECUTE s", "TRUNCATE t"}) {
    EXPECT_FALSE(passes_a_held_gate(query, true)) << query;
  }
}

TEST(PassesAHeldGate, NotWhatReadsWithAutocommitOff) {
  EXPECT_FALSE(passes_a_held_gate("SELECT 1", false));
  EXPECT_FALSE(passes_a_held_gate("WITH a AS (SELECT 1) SELECT * FROM a", false));
  EXPECT_TRUE(passes_a_held_gate("SET autocommit = 1", false));
  EXPECT_TRUE(passes_a_held_gate("COMMIT", false));
}

TEST(CallsOurProcedure, OnlyOurs) {
  for (const auto* query :
       {"CALL active_master.set_active_master('node2')", "call `active_master`.`check`('x')",
        " /* a */ CALL active_master . status()"}) {
    EXPECT_TRUE(calls_our_procedure(query)) << query;
  }
  for (const auto* query : {"CALL active_masters.p()", "CALL p()", "CALL other.active_master()",
                            "SELECT 1", "CALLactive_master.p()"}) {
    EXPECT_FALSE(calls_our_procedure(query)) << query;
  }
}

}  // namespace
}  // namespace active_master
