// A node starts, stands down, stops.
#include "plugin/core/scenario.h"

namespace active_master::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// --- start and bootstrap ---

SCENARIO(a_new_cluster_is_bootstrapped_once) {
  World world({"node1", "node2"});
  EXPECT_EQ(world.node("node1").state(), State::kNew);
  EXPECT_FALSE(world.node("node1").fenced()) << "nothing is changed on a server that has no role";
  world.bootstrap("node1");
  EXPECT_EQ(world.node("node1").state(), State::kActive);
  EXPECT_EQ(world.node("node1").durable().epoch, Epoch{1});
  EXPECT_EQ(world.node("node2").state(), State::kStandby);
  EXPECT_TRUE(world.node("node2").fenced());
  world.bootstrap("node1");
  world.bootstrap("node2");
  expect_refused(world, {2}, ErrorCode::kAlreadyBootstrapped);
  expect_refused(world, {3}, ErrorCode::kAlreadyBootstrapped);
  return world;
}

SCENARIO(bootstrap_needs_every_peer) {
  World world({"node1", "node2"});
  world.crash("node2");
  world.bootstrap("node1");
  expect_refused(world, {1}, ErrorCode::kPeersNotReady);
  EXPECT_EQ(world.node("node1").state(), State::kNew);
  return world;
}

SCENARIO(bootstrap_is_refused_by_a_failed_check) {
  World world({"node1", "node2"});
  world.on_job = [](const World::PendingJob& job, JobDone& done) {
    if (std::holds_alternative<CheckLocalJob>(job.job)) {
      done.rows.push_back(
          {"", "event table", Verdict::kFailed, "it is missing", "run install.sql"});
    }
  };
  world.bootstrap("node1");
  expect_refused(world, {1}, ErrorCode::kCheckFailed);
  EXPECT_THAT(world.answer({1})->error, HasSubstr("run install.sql"));
  return world;
}

SCENARIO(bootstrap_fails_when_the_state_cannot_be_written) {
  World world({"node1", "node2"});
  world.hold<PersistJob>("node1");
  world.bootstrap("node1");
  world.bootstrap("node1");  // while the first runs
  expect_refused(world, {2}, ErrorCode::kBusy);
  world.finish_held("disk full");
  expect_refused(world, {1}, ErrorCode::kStepFailed);
  EXPECT_EQ(world.node("node1").state(), State::kNew);
  return world;
}

SCENARIO(bootstrap_is_refused_in_the_middle_of_a_switchover) {
  World world = bootstrapped();
  world.hold<DrainJob>("node1");
  world.ask("node1", "node2");
  world.bootstrap("node1");
  expect_refused(world, {3}, ErrorCode::kBusy);
  return world;
}

SCENARIO(a_restarted_standby_stays_one) {
  World world = bootstrapped();
  world.crash("node2");
  world.restart("node2");
  EXPECT_EQ(world.node("node2").state(), State::kStandby);
  EXPECT_TRUE(world.node("node2").fenced());
  return world;
}

SCENARIO(a_restarted_active_master_opens_again_in_its_epoch) {
  World world = bootstrapped();
  world.crash("node1");
  world.hold<OpenWritesJob>("node1");
  world.restart("node1");
  EXPECT_THAT(world.writable(), IsEmpty()) << "fenced until it is known that it may open";
  world.finish_held("can't");
  EXPECT_EQ(world.node("node1").state(), State::kReopen);
  world.pass(Duration{2'000'000});
  EXPECT_THAT(world.writable(), ElementsAre("node1"));
  EXPECT_EQ(world.node("node1").durable().epoch, Epoch{1});
  return world;
}

SCENARIO(an_active_master_without_peers_asks_nobody) {
  World world = bootstrapped({"node1"});
  world.crash("node1");
  world.restart("node1");
  EXPECT_THAT(world.writable(), ElementsAre("node1"));
  Durable durable = world.crash("node1");
  durable.intent = Intent{{1}, {2}, "node2"};
  world.start("node1", durable);
  EXPECT_THAT(world.writable(), ElementsAre("node1"));
  EXPECT_EQ(world.node("node1").durable().epoch, Epoch{3});
  return world;
}

SCENARIO(a_copied_data_directory_does_not_inherit_the_role) {
  World world = bootstrapped();
  Durable copied = world.disk("node1");
  EXPECT_EQ(copied.role, Role::kActive);
  world.crash("node2");
  world.start("node2", copied);
  EXPECT_EQ(world.node("node2").role(), Role::kStandby);
  EXPECT_EQ(world.node("node2").durable().epoch, Epoch{1});
  return world;
}

