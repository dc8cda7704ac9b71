// Scripts of what nodes say, and what the proxy must do about it.
#include "client/subscriber/subscription.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <set>

namespace active_master::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using enum State;
using std::chrono::seconds;

// NodeState of a node: node("a").active(5), node("b").knows(5, "a").pause(6, 77).
struct NodeStateBuilder {
  protocol::NodeState state;

  NodeStateBuilder& knows(uint64_t epoch, const std::string& node, const std::string& at = "") {
    state.mutable_activation()->set_epoch(epoch);
    state.mutable_activation()->set_node(node);
    state.mutable_activation()->set_sql_address(at.empty() ? node + ":3306" : at);
    return *this;
  }
  NodeStateBuilder& active(uint64_t epoch, const std::string& at = "") {
    state.set_role(protocol::ROLE_ACTIVE);
    return knows(epoch, state.node(), at);
  }
  NodeStateBuilder& pace(uint32_t us) {
    state.set_pace_us(us);
    return *this;
  }
  NodeStateBuilder& pause(uint64_t epoch, uint64_t switchover) {
    state.mutable_pause()->set_epoch(epoch);
    state.mutable_pause()->set_switchover_id(switchover);
    state.mutable_pause()->set_remaining_ms(1000);
    return *this;
  }
};

NodeStateBuilder node(const std::string& name) {
  NodeStateBuilder builder;
  builder.state.set_node(name);
  builder.state.set_role(protocol::ROLE_STANDBY);
  return builder;
}

std::set<int>& rules_seen() {
  static std::set<int> seen;
  return seen;
}

class SubscriptionTest : public testing::Test {
 protected:
  // What the handler was asked, as text: "hold 6", "open 5 a a:3306", "pace 500". Announcements are
  // counted.
  std::vector<std::string> asked() {
    std::vector<std::string> texts;
    for (const auto& action : subscription.take_actions()) {
      if (const auto* hold = std::get_if<Hold>(&action)) {
        texts.push_back("hold " + std::to_string(hold->epoch));
      } else if (const auto* route = std::get_if<Route>(&action)) {
        texts.push_back("open " + std::to_string(route->epoch) + " " + route->node + " " +
                        route->sql_address.to_string());
      } else if (const auto* pace = std::get_if<Pace>(&action)) {
        texts.push_back("pace " + std::to_string(pace->distance.count()));
      } else if (std::holds_alternative<Announce>(action)) {
        ++announcements;
      }
    }
    for (const auto* rule : subscription.take_fired()) {
      fired.push_back(rule->number);
      rules_seen().insert(rule->number);
    }
    return texts;
  }

  bool say(const NodeStateBuilder& builder) { return subscription.heard(builder.state, now); }

  void open_at_a_in_epoch_5() {
    say(node("a").active(5));
    say(node("b").knows(5, "a"));
    say(node("c").knows(5, "a"));
    ASSERT_THAT(asked(), ElementsAre("open 5 a a:3306"));
    subscription.opened(5);
    asked();
    ASSERT_EQ(subscription.state(), kOpen);
    fired.clear();
    announcements = 0;
  }

  void hold_for_epoch_6() {
    say(node("a").active(5).pause(6, 66));
    ASSERT_THAT(asked(), ElementsAre("hold 6"));
    subscription.held(6);
    asked();
    ASSERT_EQ(subscription.state(), kHeld);
    fired.clear();
    announcements = 0;
  }

  void SetUp() override { subscription.start(now); }

  Clock::time_point now{seconds(1000)};
  Subscription subscription{{"proxy1", "test", {"a", "b", "c"}, seconds(3)}};
  std::vector<int> fired;
  int announcements = 0;
};

