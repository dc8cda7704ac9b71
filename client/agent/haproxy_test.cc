// What the driver does to a real HAProxy.
#include "client/agent/haproxy.h"

#include <gmock/gmock.h>

#include <deque>
#include <optional>

#include "client/agent/testing.h"

namespace active_master::agent {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

// --- Parsers ---

TEST(ParseServersState, GivesRowsByColumnName) {
  const auto rows = parse_servers_state(
      "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state\n"
      "3 be 1 s1 127.0.0.1 2 0\n\n");
  ASSERT_EQ(rows.size(), 1);
  EXPECT_EQ(rows[0].at("srv_name"), "s1");
  EXPECT_EQ(rows[0].at("srv_addr"), "127.0.0.1");
  EXPECT_EQ(rows[0].at("srv_admin_state"), "0");
}

TEST(ParseServersState, GivesNothingFromAnError) {
  EXPECT_TRUE(parse_servers_state("Can't find backend.\n").empty());
  EXPECT_TRUE(parse_servers_state("").empty());
}

TEST(ParseStat, GivesRowsByColumnName) {
  const auto rows = parse_stat("# pxname,svname,qcur,slim,\nbe,s1,0,,\nbe,BACKEND,3,200,\n");
  ASSERT_EQ(rows.size(), 2);
  EXPECT_EQ(rows[0].at("slim"), "");
  EXPECT_EQ(rows[1].at("svname"), "BACKEND");
  EXPECT_EQ(rows[1].at("qcur"), "3");
  EXPECT_TRUE(parse_stat("No such proxy.\n").empty());
}

TEST(ParseDuration, KnowsUnits) {
  EXPECT_EQ(parse_duration("59s"), seconds(59));
  EXPECT_EQ(parse_duration("4m30s"), seconds(270));
  EXPECT_EQ(parse_duration("1d2h"), seconds(93600));
  for (const char* wrong : {"", "s", "5", "5x", "s5", "<NEVER>", "213503982334602d"}) {
    EXPECT_FALSE(parse_duration(wrong)) << wrong;
  }
}

TEST(ParseQueuedFor, FindsTheConnection) {
  const std::string text =
      "0x1: proto=tcpv4 src=127.0.0.1:10 fe=fe be=be srv=s1 ts=00 exp=0s rc=0 c_exp=\n"
      "0x2: proto=tcpv4 src=127.0.0.1:11 fe=fe be=be srv=<none> ts=00 exp=59s rc=0 c_exp=1m2s\n";
  EXPECT_EQ(parse_queued_for(text, {"127.0.0.1", 11}), seconds(62));
  EXPECT_FALSE(parse_queued_for(text, {"127.0.0.1", 10})) << "it is on a server";
  EXPECT_FALSE(parse_queued_for(text, {"127.0.0.1", 1}));
}

TEST(ParseSessionsElsewhere, GivesThoseOfTheServerAtAnotherAddress) {
  const auto session = [](const std::string& id, const std::string& backend,
                          const std::string& server, const std::string& state = "EST") {
    return id + ": [25/Nov/2026:07:22:59.258674] id=0 proto=tcpv4 source=127.0.0.1:59124\n" +
           "  frontend=fe (id=2 mode=tcp), listener=? (id=1) addr=127.0.0.1:18901\n" +
           "  backend=" + backend + " (id=3 mode=tcp) addr=127.0.0.1:44364\n" +
           "  server=" + server + "\n  task=0x55f952023200 (state=0x00 nice=0)\n" +
           "  scf=0x55f951fc7cf0 flags=0x00000000 state=EST endp=CONN,0x55f952023110 sub=1\n" +
           "  scb=0x55f951f6d260 flags=0x00000001 state=" + state + " endp=CONN,0x55f952023640\n";
  };
  const std::string text = session("0xa", "be", "s (id=1) addr=127.0.0.1:10") +
                           session("0xb", "be", "s (id=1) addr=127.0.0.1:11") +
                           session("0xc", "be2", "s (id=1) addr=127.0.0.1:10") +
                           session("0xd", "be", "s2 (id=1) addr=127.0.0.1:10") +
                           session("0xe", "be", "s (id=1)") +
                           session("0xf", "be", "<NONE> (id=-1)") +
                           session("0x10", "be", "s (id=1) addr=127.0.0.1:10", "TAR");
  EXPECT_THAT(parse_sessions_elsewhere(text, "be", "s", {{"127.0.0.1", 11}}),
              testing::ElementsAre("0xa"));
  EXPECT_TRUE(
      parse_sessions_elsewhere(text, "be", "s", {{"127.0.0.1", 11}, {"127.0.0.1", 10}}).empty());
  EXPECT_THAT(parse_sessions_elsewhere(text, "be", "s", {{"::1", 11}}),
              testing::ElementsAre("0xa", "0xb"));
  const std::string nameless = session("", "be", "s (id=1) addr=127.0.0.1:10");
  EXPECT_TRUE(parse_sessions_elsewhere(nameless, "be", "s", {{"127.0.0.1", 11}}).empty());
  EXPECT_TRUE(parse_sessions_elsewhere("garbage\n  server=s (id=1) addr=x", "be", "s", {}).empty());
}

// --- The driver ---

class HaproxyTest : public testing::Test {
 protected:
  // `count` new connections, once HAProxy has taken them all in.
  std::deque<Client>& held_clients(int count) {
    for (int i = 0; i < count; ++i) clients.emplace_back(haproxy.frontend());
    EXPECT_TRUE(eventually([&] { return haproxy.queued() == count; }));
    return clients;
  }

