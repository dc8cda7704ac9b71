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
constexpr Time kNow{kLease};  // when what was given before the start has run out
const std::vector<NodeName> kVoters{"n1", "n2", "n3"};

Durable knowing(uint64_t epoch, const NodeName& node) {
  Durable durable;
  durable.epoch = {epoch};
  durable.active_node = node;
  durable.votes = true;
  return durable;
}

class VoterTest : public ::testing::Test {
 protected:
  VoterTest() { voter_.start(Time{}, kVoters, kLease); }

  // Why it gives no lease.
  std::string ask(const NodeName& holder, uint64_t epoch, const Durable& known, Time now = kNow) {
    return voter_.give(holder, Ask{{}, 1, {epoch}, true, kLease, "n1,n2,n3"}, known, now);
  }

  Voter voter_;
};

TEST_F(VoterTest, IsBoundUntilEveryLeaseThatItGaveHasRunOut) {
  EXPECT_THAT(ask("n1", 5, knowing(5, "n1")), IsEmpty());
  EXPECT_FALSE(voter_.is_free(kNow + (kLease - Duration{1})));
  EXPECT_TRUE(voter_.is_free(kNow + kLease));
}

TEST_F(VoterTest, GivesNothingBelowWhatItKnowsOrPromised) {
  EXPECT_THAT(ask("n1", 5, knowing(0, "")), HasSubstr("no active master"));
  EXPECT_THAT(ask("n1", 5, knowing(6, "n2")), HasSubstr("epoch 6"));
  EXPECT_THAT(ask("n1", 5, knowing(5, "n2")), HasSubstr("of node n2"));
  auto promised = knowing(5, "n1");
  promised.promise = Promise{{102}, "n2"};
  EXPECT_THAT(ask("n1", 5, promised), HasSubstr("promised epoch 102"));
  EXPECT_THAT(ask("n3", 102, promised), HasSubstr("to node n2"));
  EXPECT_TRUE(voter_.is_free(kNow));
  EXPECT_THAT(ask("n2", 102, promised), IsEmpty());
}

TEST_F(VoterTest, TheLeaseGoesOnToTheNextEpochOnly) {
  const auto known = knowing(5, "n1");
  EXPECT_THAT(ask("n1", 5, known), IsEmpty());
  EXPECT_THAT(ask("n2", 6, known), IsEmpty()) << "handed over";
  EXPECT_THAT(ask("n1", 7, known), IsEmpty()) << "taken back";
  EXPECT_THAT(ask("n2", 6, known), HasSubstr("n1 has its lease"));
}

TEST_F(VoterTest, AnOldActiveMasterIsNotAboveAPromise) {
  auto promised = knowing(5, "n1");
  promised.promise = Promise{{102}, "n2"};
  EXPECT_THAT(ask("n1", 161, promised), HasSubstr("promised epoch 102"));
  EXPECT_THAT(ask("n2", 102, promised), IsEmpty());
  EXPECT_THAT(ask("n1", 161, knowing(103, "n2")), IsEmpty()) << "it was promised it by others";
}

TEST_F(VoterTest, DoesNotRememberWhatItGaveBeforeItsStart) {
  EXPECT_FALSE(voter_.is_free(Time{kLease - Duration{1}}));
  EXPECT_TRUE(voter_.is_free(kNow));
}

// After a restart it would wait for its own, while another counts on a longer one.
TEST_F(VoterTest, GivesNoLeaseOfAnotherLengthOrByAnotherList) {
  const auto known = knowing(5, "n1");
  EXPECT_THAT(voter_.give("n1", Ask{{}, 1, {5}, true, 2 * kLease, "n1,n2,n3"}, known, kNow),
              HasSubstr("active_master_lease is 1000 ms"));
  EXPECT_THAT(voter_.give("n1", Ask{{}, 1, {5}, true, kLease, "n1,n2"}, known, kNow),
              HasSubstr("active_master_voters is 'n1,n2,n3'"));
  voter_.start(kNow, kVoters, kLease / 2);
  EXPECT_FALSE(voter_.is_free(kNow + kLease / 2)) << "the lease that it gave was longer";
}

TEST_F(VoterTest, HasNoVoteWithoutAMemoryUntilEveryNodeWasHeard) {
  auto known = knowing(5, "n1");
  known.votes = false;
  EXPECT_THAT(ask("n1", 5, known), HasSubstr("no state file yet"));
  EXPECT_THAT(voter_.why_bound(known, kNow), HasSubstr("no state file yet"));
  gain_vote(known, {{102}, {}});  // which it may have promised itself
  EXPECT_THAT(ask("n1", 5, known), HasSubstr("promised epoch 102, before it lost"));
  EXPECT_THAT(why_no_promise({102}, "n2", known), HasSubstr("before it lost"));
  EXPECT_THAT(why_no_promise({203}, "n2", known), IsEmpty());
}

