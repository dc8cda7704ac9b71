// The agent, and active-master-agent between nodes and a real HAProxy.
#include "client/agent/agent.h"

#include <gmock/gmock.h>

#include <deque>
#include <optional>

#include "client/agent/agent_check.h"
#include "client/agent/credentials.h"
#include "client/agent/fake_maxscale.h"
#include "client/agent/fake_proxysql.h"
#include "client/agent/haproxy_readers.h"
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
  void hold(const client::Hold&) override { note("hold"); }
  uint64_t running() override {
    const std::lock_guard lock(mutex_);
    return running_;
  }
  void open(const Target& target) override {
    std::string call = "open " + target.active.address.to_string();
    for (const auto& standby : target.standbys) call += " standby " + standby.address.to_string();
    ++opened_;
    note(call);
  }
  std::string warning() const override {
    const std::lock_guard lock(mutex_);
    return warning_;
  }
  bool has_more() const override { return opened_ == 1 && leaves_something_; }
  std::vector<std::string> check() override { return {}; }

  void leave_something() { leaves_something_ = true; }
  [[nodiscard]] int opened() const { return opened_; }
  void warn_of(const std::string& warning) {
    const std::lock_guard lock(mutex_);
    warning_ = warning;
  }
  void run_statements(uint64_t count) {
    const std::lock_guard lock(mutex_);
    running_ = count;
  }

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

  mutable std::mutex mutex_;
  std::atomic<bool> leaves_something_ = false;  // the first time
  std::atomic<int> opened_ = 0;
  std::string last_;
  std::string error_;
  std::string warning_;
  uint64_t running_ = 0;
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
  Agent::Options options{.verify = milliseconds(10),
                         .retry = milliseconds(10),
                         .drain = std::chrono::minutes(10),
                         .alone = Alone::kHold};
  Agent agent{driver, options};
  client::Subscriber subscriber{[this] {
                                  client::Subscriber::Options own;
                                  own.name = "proxy1";
                                  own.nodes = {node.address()};
                                  own.heartbeat = milliseconds(20);
                                  return own;
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

TEST_F(AgentTest, ReportsWhatIsAmissWhileTrafficRuns) {
  driver.warn_of("a stranger writes");
  node.say(active(1));
  start();
  ASSERT_TRUE(eventually([&] { return node.proxy().last_error() == "a stranger writes"; }));
  EXPECT_EQ(node.proxy().epoch(), 1) << "it is open all the same";
  driver.warn_of("");
  EXPECT_TRUE(eventually([&] { return node.proxy().last_error().empty(); }));
}

TEST_F(AgentTest, OpensAgainAtOnceForWhatCouldWait) {
  options.verify = std::chrono::hours(1);
  Agent seldom(driver, options);
  client::Subscriber::Options own;
  own.name = "proxy2";
  own.nodes = {node.address()};
  client::Subscriber to_it(own, seldom);
  driver.leave_something();
  node.say(active(1));
  seldom.start(to_it);
  to_it.start();
  EXPECT_TRUE(eventually([&] { return driver.opened() == 2; }));
  to_it.stop();
  seldom.stop();
}

TEST_F(AgentTest, TellsTheDriverWhereTheStandbysAre) {
  FakeNode other("b");
  other.say([](protocol::NodeState& state) {
    standby(1, "a")(state);
    state.set_sql_address("b:3307");
  });
  client::Subscriber::Options both;
  both.name = "proxy2";
  both.nodes = {node.address(), other.address()};
  Agent with_both(driver, options);
  client::Subscriber to_both(both, with_both);
  node.say(active(1));
  with_both.start(to_both);
  to_both.start();
  EXPECT_TRUE(eventually([&] { return driver.last() == "open a:3306 standby b:3307"; }));
  to_both.stop();
  with_both.stop();
}

TEST_F(AgentTest, IsHeldWhenNothingRunsAnyMore) {
  node.say(active(1));
  start();
  ASSERT_TRUE(eventually([&] { return node.proxy().epoch() == 1; }));
  driver.run_statements(1);
  node.say(pause(2, 22));
  ASSERT_TRUE(eventually([&] { return driver.last() == "hold"; }));
  const int so_far = node.proxy_states();
  ASSERT_TRUE(eventually([&] { return node.proxy_states() > so_far + 3; }));
  EXPECT_FALSE(node.proxy().holding());
  driver.run_statements(0);
  EXPECT_TRUE(eventually([&] { return node.proxy().holding(); }));
}

TEST_F(AgentTest, OpensAtOnceThoughStatementsStillRun) {
  node.say(active(1));
  start();
  ASSERT_TRUE(eventually([&] { return node.proxy().epoch() == 1; }));
  driver.run_statements(1);
  node.say(pause(2, 22));
  ASSERT_TRUE(eventually([&] { return driver.last() == "hold"; }));
  node.say(active(3));  // undone
  EXPECT_TRUE(eventually([&] { return node.proxy().epoch() == 3; }));
}

TEST_F(AgentTest, HoldsWhenItIsAloneIfSoConfigured) {
  node.say(active(1));
  start();
  ASSERT_TRUE(eventually([&] { return node.proxy().epoch() == 1; }));
  node.behave(FakeNode::Manner::kSilent);
  node.kick_all();
  EXPECT_TRUE(eventually([&] { return driver.last() == "hold"; }));
  node.behave(FakeNode::Manner::kWelcome);
  node.kick_all();
  EXPECT_TRUE(eventually([&] { return driver.last() == "open a:3306"; }));
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

TEST_F(ProgramTest, RepairsAReloadedHaproxyAlsoInMidHold) {
  open_in_epoch_1();
  hold_for_epoch_2();
  Client held(haproxy.frontend());
  ASSERT_TRUE(eventually([&] { return haproxy.queued() == 1; }));
  haproxy.reload();  // the new worker has server a, and does not hold
  ASSERT_TRUE(eventually([&] { return haproxy.stat("s1", "slim") == "1"; }));
  // The old worker listens until the new one has told it to stop, and may take a few clients yet.
  std::optional<Client> later;
  ASSERT_TRUE(eventually([&] {
    if (haproxy.queued() == 1) return true;
    later.emplace(haproxy.frontend());
    return false;
  }));
  activate_b_in_epoch_2();
  EXPECT_TRUE(later->eventually_hears("b"));
  EXPECT_EQ(held.look(), "")
      << "it is with the old worker, which nobody can tell anything any more";
  EXPECT_TRUE(eventually([&] { return node_b.proxy().epoch() == 2; }));
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

// Two frontends for writes and one for reads, with the servers a and b.
class SeveralBackendsTest : public ProgramTest {
 protected:
  static std::string more(const Address& second, const Address& reads, const GreetingServer& a,
                          const GreetingServer& b) {
    return "frontend fe2\n  bind " + second.to_string() +
           "\n  default_backend be2\nbackend be2\n  server s2 " + at(a) +
           "\nfrontend fe_read\n  bind " + reads.to_string() +
           "\n  default_backend read\nbackend read\n  server ra " + at(a) + "\n  server rb " +
           at(b) + "\n";
  }
  std::string read_server_state(const std::string& server) {
    for (const auto& row : parse_servers_state(several.command("show servers state read"))) {
      if (row.at("srv_name") == server) return row.at("srv_admin_state");
    }
    return "";
  }

  const Address second{"127.0.0.1", free_port()};
  const Address reads{"127.0.0.1", free_port()};
  TestHaproxy several{a.address(), "", "", more(second, reads, a, b)};
};

TEST_F(SeveralBackendsTest, AreSteeredTogether) {
  const auto options = several.options();
  agent.emplace(std::vector<std::string>{
      AGENT, "--name=proxy1", "--node=a=" + node_a.address().address.to_string(),
      "--node=b=" + node_b.address().address.to_string(), "--haproxy-socket=" + options.socket,
      "--backend=be", "--server=s1", "--frontend=" + options.frontend.to_string(), "--backend=be2",
      "--server=s2", "--frontend=" + second.to_string(), "--read-backend=read", "--heartbeat=50",
      "--log-level=off"});
  ASSERT_TRUE(eventually([&] { return node_a.proxy().epoch() == 1; }));
  EXPECT_EQ(Client(reads).greeting(), "b") << "reads go to the standby";
  hold_for_epoch_2();
  Client first_held(several.frontend());
  Client second_held(second);
  ASSERT_TRUE(eventually([&] { return several.queued() == 1; }));
  EXPECT_EQ(second_held.look(), "");
  activate_b_in_epoch_2();
  EXPECT_TRUE(first_held.eventually_hears("b"));
  EXPECT_TRUE(second_held.eventually_hears("b"));
  ASSERT_TRUE(eventually([&] { return node_b.proxy().epoch() == 2; }));
  EXPECT_EQ(Client(reads).greeting(), "a");
}

TEST_F(SeveralBackendsTest, ReadsGoToTheActiveMasterWhenNobodyElseIsThere) {
  HaproxyReaders readers({several.options().socket, "read"});
  const Target at_a{1, {"a", a.address()}, {{"b", b.address()}}};
  readers.open(at_a);
  EXPECT_EQ(read_server_state("ra"), "8") << "drained";
  (void)several.command("set server read/rb state maint");  // a person's
  readers.open(at_a);
  EXPECT_EQ(read_server_state("ra"), "0");
  EXPECT_EQ(read_server_state("rb"), "1") << "left alone";
  EXPECT_EQ(Client(reads).greeting(), "a");
  EXPECT_THROW((void)HaproxyReaders({several.options().socket, "nothing"}).check(), Failure);
}

TEST(AgentCheckTest, MovesABackendOfARealHaproxy) {
  GreetingServer a("a");
  GreetingServer b("b");
  std::mutex mutex;
  std::string active = "a";
  AgentCheck check({"127.0.0.1", 0}, [&] {
    const std::lock_guard lock(mutex);
    return active;
  });
  const Address frontend{"127.0.0.1", free_port()};
  const std::string asks = " agent-check agent-addr 127.0.0.1 agent-port " +
                           std::to_string(check.port()) +
                           " agent-inter 50ms on-marked-down shutdown-sessions agent-send ";
  TestHaproxy haproxy(a.address(), "", "",
                      "frontend fe_checked\n  bind " + frontend.to_string() +
                          "\n  default_backend checked\nbackend checked\n  server a " +
                          a.address().to_string() + asks + "\"a\\n\"\n  server b " +
                          b.address().to_string() + asks + "\"b\\n\"\n");
  const auto goes_to = [&](const std::string& where) {
    return eventually([&] {
      for (int i = 0; i < 4; ++i) {
        if (Client(frontend).greeting() != where) return false;
      }
      return true;
    });
  };
  EXPECT_TRUE(goes_to("a"));
  Client running(frontend);
  ASSERT_TRUE(running.eventually_hears("a"));
  {
    const std::lock_guard lock(mutex);
    active = "b";
  }
  EXPECT_TRUE(goes_to("b"));
  EXPECT_TRUE(running.eventually_hears("closed"));
}

TEST(AgentCheckTest, SaysThatItCantListen) {
  AgentCheck check({"127.0.0.1", 0}, [] { return ""; });
  EXPECT_THROW(AgentCheck({"127.0.0.1", check.port()}, [] { return ""; }), Failure);
  EXPECT_THROW(AgentCheck({"no.such.name", 1}, [] { return ""; }), Failure);
}

// The program with each of the other drivers, between two nodes and what it steers.
class DriverProgramTest : public testing::Test {
 protected:
  DriverProgramTest() {
    std::string name = std::filesystem::temp_directory_path() / "driver_test.XXXXXX";
    if (mkdtemp(name.data()) == nullptr) std::abort();
    directory = name;
    node_a.say([](protocol::NodeState& state) {
      active(1, "127.0.0.1:1")(state);
      state.set_sql_address("127.0.0.1:1");
    });
    node_b.say([](protocol::NodeState& state) {
      standby(1, "a", "127.0.0.1:1")(state);
      state.set_sql_address("127.0.0.1:2");
    });
  }
  ~DriverProgramTest() override {
    agent.reset();
    std::filesystem::remove_all(directory);
  }

  // By a file, as it is in life.
  std::string configuration(const std::string& driver, const std::string& own) {
    const auto credentials = directory / "credentials";
    std::ofstream(credentials) << "[proxysql]\nuser=agent\npassword=secret\n"
                               << "[maxscale]\nuser=agent\npassword=secret\n";
    std::filesystem::permissions(credentials, std::filesystem::perms::owner_read);
    std::ofstream(directory / "agent.ini")
        << "name = proxy1\nnode = a=" << node_a.address().address.to_string()
        << ",b=" << node_b.address().address.to_string() << "\ndriver = " << driver
        << "\ncredentials = " << credentials.string() << "\nheartbeat = 50\nlog-level = off\n"
        << own;
    return directory / "agent.ini";
  }
  void start(const std::string& driver, const std::string& own) {
    const std::string file = configuration(driver, own);
    EXPECT_EQ(Process({AGENT, "--config", file, "--check"}).wait(), 0);
    agent.emplace(std::vector<std::string>{AGENT, "--config", file});
    ASSERT_TRUE(eventually([&] { return node_a.proxy().epoch() == 1; }));
    EXPECT_EQ(node_a.proxy().driver(), driver);
  }
  void hold() {
    node_a.say(pause(2, 22));
    ASSERT_TRUE(eventually([&] { return node_a.proxy().holding(); }));
    EXPECT_EQ(node_a.proxy().switchover_id(), 22);
  }
  void activate_b() {
    node_b.say(active(2, "127.0.0.1:2"));
    node_a.say(standby(2, "b", "127.0.0.1:2"));
    ASSERT_TRUE(eventually([&] { return node_b.proxy().epoch() == 2; }));
  }

  std::filesystem::path directory;
  FakeNode node_a{"a"};
  FakeNode node_b{"b"};
  std::optional<Process> agent;
};

TEST_F(DriverProgramTest, SteersProxysql) {
  FakeProxysql proxysql;
  proxysql.add_server(10, {"127.0.0.1", 1});
  proxysql.add_server(20, {"127.0.0.1", 2});
  start("proxysql", "proxysql-admin = " + proxysql.address().to_string() +
                        "\nproxysql-writer = 10\nproxysql-reader = 20\n"
                        "install-statement = true\nproxysql-statement-rule = 7\n");
  EXPECT_TRUE(eventually(
      [&] { return proxysql.sql("SELECT rule_id FROM runtime_mysql_query_rules") == "7"; }));
  hold();
  EXPECT_EQ(proxysql.servers(), "10:1:OFFLINE_SOFT 20:2:ONLINE");
  activate_b();
  EXPECT_THAT(proxysql.servers(), HasSubstr("10:2:ONLINE"));
  EXPECT_TRUE(eventually([&] { return proxysql.servers() == "10:2:ONLINE 20:1:ONLINE"; }));
  proxysql.stop();
  EXPECT_TRUE(eventually([&] { return !node_b.proxy().last_error().empty(); }));
  EXPECT_THAT(node_b.proxy().last_error(),
              HasSubstr("ProxySQL at " + proxysql.address().to_string()));
  proxysql.restart();
  EXPECT_TRUE(eventually([&] { return node_b.proxy().last_error().empty(); }));
}

TEST_F(DriverProgramTest, SteersMaxscale) {
  FakeMaxscale maxscale;
  start("maxscale", "maxscale-rest = " + maxscale.address().to_string() +
                        "\nmaxscale-monitor = monitor\nmaxscale-service = writes\n");
  hold();
  EXPECT_THAT(maxscale.state(), HasSubstr("monitor=Stopped listener1=Stopped"));
  activate_b();
  EXPECT_THAT(maxscale.state(),
              HasSubstr("server2=Master,Running monitor=Running listener1=Running"));
  maxscale.set_parameter("monitor", "auto_failover", true);
  EXPECT_TRUE(eventually([&] { return !node_b.proxy().last_error().empty(); }));
  EXPECT_THAT(node_b.proxy().last_error(), HasSubstr("auto_failover"));
}

TEST_F(DriverProgramTest, SteersByAProgram) {
  const auto program = directory / "program";
  std::ofstream(program) << "#!/bin/sh\necho $1 >>" << (directory / "calls").string() << "\n";
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  start("exec", "exec-program = " + program.string() + "\n");
  hold();
  activate_b();
  std::ifstream calls(directory / "calls");
  std::vector<std::string> others;  // than those that only look
  for (std::string call; std::getline(calls, call);) {
    if (call != "check" && call != "verify") others.push_back(call);
  }
  EXPECT_THAT(others, testing::ElementsAre("hold", "open", "hold", "open"));
}

TEST_F(ProgramTest, SaysWhichOptionADriverNeeds) {
  const auto status = [&](std::vector<std::string> more) {
    std::vector<std::string> all{AGENT, "--name=proxy1",
                                 "--node=a=" + node_a.address().address.to_string(), "--check"};
    all.insert(all.end(), more.begin(), more.end());
    return Process(all).wait();
  };
  EXPECT_EQ(status({}), 1);
  EXPECT_EQ(status({"--driver=exec"}), 1);
  EXPECT_EQ(status({"--driver=proxysql"}), 1);
  EXPECT_EQ(status({"--driver=maxscale", "--credentials=/nonexistent"}), 1);
  EXPECT_EQ(status({"--driver=none"}), 1);
  EXPECT_EQ(status({"--driver=none", "--agent-check=127.0.0.1:" + std::to_string(free_port())}), 0);
  EXPECT_EQ(status({"--driver=exec", "--exec-program=/bin/true"}), 0);
}

TEST(ReadCredentials, WantsAFileThatOthersCantRead) {
  std::string name = std::filesystem::temp_directory_path() / "credentials.XXXXXX";
  close(mkstemp(name.data()));
  std::ofstream(name)
      << "[maxscale]\nuser=other\n[proxysql]\nuser = agent\npassword = \"se cret\"\n";
  const auto account = read_credentials(name, "proxysql");
  EXPECT_EQ(account.user, "agent");
  EXPECT_EQ(account.password, "se cret");
  EXPECT_THROW((void)read_credentials(name, "nobody"), Failure);
  std::filesystem::permissions(name, std::filesystem::perms::group_read,
                               std::filesystem::perm_options::add);
  EXPECT_THAT([&] { (void)read_credentials(name, "proxysql"); },
              testing::ThrowsMessage<Failure>(HasSubstr("chmod 600")));
  std::filesystem::remove(name);
}

}  // namespace
}  // namespace active_master::agent