  GreetingServer a{"a"};
  GreetingServer b{"b"};
  TestHaproxy haproxy{a.address()};
  Haproxy driver{haproxy.options()};
  std::deque<Client> clients;
};

TEST_F(HaproxyTest, HoldsNewConnectionsAndLetsThemThroughToTheNewAddress) {
  driver.hold();
  for (auto& client : held_clients(10)) EXPECT_EQ(client.look(), "");
  driver.open(b.address());
  for (auto& client : clients) EXPECT_TRUE(client.eventually_hears("b"));
  EXPECT_EQ(a.accepted(), 1) << "the occupant only";
  EXPECT_TRUE(Client(haproxy.frontend()).eventually_hears("b"));
}

TEST_F(HaproxyTest, LeavesRunningSessionsAloneWhileHolding) {
  Client running(haproxy.frontend());
  ASSERT_TRUE(running.eventually_hears("a"));
  driver.hold();
  held_clients(3);
  EXPECT_EQ(running.look(), "a");
  driver.open(a.address());  // an abort
  for (auto& client : clients) EXPECT_TRUE(client.eventually_hears("a"));
  EXPECT_EQ(running.look(), "a") << "it is where it belongs";
}

TEST_F(HaproxyTest, ClosesSessionsThatAreLeftOnTheOldServer) {
  Client running(haproxy.frontend());
  ASSERT_TRUE(running.eventually_hears("a"));
  driver.hold();
  driver.open(b.address());
  EXPECT_TRUE(running.eventually_hears("closed"));
  EXPECT_TRUE(eventually([&] { return a.connected() == 0; }));
}

TEST_F(HaproxyTest, MovesTrafficThatWasNotHeld) {
  Client running(haproxy.frontend());
  ASSERT_TRUE(running.eventually_hears("a"));
  driver.open(b.address());
  EXPECT_TRUE(running.eventually_hears("closed"));
  EXPECT_TRUE(Client(haproxy.frontend()).eventually_hears("b"));
}

TEST_F(HaproxyTest, KeepsSessionsWhenOpenedWhereItIsOpen) {
  Client running(haproxy.frontend());
  ASSERT_TRUE(running.eventually_hears("a"));
  driver.open(a.address());
  driver.open(a.address());
  driver.hold();
  driver.hold();
  driver.open(a.address());
  EXPECT_TRUE(Client(haproxy.frontend()).eventually_hears("a"));
  EXPECT_EQ(running.look(), "a");
}

// The server ends the occupant (MariaDB does, after connect_timeout) and all running sessions: the
// slot must not fall to a connection that is held.
TEST_F(HaproxyTest, ServerSideCloseLetsNothingThroughToTheOldServer) {
  std::optional<Client> running(haproxy.frontend());
  ASSERT_TRUE(running->eventually_hears("a"));
  driver.hold();
  held_clients(5);
  a.close_all();
  ASSERT_TRUE(running->eventually_hears("closed"));
  running.reset();
  ASSERT_TRUE(eventually([&] { return haproxy.stat("s1", "scur") == "1"; }))
      << "the occupant, half closed";
  EXPECT_EQ(haproxy.queued(), 5);
  for (auto& client : clients) EXPECT_EQ(client.look(), "");
  EXPECT_EQ(a.accepted(), 2) << "the session that ran, and the occupant";
  driver.open(b.address());
  for (auto& client : clients) EXPECT_TRUE(client.eventually_hears("b"));
  EXPECT_EQ(a.accepted(), 2);
}

// The same when the whole server goes, and when the occupant goes with its agent.
TEST_F(HaproxyTest, NeitherALostServerNorALostAgentLetsAnythingThrough) {
  {
    Haproxy lost(haproxy.options());
    lost.hold();
    held_clients(5);
  }
  a.close_all();
  ASSERT_TRUE(eventually([&] { return haproxy.stat("s1", "wretr") != "0"; }))
      << "one has tried the parked address";
  for (auto& client : clients) EXPECT_EQ(client.look(), "");
  EXPECT_EQ(a.accepted(), 1);
  a.stop();
  driver.hold();  // the next agent
  driver.open(b.address());
  for (auto& client : clients) {
    EXPECT_TRUE(client.eventually_hears("b")) << "also the one that tries the parked address";
  }
}

// An agent that was restarted in mid-hold doesn't know where sessions are.
TEST_F(HaproxyTest, AnAgentThatStartsInMidHoldClosesWhatIsOnTheOldServer) {
  std::deque<Client> running;
  for (int i = 0; i < 250; ++i) running.emplace_back(haproxy.frontend());
  for (auto& client : running) ASSERT_TRUE(client.eventually_hears("a"));
  {
    Haproxy lost(haproxy.options());
    lost.hold();
    held_clients(5);
  }
  driver.hold();
  driver.open(b.address());
  for (auto& client : running) EXPECT_TRUE(client.eventually_hears("closed"));
  for (auto& client : clients) EXPECT_TRUE(client.eventually_hears("b"));
}

TEST_F(HaproxyTest, HoldsWhenTheServerIsDown) {
  a.stop();
  driver.hold();
  for (int i = 0; i < 5; ++i) clients.emplace_back(haproxy.frontend());
  ASSERT_TRUE(eventually([&] { return std::stoi(haproxy.stat("BACKEND", "scur")) >= 5; }));
  for (auto& client : clients) EXPECT_EQ(client.look(), "");
  driver.open(b.address());
  for (auto& client : clients) EXPECT_TRUE(client.eventually_hears("b"));
}

TEST_F(HaproxyTest, NoneIsLostOver100SwitchoversUnderLoad) {
  std::atomic<bool> done = false;
  std::atomic<int> wrong = 0;
  std::thread load([&] {
    while (!done) {
      const auto heard = Client(haproxy.frontend()).greeting();
      if (heard != "a" && heard != "b") ++wrong;
    }
  });
  for (int i = 0; i < 100; ++i) {
    driver.hold();
    Client held(haproxy.frontend());
    EXPECT_TRUE(eventually([&] { return haproxy.queued() == 2; })) << "this one and the load's";
    driver.open((i % 2 == 0 ? b : a).address());
    EXPECT_EQ(held.greeting(), i % 2 == 0 ? "b" : "a");
  }
  done = true;
  load.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(HaproxyTest, HoldsAndOpens100TimesWithoutLeavingAnything) {
  for (int i = 0; i < 100; ++i) {
    driver.hold();
    driver.hold();
    driver.open((i % 2 == 0 ? b : a).address());
  }
  EXPECT_TRUE(eventually([&] { return haproxy.stat("s1", "scur") == "0"; }));
  EXPECT_TRUE(eventually([&] { return a.connected() == 0 && b.connected() == 0; }));
}

TEST_F(HaproxyTest, TakesNamesForAddresses) {
  driver.hold();
  driver.open({"localhost", b.address().port});
  EXPECT_TRUE(Client(haproxy.frontend()).eventually_hears("b"));
  EXPECT_THROW(driver.open({"no.such.name.invalid", 1}), Failure);
}

// --- What HAProxy must be ---

template <typename Driver>
std::string failure(Driver&& driver) {
  try {
    (void)driver.check();
  } catch (const Failure& error) {
    return error.what();
  }
  return "";
}

TEST_F(HaproxyTest, ChecksNamesAndSocket) {
  EXPECT_EQ(failure(driver), "");
  auto options = haproxy.options();
  options.backend = "nope";
  EXPECT_THAT(failure(Haproxy(options)), HasSubstr("there is no backend 'nope'"));
  options = haproxy.options();
  options.server = "s2";
  EXPECT_THAT(failure(Haproxy(options)), HasSubstr("must have one server, 's2'"));
  options.socket = "/nonexistent/socket";
  EXPECT_THAT(failure(Haproxy(options)), HasSubstr("stats socket /nonexistent/socket level admin"));
}

TEST_F(HaproxyTest, ChecksTheBackend) {
  const auto check = [&](const std::string& server_options, const std::string& backend_options) {
    const TestHaproxy other({"127.0.0.1", 1}, server_options, backend_options);
    return failure(Haproxy(other.options()));
  };
  EXPECT_THAT(check("check", ""), HasSubstr("remove 'check'"));
  EXPECT_THAT(check("disabled", ""), HasSubstr("state ready"));
  EXPECT_THAT(check("\n  server s2 127.0.0.1:2", ""), HasSubstr("must have one server"));
  const TestHaproxy named({"localhost", 1});
  EXPECT_THAT(failure(Haproxy(named.options())), HasSubstr("write an IP address"));
}

TEST_F(HaproxyTest, SaysThatAnotherLevelOfTheSocketIsNotEnough) {
  auto weak = haproxy.options();
  weak.socket += ".weak";
  // HAProxy can't open another socket while it runs, so this stands in for one of level operator.
  boost::asio::io_context io;
  boost::asio::local::stream_protocol::acceptor acceptor(io, weak.socket);
  std::thread answer([&] {
    boost::asio::local::stream_protocol::socket socket(io);
    acceptor.accept(socket);
    boost::asio::streambuf line;
    boost::asio::read_until(socket, line, '\n');
    boost::asio::write(socket, boost::asio::buffer(std::string("Permission denied\n\n")));
  });
  EXPECT_THAT([&] { (void)Haproxy(weak).command("set maxconn server be/s1 1"); },
              testing::ThrowsMessage<Failure>(HasSubstr("level admin")));
  answer.join();
}

}  // namespace
}  // namespace active_master::agent