TEST_F(SubscriptionTest, OpensAtStartWhenEveryNodeWasHeard) {
  say(node("a").active(5));
  say(node("b").knows(5, "a"));
  EXPECT_THAT(asked(), IsEmpty()) << "c may know better";
  say(node("c").knows(4, "b"));
  EXPECT_THAT(asked(), ElementsAre("open 5 a a:3306"));
  EXPECT_EQ(subscription.proxy_state().epoch(), 0) << "not before the handler says so";
  subscription.opened(5);
  asked();
  EXPECT_THAT(fired, ElementsAre(2, 8));
  EXPECT_EQ(subscription.state(), kOpen);
  EXPECT_EQ(subscription.proxy_state().epoch(), 5);
  EXPECT_EQ(subscription.proxy_state().node(), "a");
  EXPECT_EQ(announcements, 1);
}

TEST_F(SubscriptionTest, OpensAtStartWithoutAMissingStandby) {
  say(node("a").active(5));
  say(node("b").knows(5, "a"));
  now += seconds(3);
  subscription.tick(now);
  EXPECT_THAT(asked(), ElementsAre("open 5 a a:3306"));
}

TEST_F(SubscriptionTest, StaysClosedAtStartOnHearsayOfAnUnreachedActiveMaster) {
  say(node("b").knows(5, "a"));
  say(node("c").knows(5, "a"));
  now += seconds(3);
  subscription.tick(now);
  EXPECT_THAT(asked(), IsEmpty());
  EXPECT_THAT(fired, ElementsAre(3));
  EXPECT_EQ(subscription.state(), kClosed);
  EXPECT_THAT(subscription.proxy_state().last_error(), HasSubstr("not heard yet: a"));
  EXPECT_GE(announcements, 1);

  say(node("a").active(5));
  EXPECT_THAT(asked(), ElementsAre("open 5 a a:3306"));
  EXPECT_EQ(fired.back(), 5);
  EXPECT_EQ(subscription.proxy_state().last_error(), "");
}

TEST_F(SubscriptionTest, StaysClosedAtStartWhenTheActiveMasterWasLostAgain) {
  say(node("a").active(5));
  subscription.lost("a");
  say(node("b").knows(5, "a"));
  now += seconds(3);
  subscription.tick(now);
  EXPECT_THAT(asked(), IsEmpty());
  EXPECT_EQ(subscription.state(), kClosed);
}

TEST_F(SubscriptionTest, StaysClosedWhenTheNodeThatWasActiveWakesUpAsAStandby) {
  say(node("a").knows(5, "a"));
  say(node("b").knows(5, "a"));
  say(node("c").knows(5, "a"));
  EXPECT_THAT(asked(), IsEmpty());
  EXPECT_THAT(subscription.last_error(), HasSubstr("does not say so itself"));
  say(node("b").active(6));
  EXPECT_THAT(asked(), ElementsAre("open 6 b b:3306"));
}

TEST_F(SubscriptionTest, StaysClosedBeforeBootstrap) {
  say(node("a"));
  say(node("b"));
  say(node("c"));
  EXPECT_THAT(asked(), IsEmpty());
  EXPECT_EQ(subscription.state(), kClosed);
  EXPECT_THAT(subscription.last_error(), HasSubstr("no node knows an active master"));
  say(node("a").active(1));
  EXPECT_THAT(asked(), ElementsAre("open 1 a a:3306"));
}

TEST_F(SubscriptionTest, HoldsDrainsAndOpensAtTheNewActiveMaster) {
  open_at_a_in_epoch_5();
  say(node("a").active(5).pause(6, 66));
  EXPECT_THAT(asked(), ElementsAre("hold 6"));
  EXPECT_EQ(subscription.state(), kHolding);
  EXPECT_FALSE(subscription.proxy_state().holding()) << "transactions may still run";
  subscription.held(6);
  EXPECT_THAT(asked(), IsEmpty());
  EXPECT_TRUE(subscription.proxy_state().holding());
  EXPECT_EQ(subscription.proxy_state().switchover_id(), 66);
  EXPECT_EQ(subscription.proxy_state().epoch(), 5);
  say(node("b").active(6));
  EXPECT_THAT(asked(), ElementsAre("open 6 b b:3306"));
  EXPECT_FALSE(subscription.proxy_state().holding());
  subscription.opened(6);
  asked();
  EXPECT_EQ(subscription.state(), kOpen);
  EXPECT_EQ(subscription.proxy_state().epoch(), 6);
  EXPECT_EQ(subscription.proxy_state().node(), "b");
  EXPECT_THAT(fired, ElementsAre(9, 13, 14, 8));
}