// It was promised that epoch, and forgets the promise with it; only later it opens (seed 83272).
TEST_F(VoterTest, ANodeThatHasTakenAnEpochAndNotOpenedItHasThePromiseOfWhoForgot) {
  NodeState taken;
  taken.node = "n2";
  taken.epoch = {102};
  taken.activation = Activation{{5}, "n1", "n1:3306", {}};
  auto known = knowing(5, "n1");
  gain_vote(known, promise_of(taken));
  EXPECT_THAT(ask("n1", 5, known), HasSubstr("promised epoch 102 to node n2"));
  EXPECT_THAT(ask("n2", 102, known), IsEmpty());
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

  // n2 has the role when it dies, and n1 is back.
  void let_two_active_masters_die() {
    (void)world_.crash("n1");
    world_.pass(4 * kLease);
    ASSERT_THAT(world_.writable(), ElementsAre("n2"));
    world_.restart("n1");
    world_.pass(kLease);
    (void)world_.crash("n2");
    world_.pass(10 * kLease);
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

TEST_F(LeaseTest, AfterSoManyFailoversInAnHourAPersonMustLook) {
  for (const NodeName name : {"n1", "n2", "n3"}) {
    auto& config = world_.config_of(name);
    config.cooldown = Duration{0};
    config.max_failovers = 1;
    world_.give(name, Reconfigured{config});
  }
  let_two_active_masters_die();
  EXPECT_THAT(world_.writable(), IsEmpty());
  const auto id = world_.fail_over("n1", "n3");
  world_.pass(2 * kLease);
  EXPECT_THAT(world_.writable(), ElementsAre("n3")) << world_.answer(id)->error;
}

TEST_F(LeaseTest, AfterAFailoverNoneBeginsForAWhile) {
  let_two_active_masters_die();
  EXPECT_THAT(world_.writable(), IsEmpty());
  world_.pass(world_.config_of("n3").cooldown);
  EXPECT_THAT(world_.writable(), SizeIs(1));
}

// What has waited there since an earlier term must not go on before.
TEST_F(LeaseTest, ACandidatesGateHasNoLeaseBeforeItIsOpen) {
  world_.hold<OpenWritesJob>("n2");
  (void)world_.crash("n1");
  world_.pass(4 * kLease);
  ASSERT_EQ(world_.node("n2").state(), State::kActivateOpen);
  EXPECT_EQ(world_.write_until("n2"), Time{});
  world_.finish_held();
  EXPECT_THAT(world_.writable(), ElementsAre("n2"));
  EXPECT_GT(world_.write_until("n2"), Time{});
}

TEST_F(LeaseTest, WhoHasReceivedLessLetsTheOtherStand) {
  world_.on_job = [](const auto& job, JobDone& done) {
    const auto* apply = std::get_if<ApplyJob>(&job.job);
    if (apply != nullptr && apply->timeout == Duration{0} && job.node == "n2")
      done.rows.push_back({"n3", "transactions", Verdict::kFailed, "has more", ""});
  };
  (void)world_.crash("n1");
  world_.pass(4 * kLease);
  EXPECT_THAT(world_.writable(), ElementsAre("n3"));
  EXPECT_TRUE(world_.fired().contains(840));
}

TEST_F(LeaseTest, OfTwoRivalsTheOneThatIsFurtherGoesOn) {
  world_.hold<ApplyJob>("n2");  // it looks and looks who has more
  (void)world_.crash("n1");
  world_.pass(4 * kLease);
  EXPECT_THAT(world_.writable(), ElementsAre("n3"));
  EXPECT_TRUE(world_.fired().contains(837));
  EXPECT_TRUE(world_.fired().contains(838));
}

// A restart throws relay logs away, and with them what was acknowledged.
TEST_F(LeaseTest, StandbysThatRestartWaitForTheOldActiveMaster) {
  for (const NodeName name : {"n1", "n2", "n3"}) (void)world_.crash(name);
  world_.restart("n2");
  world_.restart("n3");
  world_.pass(10 * kLease);
  EXPECT_THAT(world_.writable(), IsEmpty());
  EXPECT_THAT(world_.node("n2").view()->last_error, HasSubstr("n2, n3"));
  world_.restart("n1");
  world_.pass(4 * kLease);
  EXPECT_THAT(world_.writable(), ElementsAre("n1"));
}

TEST_F(LeaseTest, StandbysThatRestartTakeTheRoleByForce) {
  for (const NodeName name : {"n1", "n2", "n3"}) (void)world_.crash(name);
  world_.restart("n2");
  world_.restart("n3");
  world_.pass(2 * kLease);
  const auto id = world_.fail_over("n3", "n2");
  world_.pass(2 * kLease);
  ASSERT_NE(world_.answer(id), nullptr);
  EXPECT_EQ(world_.answer(id)->error_number, static_cast<uint32_t>(ErrorCode::kMayLack));
  (void)world_.fail_over("n3", "n2", true);
  world_.pass(2 * kLease);
  EXPECT_THAT(world_.writable(), ElementsAre("n2"));
}

// One that has caught up again is as good as any other.
TEST_F(LeaseTest, AStandbyThatRestartsCatchesUp) {
  (void)world_.crash("n2");
  world_.restart("n2");
  world_.pass(kLease);
  (void)world_.crash("n1");
  world_.pass(4 * kLease);
  EXPECT_THAT(world_.writable(), SizeIs(1));
}

// Whoever is set up again from nothing may have promised an epoch above the active master's.
TEST_F(LeaseTest, AVoterThatLostItsDiskVotesWhenItHasHeardAll) {
  (void)world_.crash("n2");
  (void)world_.crash("n3");
  world_.pass(2 * kLease);
  world_.start("n3", {});
  world_.pass(2 * kLease);
  EXPECT_THAT(world_.writable(), IsEmpty());
  EXPECT_THAT(world_.node("n1").view()->last_error, HasSubstr("no state file yet"));
  world_.restart("n2");
  (void)world_.crash("n2");
  world_.pass(2 * kLease);
  EXPECT_THAT(world_.writable(), ElementsAre("n1"));
  EXPECT_TRUE(world_.disk("n3").votes);
}

}  // namespace
}  // namespace active_master