SCENARIO(a_node_that_starts_learns_of_the_present) {
  World world = bootstrapped();
  const Durable old = world.crash("node2");
  world.crash("node1");
  Durable ahead = world.disk("node1");
  ahead.epoch = {9};
  world.start("node1", ahead);
  world.start("node2", old);
  EXPECT_EQ(world.node("node2").durable().epoch, Epoch{9});
  return world;
}

// --- standing down ---

SCENARIO(a_higher_epoch_makes_an_active_master_stand_down) {
  World world = bootstrapped();
  world.give("node1", FromNode{"node2", active_elsewhere("node2", {7})});
  EXPECT_EQ(world.node("node1").state(), State::kStandby);
  EXPECT_TRUE(world.node("node1").fenced());
  return world;
}

SCENARIO(a_higher_epoch_ends_a_switchover) {
  World world = bootstrapped({"node1", "node2", "node3"});
  world.hold<DrainJob>("node1");
  const auto id = world.ask("node1", "node2");
  world.give("node1", FromNode{"node3", active_elsewhere("node3", {7})});
  expect_refused(world, id, ErrorCode::kSuperseded);
  EXPECT_TRUE(world.node("node1").fenced());
  return world;
}

SCENARIO(a_write_past_the_fence_is_noticed) {
  World world = bootstrapped();
  world.give("node1", ServerStatus{false, "0-1-5", "0-1-5"});
  world.give("node1", ServerStatus{false, "0-1-6", "0-1-6"});
  EXPECT_EQ(world.node("node1").view()->last_error, "") << "the active master may write";
  world.give("node2", ServerStatus{true, "0-1-6", "0-2-3"});
  world.give("node2", ServerStatus{true, "0-1-7", "0-2-3"});
  EXPECT_EQ(world.node("node2").view()->last_error, "");
  world.give("node2", ServerStatus{true, "0-2-8", "0-2-8"});
  EXPECT_EQ(world.node("node2").view()->last_error, "errant write: 0-2-8 after 0-2-3");
  return world;
}

SCENARIO(read_only_switched_off_on_a_standby_is_set_again) {
  World world = bootstrapped();
  world.hold<StandDownJob>("node2");
  world.give("node2", ServerStatus{false, "0-1-5"});
  EXPECT_TRUE(world.has_held());
  return world;
}

SCENARIO(a_lower_epoch_changes_nothing) {
  World world = bootstrapped();
  expect_done(world, world.ask("node1", "node2"));
  world.give("node2", FromNode{"node1", active_elsewhere("node1", {1})});
  world.give("node2", FromNode{"node1", active_elsewhere("node1", {2})});
  EXPECT_THAT(world.writable(), ElementsAre("node2"));
  return world;
}

SCENARIO(a_stranger_has_no_say) {
  World world = bootstrapped();
  world.give("node1", FromNode{"node9", active_elsewhere("node9", {7})});
  EXPECT_THAT(world.writable(), ElementsAre("node1"));
  return world;
}

// --- stop ---

SCENARIO(a_stop_undoes_what_is_not_granted) {
  World world = bootstrapped();
  world.hold<FenceJob>("node1");
  const auto id = world.ask("node1", "node2");
  world.give("node1", StopCommand{});
  world.run();
  EXPECT_TRUE(world.node("node1").stopped());
  expect_refused(world, id, ErrorCode::kStopping);
  EXPECT_EQ(world.disk("node1").role, Role::kActive);
  EXPECT_EQ(world.disk("node1").epoch, Epoch{3});
  EXPECT_EQ(world.node("node2").durable().epoch, Epoch{3});
  return world;
}

SCENARIO(a_stop_after_the_activation_reports) {
  World world = bootstrapped();
  world.connect_proxy("p1", "node1");
  const auto id = world.ask("node1", "node2");
  world.proxy_says("p1", true, id, {1});
  world.give("node1", StopCommand{});
  world.run();
  EXPECT_TRUE(world.node("node1").stopped());
  expect_done(world, id);
  return world;
}

SCENARIO(no_answer_is_an_answer_in_the_end) {
  World world = bootstrapped();
  world.lose_next<SwitchRequest>("node1");
  world.hold<CheckLocalJob>("node1");
  auto config = world.node("node1").config();
  config.peer_timeout = Duration{60'000'000};
  config.switchover_timeout = Duration{60'000'000};
  world.give("node1", Reconfigured{config});
  const auto id = world.ask("node2", "node2");
  world.pass(Duration{36'000'000});
  expect_refused(world, id, ErrorCode::kOutcomeUnknown);
  return world;
}

}  // namespace
}  // namespace active_master::testing
