// The witness as a program runs it: its network over real sockets, its state on disk.
#include <gmock/gmock.h>

#include <boost/asio.hpp>
#include <fstream>
#include <thread>

#include "client/protocol/test_credentials.h"
#include "client/witness/host.h"
#include "client/witness/options.h"
#include "plugin/net/test_node.h"

namespace active_master::witness {
namespace {

using ::testing::HasSubstr;

constexpr const char* kSecret = "the-secret-of-this-test-cluster";
constexpr Duration kLease{300'000};

class RunningHost {
 public:
  explicit RunningHost(const Options& options)
      : host_(io_, options, [this](const LogLine& line) {
          const std::lock_guard lock(mutex_);
          log_ += line.text + "\n";
        }) {
    thread_ = std::thread([this] { io_.run(); });
  }
  ~RunningHost() {
    io_.stop();
    thread_.join();
  }
  void reload() {
    boost::asio::post(io_, [this] { host_.reload(); });
  }
  std::string log() {
    const std::lock_guard lock(mutex_);
    return log_;
  }

 private:
  boost::asio::io_context io_;
  std::mutex mutex_;
  std::string log_;
  Host host_;
  std::thread thread_;
};

class HostTest : public ::testing::Test {
 protected:
  HostTest() {
    options_.config.identity = {"test", "w", 0};
    options_.config.voters = {"n1", "n2", "w"};
    options_.config.lease = kLease;
    options_.config.heartbeat_interval = Duration{50'000};
    options_.port = free_port();
    options_.credentials.secret = directory_.write("secret", kSecret);
    options_.state_file = directory_.path("state");
    for (const char* name : {"n1", "n2"}) {
      auto node = std::make_unique<TestNode>(node_options(name));
      options_.config.peers.push_back(node->address());
      nodes_.push_back(std::move(node));
    }
  }

  NetworkOptions node_options(const std::string& name, const std::string& secret = "secret") {
    NetworkOptions options;
    options.cluster = "test";
    options.node = name;
    options.listen_address = "127.0.0.1";
    options.witnesses = {{"w", {"127.0.0.1", options_.port}}};
    options.credentials = protocol::must_load({.secret = directory_.path(secret)});
    return options;
  }

  std::string why_not() {
    try {
      const RunningHost host(options_);
      return "";
    } catch (const std::runtime_error& error) {
      return error.what();
    }
  }

  // Both nodes say that n1 is active in epoch 5, until the witness has heard it.
  void tell_who_is_active() {
    NodeState state;
    state.activation = Activation{{5}, "n1", "n1:3306", {}};
    ASSERT_TRUE(eventually([&] { return nodes_[0]->linked("w") && nodes_[1]->linked("w"); }));
    ASSERT_TRUE(eventually([&] {
      for (const auto& node : nodes_) node->send_to("w", state);
      return says([](const NodeState& said) { return said.epoch == Epoch{5}; });
    }));
  }
  bool says(const std::function<bool(const NodeState&)>& what) {
    return nodes_[0]->count<FromNode>([&](const FromNode& input) {
      const auto* state = std::get_if<NodeState>(&input.message);
      return state != nullptr && input.from == "w" && state->role == Role::kWitness && what(*state);
    }) > 0;
  }
  // Asks until the answer is yes.
  bool gets(TestNode& node, const Ask& ask) {
    return eventually([&] {
      node.send_to("w", ask);
      return node.count<FromNode>([&](const FromNode& input) {
        const auto* reply = std::get_if<AskReply>(&input.message);
        return reply != nullptr && reply->round == ask.round && reply->promised;
      }) > 0;
    });
  }

  protocol::TestDirectory directory_;
  Options options_;
  std::vector<std::unique_ptr<TestNode>> nodes_;
};

TEST_F(HostTest, GivesALeaseThenAPromiseAndKeepsItOverARestart) {
  {
    RunningHost host(options_);
    tell_who_is_active();
    EXPECT_TRUE(gets(*nodes_[0], Ask{{}, 1, {5}, true, kLease, "n1,n2,w"}));
    EXPECT_TRUE(gets(*nodes_[1], Ask{{9}, 2, {102}, true}));
    EXPECT_THAT(host.log(), HasSubstr("promised=102 to=n2"));
  }
  RunningHost host(options_);
  ASSERT_TRUE(eventually([&] { return nodes_[0]->linked("w"); }));
  ASSERT_TRUE(eventually([&] {
    nodes_[0]->send_to("w", Ask{{10}, 3, {101}, true});
    return nodes_[0]->count<FromNode>([](const FromNode& input) {
      const auto* reply = std::get_if<AskReply>(&input.message);
      return reply != nullptr && reply->id == SwitchoverId{10} &&
             reply->refusal.find("promised epoch 102 to node n2") != std::string::npos;
    }) > 0;
  }));
}

TEST_F(HostTest, LetsInNobodyButItsNodes) {
  const RunningHost host(options_);
  directory_.write("other", "another-secret-of-somebody");
  auto proxy = node_options("p1");
  proxy.kind = protocol::PEER_KIND_PROXY;
  TestNode a_proxy(proxy), a_stranger(node_options("n3")), a_liar(node_options("n1", "other"));
  const auto is_told = [](TestNode& who, const char* why) {
    return eventually([&] { return who.last_error("w").find(why) != std::string::npos; });
  };
  EXPECT_TRUE(is_told(a_proxy, "w is a witness: proxies connect to nodes"));
  EXPECT_TRUE(is_told(a_stranger, "witness w has no 'n3' in its --node"));
  EXPECT_TRUE(is_told(a_liar, "the cluster's secret is not the one of"));
}

TEST_F(HostTest, ReadsItsSecretAgainAndKeepsTheOldOneIfTheNewIsNone) {
  RunningHost host(options_);
  ASSERT_TRUE(eventually([&] { return nodes_[0]->linked("w"); }));
  directory_.write("secret", "short");
  host.reload();
  ASSERT_TRUE(eventually([&] { return host.log().find("reload=FAILED") != std::string::npos; }));
  EXPECT_EQ(host.log().find("short"), std::string::npos) << "nothing of a secret is logged";
  EXPECT_TRUE(nodes_[0]->linked("w"));
  directory_.write("secret", std::string("a-new-secret-of-the-cluster\n") + kSecret + "\n");
  host.reload();
  ASSERT_TRUE(eventually([&] { return host.log().find("reload=DONE") != std::string::npos; }));
  directory_.write("new", "a-new-secret-of-the-cluster");
  TestNode with_the_new_one(node_options("n2", "new"));
  EXPECT_TRUE(eventually([&] { return with_the_new_one.linked("w"); }));
}

TEST_F(HostTest, SaysWhyItDoesNotStart) {
  options_.listen_address = "0.0.0.0";
  options_.credentials = {};
  EXPECT_THAT(why_not(), HasSubstr("without --secret-file"));
  options_.listen_address = "not an address";
  EXPECT_THAT(why_not(), HasSubstr("is no IP address"));
  options_.listen_address = "127.0.0.1";
  options_.credentials.secret = directory_.path("missing");
  EXPECT_THAT(why_not(), HasSubstr("missing"));
  options_.credentials.secret = directory_.path("secret");
  options_.state_file = directory_.path("no/such/directory/state");
  EXPECT_THAT(why_not(), HasSubstr("no/such/directory"));
  options_.state_file = directory_.write("damaged", "active_master but nothing of it");
  EXPECT_THAT(why_not(), HasSubstr("has no vote until it has heard every node"));
  options_.state_file = directory_.path("state");
  EXPECT_EQ(why_not(), "");
  options_.config.identity.node = "w2";
  EXPECT_THAT(why_not(), HasSubstr("belongs to witness w of cluster test"));
}

// --- The command line ---

std::string parse(std::vector<std::string> arguments, CommandLine& line) {
  CLI::App app;
  add_options(app, line);
  std::ranges::reverse(arguments);
  try {
    app.parse(arguments);
    return "";
  } catch (const CLI::ParseError& error) {
    return error.what();
  }
}

TEST(WitnessOptions, TakeWhatIsNeededAndRefuseWhatCannotBe) {
  const std::vector<std::string> good{"--name=w",
                                      "--node=n1=10.0.0.1:33307,n2=10.0.0.2:33307",
                                      "--voters=n1,n2,w",
                                      "--listen=10.0.0.9:33308",
                                      "--state-file=/tmp/w",
                                      "--lease=1500"};
  CommandLine line;
  ASSERT_EQ(parse(good, line), "");
  EXPECT_EQ(line.options.config.peers.size(), 2U);
  EXPECT_EQ(line.options.config.voters, (std::vector<NodeName>{"n1", "n2", "w"}));
  EXPECT_EQ(line.options.config.lease, Duration{1'500'000});
  EXPECT_EQ(line.options.listen_address, "10.0.0.9");
  EXPECT_EQ(line.options.port, 33308);
  const auto with = [&](size_t which, const char* text) {
    auto arguments = good;
    arguments[which] = text;
    CommandLine ignored;
    return parse(arguments, ignored);
  };
  EXPECT_THAT(with(0, "--name=a b"), HasSubstr("is not a name"));
  EXPECT_THAT(with(1, "--node=n1"), HasSubstr("--node"));
  EXPECT_THAT(with(1, "--node=w=10.0.0.1:1"), HasSubstr("names 'w', this witness"));
  EXPECT_THAT(with(2, "--voters=n1,n2"), HasSubstr("must name this witness"));
  EXPECT_THAT(with(2, "--voters=n1,n1,w"), HasSubstr("each voter once"));
  EXPECT_THAT(with(3, "--listen=33308"), HasSubstr("is not of the form host:port"));
  EXPECT_THAT(with(4, "--log-level=info"), HasSubstr("--state-file is required"));
  EXPECT_THAT(with(5, "--lease=1"), HasSubstr("not in range"));
}

}  // namespace
}  // namespace active_master::witness
