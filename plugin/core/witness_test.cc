#include "plugin/core/witness.h"

#include <gmock/gmock.h>

namespace active_master {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr Duration kLease{1'000'000};
constexpr const char* kVoters = "n1,n2,w";

// A witness of two nodes. Stores succeed at once unless the test says otherwise.
class WitnessTest : public ::testing::Test {
 protected:
  WitnessTest() {
    config_.identity = {"test", "w", 0};
    config_.peers = {{"n1", {"n1", 33307}}, {"n2", {"n2", 33307}}};
    config_.voters = {"n1", "n2", "w"};
    config_.lease = kLease;
    restart();
    now_ = now_ + kLease;
  }

  void restart() {
    witness_.emplace(config_, disk_);
    give(Tick{});
  }

  void give(const Input& input) {
    std::vector<JobId> stored;
    for (auto& action : witness_->handle(input, now_)) {
      if (const auto* send = std::get_if<SendToNode>(&action)) {
        if (const auto* reply = std::get_if<AskReply>(&send->message))
          replies_[send->node] = *reply;
      } else if (const auto* all = std::get_if<SendToAll>(&action)) {
        told_ = all->state;
      } else if (const auto* job = std::get_if<RunJob>(&action)) {
        if (disk_error_.empty()) disk_ = std::get<PersistJob>(job->job).durable;
        stored.push_back(job->id);
      }
    }
    for (const auto id : stored) give(JobDone{id, disk_error_, {}, {}, {}});
  }

  void hear(const NodeName& node, uint64_t epoch, uint64_t promise = 0) {
    NodeState state;
    state.node = node;
    if (epoch > 0) state.activation = Activation{{epoch}, "n1", "n1:3306", {}};
    state.promise = {promise};
    give(FromNode{node, state});
  }

  std::string ask_lease(const NodeName& node, uint64_t epoch) {
    give(FromNode{node, Ask{{}, 1, {epoch}, true, kLease, kVoters}});
    return replies_.at(node).refusal;
  }
  AskReply bid(const NodeName& node, uint64_t epoch, bool is_binding = true) {
    give(FromNode{node, Ask{{7}, 2, {epoch}, is_binding}});
    return replies_.at(node);
  }

  Config config_;
  Durable disk_;
  std::string disk_error_;
  std::optional<Witness> witness_;
  Time now_{};
  std::map<NodeName, AskReply> replies_;
  NodeState told_;
};

TEST_F(WitnessTest, GivesTheLeaseAndPromisesNobodyElseMeanwhile) {
  hear("n1", 5);
  hear("n2", 5);
  EXPECT_THAT(ask_lease("n1", 5), IsEmpty());
  const auto refused = bid("n2", 102);
  EXPECT_FALSE(refused.promised);
  EXPECT_TRUE(refused.alive);
  EXPECT_THAT(refused.refusal, HasSubstr("gave the lease to n1"));
  now_ = now_ + kLease;
  EXPECT_FALSE(bid("n2", 102, false).promised) << "only asked";
  EXPECT_TRUE(bid("n2", 102).promised);
  EXPECT_EQ(disk_.promise, (Promise{{102}, "n2"}));
  EXPECT_THAT(ask_lease("n1", 5), HasSubstr("promised epoch 102"));
  EXPECT_THAT(ask_lease("n2", 102), IsEmpty());
}

TEST_F(WitnessTest, RemembersItsPromiseAndWaitsForALeaseAfterARestart) {
  hear("n1", 5);
  hear("n2", 5);
  EXPECT_TRUE(bid("n2", 102).promised);
  restart();
  EXPECT_FALSE(bid("n2", 102).promised) << "somebody may have its lease";
  now_ = now_ + kLease;
  EXPECT_TRUE(bid("n2", 102).promised);
  EXPECT_THAT(bid("n1", 101).refusal, HasSubstr("promised epoch 102 to node n2"));
}

TEST_F(WitnessTest, APromiseThatIsNotOnDiskIsNone) {
  hear("n1", 5);
  hear("n2", 5);
  disk_error_ = "no space left";
  const auto reply = bid("n2", 102);
  EXPECT_FALSE(reply.promised);
  EXPECT_EQ(reply.refusal, "no space left");
}

TEST_F(WitnessTest, HasNoVoteAfterItLostItsDiskUntilEveryNodeWasHeard) {
  hear("n1", 5);
  hear("n2", 5);
  EXPECT_TRUE(bid("n2", 102).promised);
  disk_ = {};
  restart();
  now_ = now_ + kLease;
  hear("n1", 5);
  EXPECT_THAT(ask_lease("n1", 5), HasSubstr("no state file yet"));
  EXPECT_THAT(bid("n1", 101).refusal, HasSubstr("no state file yet"));
  hear("n2", 5, 102);  // the candidate has promised itself the same
  EXPECT_THAT(ask_lease("n1", 5), HasSubstr("promised epoch 102"));
  EXPECT_TRUE(disk_.votes);
}

TEST_F(WitnessTest, TellsWhomItKnowsToBeActive) {
  hear("n1", 5);
  hear("n2", 5);
  EXPECT_EQ(told_.role, Role::kWitness);
  ASSERT_TRUE(told_.activation);
  EXPECT_EQ(told_.activation->node, "n1");
  EXPECT_EQ(told_.activation->sql_address, "n1:3306");
  hear("n2", 4);
  EXPECT_EQ(told_.epoch, Epoch{5}) << "never back";
}

TEST_F(WitnessTest, TakesNothingFromStrangersAndAnswersNothingElse) {
  hear("n1", 5);
  hear("n2", 5);
  hear("n3", 9);
  EXPECT_EQ(witness_->durable().epoch, Epoch{5});
  replies_.clear();
  give(FromNode{"n1", SwitchRequest{{1}, "w", "n1"}});
  give(FromNode{"n1", Ask{{}, 1, {5}, false}});
  EXPECT_TRUE(replies_.empty());
}

TEST_F(WitnessTest, IsOfOneClusterAndNameOnly) {
  hear("n1", 5);
  hear("n2", 5);
  config_.identity.node = "w2";
  restart();
  EXPECT_FALSE(witness_->durable().votes);
  EXPECT_EQ(witness_->durable().epoch, Epoch{});
}

}  // namespace
}  // namespace active_master