TEST_F(SubscriptionTest, RepeatedAndStaleNewsChangeNothing) {
  open_at_a_in_epoch_5();
  hold_for_epoch_6();
  say(node("a").active(5).pause(6, 66));
  say(node("c").knows(5, "a").pause(6, 66));
  say(node("c").knows(3, "c").pause(4, 44));
  EXPECT_THAT(asked(), IsEmpty());
  say(node("b").active(6));
  subscription.opened(6);
  asked();
  say(node("a").active(5).pause(6, 66));
  say(node("c").knows(6, "b").pause(6, 66));
  EXPECT_THAT(asked(), IsEmpty());
  EXPECT_EQ(subscription.state(), kOpen);
}

TEST_F(SubscriptionTest, AnAbortOpensWhileTheDrainStillRuns) {
  open_at_a_in_epoch_5();
  say(node("a").active(5).pause(6, 66));
  asked();
  say(node("a").active(7));
  EXPECT_THAT(asked(), ElementsAre("open 7 a a:3306"));
  EXPECT_EQ(fired.back(), 11);
  subscription.held(6);
  EXPECT_EQ(subscription.state(), kOpening) << "that answer came too late";
  subscription.opened(7);
  EXPECT_EQ(subscription.state(), kOpen);
}

TEST_F(SubscriptionTest, ALateAnswerToAnEarlierHoldIsNotTheAcknowledgementOfALaterOne) {
  open_at_a_in_epoch_5();
  say(node("a").active(5).pause(6, 66));
  say(node("a").active(7));
  say(node("a").active(7).pause(8, 88));
  EXPECT_THAT(asked(), ElementsAre("hold 6", "open 7 a a:3306", "hold 8"));
  subscription.held(6);
  EXPECT_EQ(subscription.state(), kHolding) << "traffic was let in after it";
  subscription.held(8);
  EXPECT_EQ(subscription.state(), kHeld);
}

TEST_F(SubscriptionTest, ANewerPauseWhileHoldingIsTheOneToAcknowledge) {
  open_at_a_in_epoch_5();
  say(node("a").active(5).pause(6, 66));
  say(node("b").knows(5, "a").pause(9, 99));
  EXPECT_THAT(asked(), ElementsAre("hold 6", "hold 9"));
  EXPECT_THAT(fired, ElementsAre(9, 12));
  subscription.held(6);
  EXPECT_EQ(subscription.proxy_state().switchover_id(), 99)
      << "nothing was let in since: it holds for both";
  say(node("b").knows(7, "a").pause(9, 99));
  EXPECT_THAT(asked(), IsEmpty()) << "7 resolves 6; the director of 9 is active in 7";
  EXPECT_EQ(subscription.state(), kHeld);
}

// Its director was superseded by a failover below the epoch that it prepared.
TEST_F(SubscriptionTest, APauseEndsWithTheTermOfItsDirector) {
  open_at_a_in_epoch_5();
  say(node("a").active(5).pause(104, 66));
  EXPECT_THAT(asked(), ElementsAre("hold 104"));
  say(node("b").active(103));
  EXPECT_THAT(asked(), ElementsAre("open 103 b b:3306"));
  say(node("a").knows(5, "a").pause(104, 66));
  EXPECT_THAT(asked(), IsEmpty()) << "old news";
}

TEST_F(SubscriptionTest, ANewerPauseWhenHeldIsAcknowledgedAtOnce) {
  open_at_a_in_epoch_5();
  hold_for_epoch_6();
  say(node("b").knows(5, "a").pause(8, 88));
  EXPECT_THAT(asked(), IsEmpty());
  EXPECT_THAT(fired, ElementsAre(15));
  EXPECT_EQ(announcements, 1);
  EXPECT_TRUE(subscription.proxy_state().holding());
  EXPECT_EQ(subscription.proxy_state().switchover_id(), 88);
}

