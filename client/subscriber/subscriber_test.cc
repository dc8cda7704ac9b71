// The subscriber against nodes that speak the protocol, or don't.
#include "client/subscriber/subscriber.h"

#include <gmock/gmock.h>

#include "client/protocol/frame.h"
#include "client/subscriber/fake_node.h"
#include "client/subscriber/traffic_gate.h"

namespace active_master::client {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

class SubscriberTest : public testing::Test {
 protected:
  // A gate, subscribed to nodes a and b.
  SubscriberTest() { handler.answer_to(subscriber); }

  [[nodiscard]] bool eventually_open_in(uint64_t epoch) {
    return eventually([&] {
      const auto now = subscriber.snapshot();
      return now.state == State::kOpen && now.proxy_state.epoch() == epoch;
    });
  }

  FakeNode a{"a"};
  FakeNode b{"b"};
  TrafficGate gate;
  GateHandler handler{gate};
  Subscriber subscriber{{.name = "proxy1",
                         .cluster = "test",
                         .nodes = {a.address(), b.address()},
                         .heartbeat = milliseconds(20),
                         .peer_timeout = milliseconds(2000),
                         .startup_wait = milliseconds(100)},
                        handler};
};

TEST_F(SubscriberTest, IntroducesItselfAndOpens) {
  a.say(active(1));
  b.say(standby(1, "a"));
  subscriber.start();
  ASSERT_TRUE(eventually_open_in(1));
  const auto pass = gate.enter(milliseconds(0));
  ASSERT_TRUE(pass);
  EXPECT_EQ(pass->route().node, "a");
  EXPECT_EQ(pass->route().sql_address.to_string(), "a:3306");
  const auto hello = a.last_hello().hello();
  EXPECT_EQ(hello.kind(), protocol::PEER_KIND_PROXY);
  EXPECT_EQ(hello.protocol_version(), protocol::kProtocolVersion);
  EXPECT_EQ(hello.name(), "proxy1");
  EXPECT_EQ(hello.cluster(), "test");
  for (auto* node : {&a, &b}) {
    EXPECT_TRUE(eventually([&] { return node->proxy().node() == "a"; }));
    EXPECT_EQ(node->proxy().proxy(), "proxy1");
    EXPECT_EQ(node->proxy().driver(), "gate");
    const int so_far = node->proxy_states();
    EXPECT_TRUE(eventually([&] { return node->proxy_states() > so_far + 2; })) << "heartbeats";
  }
}

TEST_F(SubscriberTest, PausesAcknowledgesAndResumes) {
  a.say(active(1));
  b.say(standby(1, "a"));
  subscriber.start();
  ASSERT_TRUE(eventually_open_in(1));
  auto running = gate.enter(milliseconds(0));
  ASSERT_TRUE(running);

  a.say(pause(2, 22));
  ASSERT_TRUE(eventually([&] { return !gate.is_open(); }));
  EXPECT_FALSE(a.proxy().holding()) << "a transaction runs";
  running.reset();
  for (auto* node : {&a, &b}) {
    ASSERT_TRUE(eventually([&] { return node->proxy().holding(); }));
    EXPECT_EQ(node->proxy().switchover_id(), 22);
  }

  a.say(standby(2, "b"));
  ASSERT_TRUE(eventually_open_in(2));
  EXPECT_EQ(gate.enter(milliseconds(0))->route().node, "b");
  for (auto* node : {&a, &b}) {
    EXPECT_TRUE(eventually([&] { return node->proxy().epoch() == 2; }));
    EXPECT_FALSE(node->proxy().holding());
  }
}

TEST_F(SubscriberTest, OpensAgainWhenTheSwitchoverIsAborted) {
  a.say(active(1));
  b.say(standby(1, "a"));
  subscriber.start();
  ASSERT_TRUE(eventually_open_in(1));
  const auto running = gate.enter(milliseconds(0));
  a.say(pause(2, 22));
  ASSERT_TRUE(eventually([&] { return !gate.is_open(); }));
  a.say(active(3));
  ASSERT_TRUE(eventually_open_in(3));
  EXPECT_TRUE(gate.is_open());
}

TEST_F(SubscriberTest, JoinsInMidPause) {
  a.say(active(1));
  a.say(pause(2, 22));
  b.say(standby(1, "a"));
  subscriber.start();
  ASSERT_TRUE(eventually([&] { return a.proxy().holding() && b.proxy().holding(); }));
  EXPECT_FALSE(gate.is_open());
  b.say(active(2));
  ASSERT_TRUE(eventually_open_in(2));
}

TEST_F(SubscriberTest, ReconnectsAndTellsItsState) {
  a.say(active(1));
  b.say(standby(1, "a"));
  subscriber.start();
  ASSERT_TRUE(eventually_open_in(1));
  for (int i = 0; i < 5; ++i) {
    const int hellos = a.hellos();
    a.kick_all();
    ASSERT_TRUE(eventually([&] { return a.hellos() > hellos && a.sessions() == 1; }));
  }
  EXPECT_TRUE(gate.is_open()) << "a lost link changes nothing";
  b.kick_all();
  b.say(active(2));
  ASSERT_TRUE(eventually_open_in(2));
}

TEST_F(SubscriberTest, DropsALinkThatHasGoneSilent) {
  b.behave(FakeNode::Manner::kSilent);
  a.say(active(1));
  subscriber.start();
  ASSERT_TRUE(eventually_open_in(1));
  ASSERT_TRUE(eventually([&] { return b.hellos() >= 2; }));
  b.behave(FakeNode::Manner::kWelcome);
  b.say(active(2));
  ASSERT_TRUE(eventually_open_in(2));
}

// Whoever isn't the node that is meant is not listened to, and asked again later.
class WrongNodeTest : public SubscriberTest,
                      public testing::WithParamInterface<FakeNode::Manner> {};

TEST_P(WrongNodeTest, IsNotListenedToUntilItBehaves) {
  b.behave(GetParam());
  b.say(active(9));
  a.say(active(1));
  subscriber.start();
  ASSERT_TRUE(eventually_open_in(1)) << "after startup_wait, without b";
  ASSERT_TRUE(eventually([&] { return b.hellos() >= 2; }));
  EXPECT_EQ(subscriber.snapshot().proxy_state.epoch(), 1);
  b.behave(FakeNode::Manner::kWelcome);
  ASSERT_TRUE(eventually_open_in(9));
}

INSTANTIATE_TEST_SUITE_P(Manners, WrongNodeTest,
                         testing::Values(FakeNode::Manner::kRefuse, FakeNode::Manner::kGarbage,
                                         FakeNode::Manner::kHugeFrame,
                                         FakeNode::Manner::kNonsense));

TEST_F(SubscriberTest, ANodeOfAnotherNameIsNotListenedTo) {
  b.call_yourself("c");
  b.say(active(9));
  a.say(active(1));
  subscriber.start();
  ASSERT_TRUE(eventually_open_in(1));
  ASSERT_TRUE(eventually([&] { return b.hellos() >= 2; }));
  EXPECT_THAT(subscriber.snapshot().connected, testing::ElementsAre("a"));
  b.call_yourself("b");
  ASSERT_TRUE(eventually_open_in(9));
}

TEST_F(SubscriberTest, SaysWhyTrafficStaysClosed) {
  a.say(standby(1, "c"));
  b.say(standby(1, "c"));
  subscriber.start();
  ASSERT_TRUE(eventually([&] { return !a.proxy().last_error().empty(); }));
  EXPECT_THAT(a.proxy().last_error(), HasSubstr("c is said to be active in epoch 1"));
  EXPECT_TRUE(eventually([&] { return subscriber.snapshot().state == State::kClosed; }))
      << "it is told before it is shown";
}

TEST_F(SubscriberTest, AHandlerThatThrowsHasFailed) {
  struct Broken : Handler {
    void hold(const Hold&) override { throw std::runtime_error("no hold"); }
    void open(const Route&) override { throw std::runtime_error("no open"); }
  } broken;
  Subscriber other({.name = "proxy2", .nodes = {a.address()}, .heartbeat = milliseconds(20)},
                   broken);
  a.say(active(1));
  other.start();
  ASSERT_TRUE(eventually([&] { return a.proxy().last_error() == "no open"; }));
  other.opened(1);  // it got there by other means
  ASSERT_TRUE(eventually([&] { return a.proxy().epoch() == 1; }));
  EXPECT_EQ(a.proxy().last_error(), "");
}

TEST_F(SubscriberTest, StopsTwiceAndTakesAnswersAfterwards) {
  subscriber.held(1);
  subscriber.start();
  subscriber.start();
  subscriber.stop();
  subscriber.stop();
  subscriber.failed("too late");
}

TEST(Subscriber, StopsWhileItsNodesAreAway) {
  TrafficGate gate;
  GateHandler handler(gate);
  // Port 1 refuses, and a name that doesn't exist can't be resolved.
  Subscriber subscriber(
      {.name = "proxy1", .nodes = {{"a", {"127.0.0.1", 1}}, {"b", {"b.invalid", 1}}}}, handler);
  handler.answer_to(subscriber);
  subscriber.start();
  EXPECT_TRUE(subscriber.snapshot().connected.empty());
}

}  // namespace
}  // namespace active_master::client
