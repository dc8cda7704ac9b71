// Stories that tests tell over real Nodes, by scripts of messages. Each is a test of its own; and
// rules_test.cc plays them all once more, to see that together they fire every rule of the table.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "plugin/core/world.h"

namespace active_master::testing {

using Scenario = World (*)();

inline std::vector<Scenario>& scenarios() {
  static std::vector<Scenario> all;
  return all;
}

inline bool add(Scenario scenario) {
  scenarios().push_back(scenario);
  return true;
}

// SCENARIO(what_happens) { ... return world; }
#define SCENARIO(name)                                  \
  World name();                                         \
  [[maybe_unused]] const bool knows_##name = add(name); \
  TEST(NodeScenario, name) {                            \
    name();                                             \
  }                                                     \
  World name()

inline World bootstrapped(std::vector<NodeName> names = {"node1", "node2"}) {
  World world(std::move(names));
  world.bootstrap("node1");
  return world;
}

inline void expect_refused(const World& world, SwitchoverId id, ErrorCode code) {
  const auto* report = world.answer(id);
  ASSERT_TRUE(report);
  EXPECT_NE(report->result, Result::kDone);
  EXPECT_EQ(report->error_number, static_cast<uint32_t>(code)) << report->error;
}

inline void expect_done(const World& world, SwitchoverId id) {
  const auto* report = world.answer(id);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->result, Result::kDone) << report->error;
}

// node1 is active again in the epoch above the one that failed, and node2 is a standby.
inline void expect_undone(World& world, SwitchoverId id, ErrorCode code, Epoch epoch = {3}) {
  expect_refused(world, id, code);
  EXPECT_EQ(world.node("node1").state(), State::kActive);
  EXPECT_EQ(world.node("node1").durable().epoch, epoch);
  EXPECT_EQ(world.node("node2").state(), State::kStandby);
  EXPECT_EQ(world.node("node2").durable().epoch, epoch);
  EXPECT_THAT(world.writable(), ::testing::ElementsAre("node1"));
}

// What a node says that was activated in this epoch.
inline NodeState active_elsewhere(const NodeName& node, Epoch epoch) {
  NodeState state;
  state.node = node;
  state.role = Role::kActive;
  state.epoch = epoch;
  state.activation = Activation{epoch, node, node + ":3306", {}};
  return state;
}

}  // namespace active_master::testing