TEST_F(SubscriptionTest, FollowsAHigherActivationWithoutAPause) {
  open_at_a_in_epoch_5();
  say(node("c").knows(6, "b"));
  EXPECT_THAT(asked(), ElementsAre("open 6 b b:3306"));
  say(node("c").knows(7, "c"));
  EXPECT_THAT(asked(), ElementsAre("open 7 c c:3306"));
  EXPECT_THAT(fired, ElementsAre(10, 7));
  subscription.opened(6);
  EXPECT_EQ(subscription.state(), kOpening) << "6 is not what was asked last";
  subscription.opened(7);
  EXPECT_EQ(subscription.state(), kOpen);
}

TEST_F(SubscriptionTest, APauseWhileOpeningHolds) {
  say(node("a").active(5));
  say(node("b"));
  say(node("c"));
  say(node("a").active(5).pause(6, 66));
  EXPECT_THAT(asked(), ElementsAre("open 5 a a:3306", "hold 6"));
  EXPECT_THAT(fired, ElementsAre(2, 6));
  subscription.opened(5);
  EXPECT_EQ(subscription.state(), kHolding);
  subscription.held(6);
  EXPECT_EQ(subscription.state(), kHeld);
}

TEST_F(SubscriptionTest, JoinsInMidPause) {
  say(node("a").active(5).pause(6, 66));
  EXPECT_THAT(asked(), ElementsAre("hold 6"));
  EXPECT_THAT(fired, ElementsAre(1));
  subscription.held(6);
  EXPECT_TRUE(subscription.proxy_state().holding());
  say(node("b").active(6));
  EXPECT_THAT(asked(), IsEmpty()) << "the first opening needs the full-cluster check, too";
  say(node("c").knows(6, "b"));
  EXPECT_THAT(asked(), ElementsAre("open 6 b b:3306"));
}

TEST_F(SubscriptionTest, APauseEndsUncertainty) {
  say(node("b"));
  now += seconds(3);
  subscription.tick(now);
  EXPECT_THAT(asked(), IsEmpty());
  say(node("a").active(5).pause(6, 66));
  EXPECT_THAT(asked(), ElementsAre("hold 6"));
  EXPECT_THAT(fired, ElementsAre(3, 4));
}

TEST_F(SubscriptionTest, TwoClaimantsOfOneEpochKeepTrafficClosed) {
  say(node("a").active(5));
  say(node("b").active(5));
  say(node("c"));
  EXPECT_THAT(asked(), IsEmpty());
  EXPECT_EQ(subscription.state(), kClosed);
  EXPECT_TRUE(subscription.has_conflict());
  EXPECT_THAT(subscription.proxy_state().last_error(), HasSubstr("a and b both claim"));
  say(node("b").active(6));
  EXPECT_FALSE(subscription.has_conflict());
  EXPECT_THAT(asked(), ElementsAre("open 6 b b:3306"));
}

TEST_F(SubscriptionTest, TwoClaimantsOfOneEpochKeepTrafficHeld) {
  open_at_a_in_epoch_5();
  hold_for_epoch_6();
  say(node("c").knows(5, "b"));
  EXPECT_TRUE(subscription.has_conflict());
  EXPECT_EQ(subscription.state(), kHeld);
  say(node("b").active(6));
  EXPECT_FALSE(subscription.has_conflict());
  EXPECT_THAT(asked(), ElementsAre("open 6 b b:3306"));
}

TEST_F(SubscriptionTest, AConflictDoesNotMoveTrafficThatRuns) {
  open_at_a_in_epoch_5();
  say(node("b").active(5));
  EXPECT_THAT(asked(), IsEmpty());
  EXPECT_EQ(subscription.state(), kOpen);
  EXPECT_TRUE(subscription.has_conflict());
  EXPECT_THAT(subscription.proxy_state().last_error(), HasSubstr("both claim"));
}

