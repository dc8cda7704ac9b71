// The agent, and active-master-agent between nodes and a real HAProxy.
#include "client/agent/agent.h"

#include <gmock/gmock.h>

#include <deque>
#include <optional>

#include "client/agent/testing.h"

namespace active_master::agent {
namespace {

using client::active;
using client::FakeNode;
using client::pause;
using client::standby;
using std::chrono::milliseconds;
using testing::HasSubstr;

// Notes what it is asked; fails for as long as the test says.
class NotingDriver : public Driver {
 public:
  void hold() override { note("hold"); }
  void open(const Address& server) override { note("open " + server.to_string()); }

  void fail_with(const std::string& error) {
    const std::lock_guard lock(mutex_);
    error_ = error;
  }
  [[nodiscard]] std::string last() {
    const std::lock_guard lock(mutex_);
    return last_;
  }
  [[nodiscard]] int calls() {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

 private:
  void note(const std::string& call) {
    const std::lock_guard lock(mutex_);
    last_ = call;
    ++calls_;
    if (!error_.empty()) throw Failure(error_);
  }

  std::mutex mutex_;
  std::string last_;
  std::string error_;
  int calls_ = 0;
};

class AgentTest : public testing::Test {
 protected:
  void start() {
    agent.start(subscriber);
    subscriber.start();
  }
  ~AgentTest() override {
    subscriber.stop();
    agent.stop();
  }

  FakeNode node{"a"};
  NotingDriver driver;
  Agent agent{driver, {.verify = milliseconds(10), .retry = milliseconds(10)}};
  client::Subscriber subscriber{[this] {
                                  client::Subscriber::Options options;
                                  options.name = "proxy1";
                                  options.nodes = {node.address()};
                                  options.heartbeat = milliseconds(20);
                                  return options;
                                }(),
                                agent};
};

TEST_F(AgentTest, HoldsUntilTheActiveMasterIsKnown) {
  start();
  ASSERT_TRUE(eventually([&] { return driver.calls() > 2; }));
  EXPECT_EQ(driver.last(), "hold");
  node.say(active(1));
  ASSERT_TRUE(eventually([&] { return node.proxy().epoch() == 1; }));
  EXPECT_EQ(driver.last(), "open a:3306");
}

TEST_F(AgentTest, ReportsAFailureAndTriesAgain) {
  node.say(active(1));
  start();
  ASSERT_TRUE(eventually([&] { return node.proxy().epoch() == 1; }));
  driver.fail_with("the socket is gone");
  node.say(pause(2, 22));
  ASSERT_TRUE(eventually([&] { return node.proxy().last_error() == "the socket is gone"; }));
  EXPECT_FALSE(node.proxy().holding());
  driver.fail_with("");
  ASSERT_TRUE(eventually([&] { return node.proxy().holding(); }));
  EXPECT_EQ(node.proxy().last_error(), "");
  EXPECT_EQ(node.proxy().switchover_id(), 22);
}

TEST_F(AgentTest, ReportsTheSameFailureOfTheNextWishToo) {
  driver.fail_with("the socket is gone");
  start();
  ASSERT_TRUE(eventually([&] { return node.proxy().last_error() == "the socket is gone"; }));
  node.say(active(1));
  ASSERT_TRUE(eventually([&] { return driver.last() == "open a:3306"; }));
  ASSERT_TRUE(eventually([&] { return node.proxy().last_error() == "the socket is gone"; }));
  EXPECT_EQ(node.proxy().epoch(), 0);
}

TEST_F(AgentTest, SeesThatItStillIsSo) {
  node.say(active(1));
  start();
  ASSERT_TRUE(eventually([&] { return node.proxy().epoch() == 1; }));
  driver.fail_with("HAProxy was restarted");
  ASSERT_TRUE(eventually([&] { return node.proxy().last_error() == "HAProxy was restarted"; }));
  driver.fail_with("");
  ASSERT_TRUE(eventually([&] { return node.proxy().last_error().empty(); }));
}

// The program, nodes a and b with the servers a and b, and a HAProxy that starts with server a.
class ProgramTest : public testing::Test {
 protected:
  ProgramTest() {
    node_a.say(active(1, at(a)));
    node_b.say(standby(1, "a", at(a)));
  }

  static std::string at(const GreetingServer& server) { return server.address().to_string(); }

  std::vector<std::string> arguments(const std::vector<std::string>& more = {}) {
    const auto options = haproxy.options();
    std::vector<std::string> result{AGENT,
                                    "--name=proxy1",
                                    "--node=a=" + node_a.address().address.to_string(),
                                    "--node=b=" + node_b.address().address.to_string(),
                                    "--haproxy-socket=" + options.socket,
                                    "--backend=be",
                                    "--server=s1",
                                    "--frontend=" + options.frontend.to_string(),
                                    "--heartbeat=50",
                                    "--startup-wait=500",
                                    "--log-level=off"};
    result.insert(result.end(), more.begin(), more.end());
    return result;
  }
  void start_agent() { agent.emplace(arguments()); }

  void open_in_epoch_1() {
    start_agent();
    ASSERT_TRUE(eventually([&] { return node_a.proxy().epoch() == 1; }));
  }
  void hold_for_epoch_2() {
    node_a.say(pause(2, 22));
    ASSERT_TRUE(eventually([&] { return node_a.proxy().holding(); }));
  }
  void activate_b_in_epoch_2() {
    node_b.say(active(2, at(b)));
    node_a.say(standby(2, "b", at(b)));
  }

