// Standbys follow the active master.
#include <algorithm>

#include "plugin/core/scenario.h"

namespace active_master::testing {
namespace {

using ::testing::HasSubstr;

Replication replication(World& world, const char* node) {
  return world.node(node).replication();
}

// Else it would make a second connection beside one that leads to the node that it doesn't know.
SCENARIO(a_standby_that_restarts_says_whom_it_has_not_heard_yet) {
  World world = bootstrapped({"node1", "node2", "node3"});
  world.crash("node2");
  world.crash("node3");
  std::vector<bool> known;
  int waits = 0;
  world.on_job = [&](const World::PendingJob& job, JobDone& done) {
    if (job.node != "node3") return;
    if (std::holds_alternative<WaitForPositionJob>(job.job) && ++waits == 1)
      done.error = "not in time";
    const auto* follow = std::get_if<FollowJob>(&job.job);
    if (!follow) return;
    known.push_back(follow->all_members_are_known);
    if (known.size() == 1) done.error = "not every node was heard";
  };
  world.restart("node3");
  EXPECT_EQ(known, std::vector{false});
  world.restart("node2");
  world.pass(Duration{4'000'000});
  EXPECT_EQ(known, (std::vector{false, true}));
  EXPECT_EQ(replication(world, "node3"), Replication::kFollowing);
  world.pass(Duration{12'000'000});
  EXPECT_EQ(waits, 2) << "it has caught up then";
  world.on_job = [](const World::PendingJob&, JobDone&) {};
  return world;
}

SCENARIO(the_old_master_follows_the_new_one) {
  World world = bootstrapped();
  EXPECT_EQ(replication(world, "node2"), Replication::kFollowing);
  int followed = 0;
  world.on_job = [&followed](const World::PendingJob& job, JobDone&) {
    const auto* follow = std::get_if<FollowJob>(&job.job);
    if (!follow) return;
    ++followed;
    EXPECT_EQ(job.node, "node1");
    EXPECT_EQ(follow->address, "node2:3306");
  };
  expect_done(world, world.ask("node1", "node2"));
  EXPECT_EQ(followed, 1);
  EXPECT_EQ(replication(world, "node1"), Replication::kFollowing);
  EXPECT_EQ(replication(world, "node2"), Replication::kNone) << "the active master follows nobody";
  world.on_job = [](const World::PendingJob&, JobDone&) {};
  world.give("node1", RejoinCommand{{701}});
  world.run();
  EXPECT_EQ(world.answer({701})->result, Result::kDone);
  world.give("node2", RejoinCommand{{702}});
  EXPECT_EQ(world.answer({702})->error_number, static_cast<uint32_t>(ErrorCode::kAlreadyActive));
  return world;
}

SCENARIO(a_standby_that_cannot_follow_is_an_exception_and_tries_again) {
  World world = bootstrapped();
  world.on_job = [](const World::PendingJob& job, JobDone& done) {
    if (std::holds_alternative<FollowJob>(job.job)) done.error = "access denied";
  };
  const auto id = world.ask("node1", "node2");
  expect_done(world, id);
  EXPECT_THAT(world.answer(id)->error, HasSubstr("not following yet: node1 (access denied"));
  EXPECT_EQ(replication(world, "node1"), Replication::kFailed);
  world.on_job = [](const World::PendingJob& job, JobDone& done) {
    if (std::holds_alternative<CompareGtidsJob>(job.job)) done.error = "no luck";
  };
  world.pass(Duration{4'000'000});
  EXPECT_EQ(replication(world, "node1"), Replication::kFailed);
  world.on_job = [](const World::PendingJob&, JobDone&) {};
  world.pass(Duration{4'000'000});
  EXPECT_EQ(replication(world, "node1"), Replication::kFollowing);
  return world;
}

SCENARIO(a_replication_that_stops_is_told_and_not_begun_again) {
  World world = bootstrapped();
  const auto look = [&world](std::vector<Source> sources) {
    world.give("node2", ServerStatus{true, "0-1-5", "", std::move(sources)});
  };
  const std::vector<Source> runs = {{"node9:3306", 9, "off"}, {"node1:3306", 1, ""}};
  const std::vector<Source> stopped = {{"node1:3306", 1, "Duplicate entry"}};
  look(runs);
  look(stopped);
  EXPECT_EQ(replication(world, "node2"), Replication::kFollowing) << "it may have just begun";
  look(stopped);
  EXPECT_EQ(replication(world, "node2"), Replication::kFailed);
  const auto error = [&world] {
    const auto view = world.node("node2").view();
    return std::ranges::find(view->nodes, "node2", &NodeView::name)->replication_error;
  };
  EXPECT_THAT(error(), HasSubstr("Duplicate entry"));
  world.on_job = [](const World::PendingJob& job, JobDone&) {
    EXPECT_FALSE(std::holds_alternative<FollowJob>(job.job)) << "somebody has stopped it";
  };
  world.pass(Duration{10'000'000});
  look({{"another:3306", 1, ""}});
  EXPECT_EQ(replication(world, "node2"), Replication::kFollowing);
  EXPECT_EQ(error(), "");
  world.on_job = [](const World::PendingJob&, JobDone&) {};
  look({});
  look({});
  EXPECT_EQ(replication(world, "node2"), Replication::kFailed) << "no connection any more";
  world.give("node2", RejoinCommand{{701}});
  world.run();
  EXPECT_EQ(replication(world, "node2"), Replication::kFollowing);
  return world;
}

SCENARIO(an_old_master_with_errant_transactions_diverges_until_it_is_repaired) {
  World world = bootstrapped();
  bool left = false;
  world.on_job = [&left](const World::PendingJob& job, JobDone& done) {
    if (std::holds_alternative<CompareGtidsJob>(job.job)) done.text = "0-1-7 to 0-1-9";
    if (const auto* describe = std::get_if<DescribeJob>(&job.job))
      done.text = describe->gtids + " are 3 transactions";
    EXPECT_FALSE(std::holds_alternative<FollowJob>(job.job)) << "follows although it diverged";
    left |= std::holds_alternative<LeaveJob>(job.job);
  };
  const auto id = world.ask("node1", "node2");
  expect_done(world, id);
  EXPECT_THAT(world.answer(id)->error, HasSubstr("0-1-7 to 0-1-9"));
  EXPECT_TRUE(left);
  EXPECT_TRUE(world.node("node1").fenced());
  EXPECT_EQ(replication(world, "node1"), Replication::kDiverged);
  world.give("node1", RejoinCommand{{701}});
  world.run();
  EXPECT_EQ(world.answer({701})->error_number, static_cast<uint32_t>(ErrorCode::kDiverged));
  EXPECT_THAT(world.answer({701})->error, HasSubstr("(0-1-7 to 0-1-9 are 3 transactions)"));
  EXPECT_EQ(replication(world, "node1"), Replication::kDiverged);
  world.on_job = [](const World::PendingJob&, JobDone&) {};
  world.pass(Duration{10'000'000});
  EXPECT_EQ(replication(world, "node1"), Replication::kDiverged) << "not without being asked";
  world.give("node1", RejoinCommand{{702}});
  world.run();
  EXPECT_EQ(world.answer({702})->result, Result::kDone);
  EXPECT_EQ(replication(world, "node1"), Replication::kFollowing);
  return world;
}

}  // namespace
}  // namespace active_master::testing