TEST_F(SubscriptionTest, LosingEveryNodeLeavesTrafficAsItIs) {
  open_at_a_in_epoch_5();
  for (const auto* name : {"a", "b", "c"}) subscription.lost(name);
  now += seconds(100);
  subscription.tick(now);
  EXPECT_THAT(asked(), IsEmpty());
  EXPECT_EQ(subscription.state(), kOpen);
}

TEST_F(SubscriptionTest, KeepsThePaceThatTheActiveMasterAsksFor) {
  open_at_a_in_epoch_5();
  say(node("a").active(5).pace(500));
  EXPECT_THAT(asked(), ElementsAre("pace 500"));
  say(node("a").active(5).pace(500));
  EXPECT_THAT(asked(), IsEmpty());
  say(node("a").active(5).pace(1000));
  EXPECT_THAT(asked(), ElementsAre("pace 1000"));
  say(node("a").active(5).pause(6, 77));
  EXPECT_THAT(asked(), ElementsAre("hold 6", "pace 0"));
}

TEST_F(SubscriptionTest, KeepsNoPaceOfWhoIsNotTheActiveMasterOrIsLost) {
  open_at_a_in_epoch_5();
  say(node("b").knows(5, "a").pace(500));
  say(node("b").active(4).pace(500));
  EXPECT_THAT(asked(), IsEmpty());
  say(node("a").active(5).pace(500));
  EXPECT_THAT(asked(), ElementsAre("pace 500"));
  subscription.lost("a");
  EXPECT_THAT(asked(), ElementsAre("pace 0"));
}

TEST_F(SubscriptionTest, FollowsANodeThatMovesToAnotherAddress) {
  open_at_a_in_epoch_5();
  say(node("b").knows(5, "a", "elsewhere:1"));
  EXPECT_THAT(asked(), IsEmpty()) << "others may remember an old one";
  say(node("a").active(5, "a:3307"));
  EXPECT_THAT(asked(), ElementsAre("open 5 a a:3307"));
}

TEST_F(SubscriptionTest, AFailureIsShownUntilTheHandlerSucceeds) {
  open_at_a_in_epoch_5();
  say(node("a").active(5).pause(6, 66));
  subscription.failed("the socket is gone");
  asked();
  EXPECT_EQ(subscription.proxy_state().last_error(), "the socket is gone");
  EXPECT_EQ(subscription.state(), kHolding);
  EXPECT_GE(announcements, 1);
  subscription.held(6);
  EXPECT_EQ(subscription.proxy_state().last_error(), "");
}

TEST_F(SubscriptionTest, IgnoresWhatMakesNoSense) {
  EXPECT_FALSE(say(node("stranger").active(5)));
  EXPECT_FALSE(say(node("a").active(0)));
  EXPECT_FALSE(say(node("a").active(5, "no address")));
  EXPECT_FALSE(say(node("a").knows(5, "no name")));
  subscription.held(1);
  subscription.opened(1);
  EXPECT_THAT(asked(), IsEmpty());
  EXPECT_EQ(subscription.state(), kStarting);
}

// The table itself.
TEST(SubscriptionRules, AreNumberedGroupedByStateAndExplained) {
  int number = 0;
  std::set<State> done;
  State current = kStarting;
  for (const auto& rule : Subscription::rules()) {
    EXPECT_EQ(rule.number, ++number);
    EXPECT_FALSE(rule.condition.empty());
    EXPECT_FALSE(rule.reason.empty());
    EXPECT_EQ(rule.action.empty(), rule.then == nullptr);
    if (rule.from != current) done.insert(std::exchange(current, rule.from));
    EXPECT_FALSE(done.contains(rule.from)) << "rule " << number << " stands apart from its state";
  }
  done.insert(current);
  EXPECT_EQ(done.size(), 6) << "every state can be left";
}