  GreetingServer a{"a"};
  GreetingServer b{"b"};
  FakeNode node_a{"a"};
  FakeNode node_b{"b"};
  TestHaproxy haproxy{a.address()};
  std::optional<Process> agent;
};

TEST_F(ProgramTest, MovesTrafficWithTheRole) {
  open_in_epoch_1();
  EXPECT_EQ(node_a.proxy().driver(), "haproxy");
  Client running(haproxy.frontend());
  ASSERT_TRUE(running.eventually_hears("a"));
  hold_for_epoch_2();
  std::deque<Client> clients;
  for (int i = 0; i < 5; ++i) clients.emplace_back(haproxy.frontend());
  ASSERT_TRUE(eventually([&] { return haproxy.queued() == 5; }));
  EXPECT_EQ(running.look(), "a");
  activate_b_in_epoch_2();
  for (auto& client : clients) EXPECT_TRUE(client.eventually_hears("b"));
  EXPECT_TRUE(running.eventually_hears("closed"));
  EXPECT_TRUE(eventually([&] { return node_b.proxy().epoch() == 2; }));
  EXPECT_EQ(node_b.proxy().node(), "b");
}

TEST_F(ProgramTest, HoldsWhileNobodyIsActive) {
  node_a.say(standby(1, "b", at(b)));
  node_b.say(standby(1, "b", at(b)));
  start_agent();
  ASSERT_TRUE(eventually([&] { return !node_a.proxy().last_error().empty(); }));
  ASSERT_TRUE(eventually([&] { return haproxy.stat("s1", "slim") == "1"; }));
  Client early(haproxy.frontend());
  ASSERT_TRUE(eventually([&] { return haproxy.queued() == 1; }));
  EXPECT_EQ(early.look(), "");
  node_b.say(active(1, at(b)));
  EXPECT_TRUE(early.eventually_hears("b"));
}

TEST_F(ProgramTest, ASignalEndsItAndLeavesTrafficOpen) {
  open_in_epoch_1();
  Client running(haproxy.frontend());
  ASSERT_TRUE(running.eventually_hears("a"));
  EXPECT_EQ(agent->stop(SIGTERM), 0);
  EXPECT_EQ(running.look(), "a");
  EXPECT_TRUE(Client(haproxy.frontend()).eventually_hears("a"));
}

TEST_F(ProgramTest, RestartedItFindsTrafficOpenAndLeavesSessionsAlone) {
  open_in_epoch_1();
  Client running(haproxy.frontend());
  ASSERT_TRUE(running.eventually_hears("a"));
  agent->stop(SIGKILL);
  const int so_far = node_a.hellos();
  start_agent();
  ASSERT_TRUE(eventually([&] { return node_a.hellos() > so_far && node_a.proxy().epoch() == 1; }));
  EXPECT_TRUE(Client(haproxy.frontend()).eventually_hears("a"));
  EXPECT_EQ(running.look(), "a");
}

TEST_F(ProgramTest, RestartedInMidHoldItGoesOnHolding) {
  open_in_epoch_1();
  hold_for_epoch_2();
  Client held(haproxy.frontend());
  agent->stop(SIGKILL);
  const int so_far = node_a.proxy_states();
  start_agent();
  ASSERT_TRUE(
      eventually([&] { return node_a.proxy_states() > so_far + 5 && node_a.proxy().holding(); }));
  EXPECT_EQ(held.look(), "");
  activate_b_in_epoch_2();
  EXPECT_TRUE(held.eventually_hears("b"));
}

TEST_F(ProgramTest, RestartedAfterTheOutcomeItOpens) {
  open_in_epoch_1();
  Client running(haproxy.frontend());
  ASSERT_TRUE(running.eventually_hears("a"));
  hold_for_epoch_2();
  Client held(haproxy.frontend());
  agent->stop(SIGKILL);
  activate_b_in_epoch_2();
  start_agent();
  EXPECT_TRUE(held.eventually_hears("b"));
  EXPECT_TRUE(running.eventually_hears("closed"));
}

TEST_F(ProgramTest, RepairsARestartedHaproxy) {
  open_in_epoch_1();
  activate_b_in_epoch_2();
  ASSERT_TRUE(eventually([&] { return node_b.proxy().epoch() == 2; }));
  haproxy.restart();  // and has server a again
  EXPECT_TRUE(eventually([&] { return Client(haproxy.frontend()).greeting() == "b"; }));
}

TEST_F(ProgramTest, WaitsForAHaproxyThatIsAway) {
  haproxy.stop();
  start_agent();
  ASSERT_TRUE(eventually([&] { return !node_a.proxy().last_error().empty(); }));
  EXPECT_THAT(node_a.proxy().last_error(), HasSubstr("is HAProxy running"));
  haproxy.restart();
  ASSERT_TRUE(eventually([&] { return node_a.proxy().epoch() == 1; }));
  EXPECT_EQ(node_a.proxy().last_error(), "");
}

TEST_F(ProgramTest, ChecksAndReadsAFile) {
  EXPECT_EQ(Process(arguments({"--check"})).wait(), 0);
  EXPECT_EQ(Process(arguments({"--check", "--park=nowhere"})).wait(), 105) << "CLI11's own";
  const auto file = haproxy.directory() / "agent.ini";
  std::ofstream out(file);
  for (const auto& argument : arguments()) {
    if (argument.starts_with("--")) out << argument.substr(2) << "\n";
  }
  out.close();
  EXPECT_EQ(Process({AGENT, "--config", file, "--check"}).wait(), 0);
  haproxy.stop();
  EXPECT_EQ(Process({AGENT, "--config", file, "--check"}).wait(), 1);
}

}  // namespace
}  // namespace active_master::agent
