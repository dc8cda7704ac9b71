#include "plugin/core/voter.h"

#include <gmock/gmock.h>

#include "plugin/core/world.h"

namespace active_master {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr Duration kLease{1'000'000};

Durable knowing(uint64_t epoch, const NodeName& node) {
  Durable durable;
  durable.epoch = {epoch};
  durable.active_node = node;
  return durable;
}

TEST(Voter, IsBoundUntilEveryLeaseThatItGaveHasRunOut) {
  Voter voter;
  EXPECT_THAT(voter.give("n1", {5}, kLease, knowing(5, "n1"), Time{}), IsEmpty());
  EXPECT_FALSE(voter.is_free(Time{kLease - Duration{1}}));
  EXPECT_TRUE(voter.is_free(Time{kLease}));
}

TEST(Voter, GivesNothingBelowWhatItKnowsOrPromised) {
  Voter voter;
  EXPECT_THAT(voter.give("n1", {5}, kLease, knowing(0, ""), Time{}), HasSubstr("no active master"));
  EXPECT_THAT(voter.give("n1", {5}, kLease, knowing(6, "n2"), Time{}), HasSubstr("epoch 6"));
  EXPECT_THAT(voter.give("n1", {5}, kLease, knowing(5, "n2"), Time{}), HasSubstr("of node n2"));
  auto promised = knowing(5, "n1");
  promised.promise = Promise{{102}, "n2"};
  EXPECT_THAT(voter.give("n1", {5}, kLease, promised, Time{}), HasSubstr("promised epoch 102"));
  EXPECT_THAT(voter.give("n3", {102}, kLease, promised, Time{}), HasSubstr("to node n2"));
  EXPECT_TRUE(voter.is_free(Time{}));
  EXPECT_THAT(voter.give("n2", {102}, kLease, promised, Time{}), IsEmpty());
}

TEST(Voter, TheLeaseGoesOnToTheNextEpochOnly) {
  Voter voter;
  const auto known = knowing(5, "n1");
  EXPECT_THAT(voter.give("n1", {5}, kLease, known, Time{}), IsEmpty());
  EXPECT_THAT(voter.give("n2", {6}, kLease, known, Time{}), IsEmpty()) << "handed over";
  EXPECT_THAT(voter.give("n1", {7}, kLease, known, Time{}), IsEmpty()) << "taken back";
  EXPECT_THAT(voter.give("n2", {6}, kLease, known, Time{}), HasSubstr("n1 has its lease"));
}

TEST(Voter, AnOldActiveMasterIsNotAboveAPromise) {
  Voter voter;
  auto promised = knowing(5, "n1");
  promised.promise = Promise{{102}, "n2"};
  EXPECT_THAT(voter.give("n1", {161}, kLease, promised, Time{}), HasSubstr("promised epoch 102"));
  EXPECT_THAT(voter.give("n2", {102}, kLease, promised, Time{}), IsEmpty());
  EXPECT_THAT(voter.give("n1", {161}, kLease, knowing(103, "n2"), Time{}), IsEmpty())
      << "it was promised it by others";
}

TEST(Voter, DoesNotRememberWhatItGaveBeforeItsStart) {
  Voter voter;
  voter.start(Time{kLease}, kLease);
  EXPECT_FALSE(voter.is_free(Time{2 * kLease - Duration{1}}));
  EXPECT_TRUE(voter.is_free(Time{2 * kLease}));
}

// Three nodes that vote.
class LeaseTest : public ::testing::Test {
 protected:
  LeaseTest() : world_({"n1", "n2", "n3"}) {
    world_.bootstrap("n1");
    for (const NodeName name : {"n1", "n2", "n3"}) {
      auto& config = world_.config_of(name);
      config.voters = {"n1", "n2", "n3"};
      config.lease = kLease;
      config.auto_failover = true;
      world_.give(name, Reconfigured{config});
    }
    world_.run();
    world_.pass(2 * kLease);
  }

  testing::World world_;
};

TEST_F(LeaseTest, AStandbyTakesTheRoleWhenTheActiveMasterDies) {
  ASSERT_THAT(world_.writable(), ElementsAre("n1"));
  (void)world_.crash("n1");
  world_.pass(kLease / 2);
  EXPECT_THAT(world_.writable(), IsEmpty());
  world_.pass(2 * kLease);
  EXPECT_THAT(world_.writable(), SizeIs(1));
  world_.restart("n1");
  world_.pass(kLease);
  EXPECT_THAT(world_.writable(), SizeIs(1));
  EXPECT_EQ(world_.node("n1").role(), Role::kStandby);
}

TEST_F(LeaseTest, AnActiveMasterWithoutAMajorityFencesItselfAndOpensWhenItIsBack) {
  (void)world_.crash("n2");
  world_.pass(2 * kLease);
  EXPECT_THAT(world_.writable(), ElementsAre("n1"));
  (void)world_.crash("n3");
  world_.pass(2 * kLease);
  EXPECT_THAT(world_.writable(), IsEmpty());
  EXPECT_THAT(world_.node("n1").view()->last_error, HasSubstr("without a lease"));
  world_.restart("n3");
  world_.pass(2 * kLease);
  EXPECT_THAT(world_.writable(), ElementsAre("n1"));
}

TEST_F(LeaseTest, AVoterOfAnotherListIsNoVoter) {
  for (const NodeName name : {"n2", "n3"}) {
    world_.config_of(name).voters = {name};
    world_.give(name, Reconfigured{world_.config_of(name)});
  }
  world_.pass(2 * kLease);
  EXPECT_THAT(world_.writable(), IsEmpty());
  EXPECT_THAT(world_.node("n1").view()->last_error, HasSubstr("active_master_voters is 'n2'"));
}

TEST_F(LeaseTest, ASwitchoverMovesTheLease) {
  const auto id = world_.ask("n1", "n2");
  world_.pass(kLease);
  ASSERT_NE(world_.answer(id), nullptr);
  EXPECT_EQ(world_.answer(id)->result, Result::kDone) << world_.answer(id)->error;
  EXPECT_THAT(world_.writable(), ElementsAre("n2"));
}

}  // namespace
}  // namespace active_master