TEST(SubscriptionRules, TakeEverythingInEveryStateOrIgnoreItForAReason) {
  const std::pair<std::string_view, std::vector<std::string_view>> kinds[] = {
      {"a pause", {"a pause is on", "a newer pause is on"}},
      {"an activation",
       {"active master certain", "a newer route is known",
        "activated at the pause's epoch or above"}},
      {"the handler holds", {"the handler holds"}},
      {"the handler has opened", {"the handler has opened"}},
  };
  for (const auto state : {kStarting, kClosed, kOpening, kOpen, kHolding, kHeld}) {
    for (const auto& [kind, conditions] : kinds) {
      bool taken = false;
      for (const auto& rule : Subscription::rules())
        taken |= rule.from == state && std::ranges::count(conditions, rule.condition) > 0;
      const auto times = std::ranges::count_if(ignored(), [state, what = kind](const Ignored& i) {
        return i.in == state && i.what == what;
      });
      EXPECT_EQ(times, taken ? 0 : 1) << kind << " in " << to_string(state);
    }
  }
}

// A proxy that was active in epoch 7 restarts, and hears old news first.
TEST(SubscriptionMemory, NeverOpensToALowerEpochThanBeforeTheRestart) {
  const Clock::time_point now{seconds(1000)};
  Subscription subscription{
      {"proxy1", "test", {"a", "b"}, seconds(3), Route{7, "b", {"b", 3306}}, 1}};
  subscription.start(now);
  EXPECT_TRUE(subscription.heard(node("a").active(5).state, now));
  EXPECT_TRUE(subscription.heard(node("b").state, now));
  subscription.tick(now + seconds(5));
  EXPECT_THAT(subscription.take_actions(),
              testing::Each(testing::VariantWith<Announce>(testing::_)));
  EXPECT_EQ(subscription.state(), kClosed);
  EXPECT_TRUE(subscription.heard(node("b").active(7).state, now + seconds(6)));
  EXPECT_EQ(subscription.state(), kOpening);
}

TEST(SubscriptionMemory, RemembersAnActivationBeforeActingOnIt) {
  const Clock::time_point now{seconds(1000)};
  Subscription subscription{{"proxy1", "test", {"a"}, seconds(3), {}, 1}};
  subscription.start(now);
  EXPECT_TRUE(subscription.heard(node("a").active(5).state, now));
  const auto actions = subscription.take_actions();
  ASSERT_GE(actions.size(), 2u);
  EXPECT_EQ(std::get<Remember>(actions[0]).route.epoch, 5u);
  EXPECT_EQ(std::get<Route>(actions[1]).epoch, 5u);
}

// A proxy that reaches only a standby opens when that one hears the active master.
TEST(SubscriptionGossip, OpensOnTheWordOfANodeThatHearsTheActiveMaster) {
  Clock::time_point now{seconds(1000)};
  Subscription subscription{{"proxy1", "test", {"a", "b"}, seconds(3), {}, 1}};
  subscription.start(now);
  auto word = node("b").knows(5, "a");
  EXPECT_TRUE(subscription.heard(word.state, now));
  now += seconds(3);
  subscription.tick(now);
  EXPECT_EQ(subscription.state(), kClosed) << "hearsay";
  word.state.set_confirmed(true);
  EXPECT_TRUE(subscription.heard(word.state, now));
  EXPECT_EQ(subscription.state(), kOpening);
}

class EveryRule : public testing::Environment {
  void TearDown() override {
    // Only a run of all scripts can tell.
    const auto& all = *testing::UnitTest::GetInstance();
    if (all.test_to_run_count() != all.total_test_count()) return;
    for (const auto& rule : Subscription::rules()) {
      EXPECT_TRUE(rules_seen().contains(rule.number)) << "no script fires rule " << rule.number;
    }
  }
};
const auto* const kEveryRule = testing::AddGlobalTestEnvironment(new EveryRule);

}  // namespace
}  // namespace active_master::client
