// A node's network over real sockets: with peers and proxies that are honest, and with whatever
// else can connect to a port.
#include "plugin/net/network.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <boost/asio.hpp>
#include <deque>
#include <future>
#include <mutex>
#include <thread>

#include "client/protocol/handshake.h"
#include "client/protocol/stranger.h"
#include "client/protocol/test_credentials.h"
#include "client/protocol/testing.h"
#include "client/subscriber/subscriber.h"
#include "client/subscriber/traffic_gate.h"
#include "plugin/net/codec.h"
#include "plugin/net/test_node.h"

namespace active_master {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;
using protocol::CredentialFiles;
using protocol::Frame;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

constexpr const char* kSecret = "the-secret-of-this-test-cluster";

NodeState some_state() {
  NodeState state;
  state.node = "node1";
  state.role = Role::kActive;
  return state;
}

class NetworkTest : public testing::Test {
 protected:
  CredentialFiles secret(const std::string& text = kSecret) {
    return {.secret = directory.write("secret" + std::to_string(++files_), text)};
  }
  static protocol::CredentialsPtr load(const CredentialFiles& files) {
    return protocol::must_load(files);
  }
  static protocol::Self node(const std::string& name) {
    return {"test", name, protocol::PEER_KIND_NODE, "1"};
  }
  // That dials node1.
  static NetworkOptions witness_options(const TestNode& of, const CredentialFiles& files) {
    NetworkOptions result = peer_options(of, files);
    result.node = "w";
    result.kind = protocol::PEER_KIND_WITNESS;
    return result;
  }
  static protocol::Self proxy(const std::string& name) {
    return {"test", name, protocol::PEER_KIND_PROXY, "1"};
  }

  // node1, which knows node2 at a port where nobody listens.
  static NetworkOptions options(const CredentialFiles& files) {
    NetworkOptions result;
    result.cluster = "test";
    result.node = "node1";
    result.listen_address = "127.0.0.1";
    result.peers = {{"node2", {"127.0.0.1", 1}}};
    result.credentials = load(files);
    return result;
  }
  // node2, which dials node1.
  static NetworkOptions peer_options(const TestNode& of, const CredentialFiles& files) {
    NetworkOptions result = options(files);
    result.node = "node2";
    result.peers = {of.address()};
    return result;
  }

  // A peer that links, a proxy that opens, and a message that arrives: the node is well.
  void must_serve(TestNode& node1, const CredentialFiles& files) {
    TestNode node2(peer_options(node1, files));
    ASSERT_TRUE(eventually([&] { return node2.linked("node1"); })) << node2.last_error("node1");
    const int before = node1.probes_from("node2");
    node2.send_to("node1", Probe{{7}, 1, "0-1-1", Duration{0}});
    ASSERT_TRUE(eventually([&] { return node1.probes_from("node2") > before; })) << node1.log();
    client::TrafficGate gate;
    client::GateHandler handler(gate);
    client::Subscriber subscriber({.name = "honest-proxy",
                                   .cluster = "test",
                                   .nodes = {node1.address()},
                                   .credentials = files},
                                  handler);
    handler.answer_to(subscriber);
    subscriber.start();
    ASSERT_TRUE(eventually([&] { return node1.has_proxy("honest-proxy"); })) << node1.log();
    ASSERT_TRUE(eventually([&] { return !subscriber.snapshot().connected.empty(); }));
  }

  protocol::TestDirectory directory;
  int files_ = 0;
};

// --- Who may come in ---

TEST_F(NetworkTest, ServesWithoutCredentialsWithASecretWithCertificatesAndWithBoth) {
  protocol::TestCa ca(directory);
  // One certificate for all three here; it bears all their names.
  const auto tls = ca.files("shared", "DNS:node1,DNS:node2,DNS:honest-proxy");
  auto both = tls;
  both.secret = secret().secret;
  for (const auto& files : {CredentialFiles{}, secret(), tls, both}) {
    TestNode node1(options(files));
    must_serve(node1, files);
  }
}

TEST_F(NetworkTest, AWrongSecretIsRefusedAndBothSidesSayIt) {
  TestNode node1(options(secret()));
  TestNode node2(peer_options(node1, secret("some-other-secret-of-others")));
  ASSERT_TRUE(eventually([&] { return !node2.last_error("node1").empty(); }));
  EXPECT_THAT(node2.last_error("node1"), HasSubstr("the cluster's secret is not the one of node"));
  EXPECT_TRUE(eventually([&] {
    return node1.log().find("the cluster's secret is not the one") != std::string::npos;
  })) << node1.log();
  EXPECT_EQ(node1.log().find(kSecret), std::string::npos);
}

TEST_F(NetworkTest, ANodeWithoutASecretIsNotBelievedByOneWithASecret) {
  TestNode node1(options({}));
  TestNode node2(peer_options(node1, secret()));
  ASSERT_TRUE(eventually([&] { return !node2.last_error("node1").empty(); }));
  EXPECT_THAT(node2.last_error("node1"), HasSubstr("doesn't ask for the cluster's secret"));
}

TEST_F(NetworkTest, SecretsAreExchangedWithoutDroppingAnybody) {
  const auto old_one = secret("the-old-secret-of-all");
  TestNode node1(options(old_one));
  TestNode node2(peer_options(node1, old_one));
  ASSERT_TRUE(eventually([&] { return node2.linked("node1"); }));
  const auto both = load(secret("the-new-secret-of-all\nthe-old-secret-of-all\n"));
  node1.use(both);
  node2.use(both);
  node2.send_to("node1", Probe{{7}, 1, "", Duration{0}});
  ASSERT_TRUE(eventually([&] { return node1.probes_from("node2") == 1; }));
  EXPECT_EQ(node1.count<LinkDown>([](const auto& down) { return down.error.empty(); }), 0);
  EXPECT_TRUE(node2.linked("node1")) << "on the same connection as before";

  // The old one is withdrawn: who came in with it goes, and comes back with the new one.
  const auto new_one = load(secret("the-new-secret-of-all"));
  node1.use(new_one);
  ASSERT_TRUE(
      eventually([&] { return node2.count<LinkDown>([](const auto&) { return true; }) == 1; }));
  ASSERT_TRUE(eventually([&] { return node2.linked("node1"); })) << node2.last_error("node1");
}

TEST_F(NetworkTest, AProxyWithItsOwnKeyIsThatProxyAndNoNode) {
  const auto files = secret();
  TestNode node1(options(files));
  const auto key = protocol::proxy_key(load(files)->secrets()[0].key, "test", "proxy1");
  const auto own = load({.secret = directory.write("key", protocol::proxy_key_line(key))});
  EXPECT_TRUE(Stranger(node1.port()).introduce_as(proxy("proxy1"), "node1", own));
  EXPECT_FALSE(Stranger(node1.port()).introduce_as(proxy("proxy2"), "node1", own));
  EXPECT_FALSE(Stranger(node1.port()).introduce_as(node("node2"), "node1", own));
}

TEST_F(NetworkTest, ANodeThatIsNoPeerStaysOutside) {
  TestNode node1(options(secret()));
  Stranger stranger(node1.port());
  EXPECT_FALSE(stranger.introduce_as(node("node3"), "node1", load(secret())));
  EXPECT_TRUE(eventually([&] {
    return node1.log().find("has no 'node3' in active_master_peers") != std::string::npos;
  }));
}

// --- TLS ---

TEST_F(NetworkTest, AWitnessComesInWhereItIsConfiguredAndSaysWhatAWitnessMay) {
  const auto files = secret();
  auto with_witness = options(files);
  with_witness.witnesses = {{"w", {"127.0.0.1", 1}}};
  TestNode node1(with_witness);
  TestNode witness(witness_options(node1, files));
  ASSERT_TRUE(eventually([&] { return witness.linked("node1"); })) << witness.last_error("node1");
  const auto heard = [&] {
    return node1.count<FromNode>([](const FromNode& input) { return input.from == "w"; });
  };
  NodeState state;
  state.node = "w";
  state.role = Role::kWitness;
  witness.send_to("node1", state);
  witness.send_to("node1", AskReply());
  ASSERT_TRUE(eventually([&] { return heard() == 2; })) << node1.log();
  witness.send_to("node1", Probe{{7}, 1, "", Duration{0}});
  ASSERT_TRUE(eventually([&] {
    return node1.log().find("witness=w: a message that no witness sends") != std::string::npos;
  }));
  ASSERT_TRUE(eventually([&] { return witness.linked("node1"); }));
  state.role = Role::kActive;
  witness.send_to("node1", state);
  ASSERT_TRUE(
      eventually([&] { return witness.count<LinkDown>([](const auto&) { return true; }) == 2; }));
  EXPECT_EQ(heard(), 2);
}

TEST_F(NetworkTest, ANodeIsNoWitnessAndAWitnessNoNode) {
  const auto files = secret();
  TestNode node1(options(files));  // it knows node2, and no witness
  TestNode witness(witness_options(node1, files));
  auto in_disguise = witness_options(node1, files);
  in_disguise.node = "node2";
  TestNode disguised(in_disguise);
  for (auto* who : {&witness, &disguised}) {
    ASSERT_TRUE(eventually([&] { return !who->last_error("node1").empty(); }));
    EXPECT_THAT(who->last_error("node1"), HasSubstr("in active_master_witnesses"));
  }
}

TEST_F(NetworkTest, ACertificateOfAnotherCaIsRefused) {
  protocol::TestCa ca(directory);
  protocol::TestCa other(directory, "other");
  TestNode node1(options(ca.files("node1", "DNS:node1")));
  auto files = other.files("node2", "DNS:node2");
  TestNode node2(peer_options(node1, files));
  ASSERT_TRUE(eventually([&] { return !node2.last_error("node1").empty(); }));
  EXPECT_THAT(node2.last_error("node1"), HasSubstr("certificate is not accepted"));
  files.tls_ca = ca.path();  // it believes node1, but node1 does not believe it
  TestNode again(peer_options(node1, files));
  ASSERT_TRUE(eventually([&] { return !again.last_error("node1").empty(); }));
  EXPECT_TRUE(eventually([&] {
    return node1.log().find("certificate is not accepted") != std::string::npos;
  })) << node1.log();
  must_serve(node1, ca.files("shared", "DNS:node2,DNS:honest-proxy"));
}

TEST_F(NetworkTest, ACertificateMustBearTheNameOrTheHost) {
  protocol::TestCa ca(directory);
  const auto refused = [&](const CredentialFiles& of_node1, const CredentialFiles& of_node2) {
    TestNode node1(options(of_node1));
    TestNode node2(peer_options(node1, of_node2));
    EXPECT_TRUE(
        eventually([&] { return node2.linked("node1") || !node2.last_error("node1").empty(); }));
    return node2.last_error("node1");
  };
  const auto node1 = ca.files("node1", "DNS:node1");
  EXPECT_EQ(refused(node1, ca.files("node2", "DNS:node2")), "");
  EXPECT_EQ(refused(ca.files("node1"), ca.files("node2")), "") << "as common name";
  EXPECT_EQ(refused(ca.files("hosts", "IP:127.0.0.1"), ca.files("hosts", "IP:127.0.0.1")), "");
  EXPECT_THAT(refused(ca.files("node3", "DNS:node3"), ca.files("node2")),
              HasSubstr("bears neither the name 'node1' nor the host '127.0.0.1'"));
  EXPECT_THAT(refused(node1, ca.files("node3", "DNS:node3")),
              HasSubstr("does not bear the name 'node2'"));
  EXPECT_THAT(refused(node1, ca.files("NODE2", "DNS:NODE2")),
              HasSubstr("does not bear the name 'node2'"));
  EXPECT_THAT(refused(node1, ca.files("any", "DNS:*")), HasSubstr("does not bear the name"));
}

TEST_F(NetworkTest, AnExpiredAndARevokedCertificateAreRefused) {
  protocol::TestCa ca(directory);
  const auto log_of = [&](const CredentialFiles& of_node1, const CredentialFiles& of_node2) {
    TestNode node1(options(of_node1));
    TestNode node2(peer_options(node1, of_node2));
    EXPECT_TRUE(eventually([&] { return !node2.last_error("node1").empty(); }));
    EXPECT_TRUE(eventually([&] { return node1.log().find("refused=") != std::string::npos; }));
    return node1.log();
  };
  auto node1 = ca.files("node1");
  const auto expired = ca.issue("node2", "", -60);
  EXPECT_THAT(log_of(node1, {"", ca.path(), expired.cert, expired.key, ""}),
              HasSubstr("certificate has expired"));
  const auto revoked = ca.issue("node2");
  node1.tls_crl = ca.revoke({revoked.serial});
  EXPECT_THAT(log_of(node1, {"", ca.path(), revoked.cert, revoked.key, ""}),
              HasSubstr("certificate revoked"));
}

TEST_F(NetworkTest, APlainPeerAtATlsPortHearsWhy) {
  protocol::TestCa ca(directory);
  const auto tls = ca.files("shared", "DNS:node1,DNS:node2,DNS:honest-proxy");
  TestNode node1(options(tls));
  TestNode node2(peer_options(node1, {}));
  ASSERT_TRUE(eventually([&] { return !node2.last_error("node1").empty(); }));
  EXPECT_THAT(node2.last_error("node1"), HasSubstr("speaks TLS only"));
  EXPECT_TRUE(eventually([&] { return node1.log().find("speaks TLS only") != std::string::npos; }));
  must_serve(node1, tls);
}

TEST_F(NetworkTest, ATlsPeerAtAPlainPortHearsWhy) {
  protocol::TestCa ca(directory);
  TestNode node1(options({}));
  TestNode node2(peer_options(node1, ca.files("node2")));
  ASSERT_TRUE(eventually([&] { return !node2.last_error("node1").empty(); }));
  EXPECT_THAT(node2.last_error("node1"), HasSubstr("the other side does not speak TLS"));
  EXPECT_TRUE(eventually([&] {
    return node1.log().find("TLS, which node node1 does not speak") != std::string::npos;
  })) << node1.log();
  must_serve(node1, {});
}

TEST_F(NetworkTest, OldVersionsOfTlsAreRefused) {
  protocol::TestCa ca(directory);
  const auto files = ca.files("node1");
  TestNode node1(options(files));
  Stranger stranger(node1.port());
  const auto credentials = load(ca.files("node2"));
  SSL* tls = SSL_new(credentials->tls().native_handle());
  SSL_set_security_level(tls, 0);
  SSL_set_min_proto_version(tls, TLS1_VERSION);
  SSL_set_max_proto_version(tls, TLS1_1_VERSION);
  SSL_set_fd(tls, stranger.socket().native_handle());
  EXPECT_NE(SSL_connect(tls), 1);
  SSL_free(tls);
}

// --- Who is in says only what it may ---

// One of each kind of message that a node can send.
template <typename... Types>
std::vector<NodeMessage> one_of_each(const std::variant<Types...>*) {
  return {NodeMessage(Types{})...};
}

TEST_F(NetworkTest, AProxyThatSpeaksAsANodeIsDropped) {
  TestNode node1(options(secret()));
  for (const auto& message : one_of_each(static_cast<const NodeMessage*>(nullptr))) {
    Stranger stranger(node1.port());
    ASSERT_TRUE(stranger.introduce_as(proxy("proxy1"), "node1", load(secret())));
    stranger.send(to_wire(message));
    EXPECT_TRUE(stranger.is_dropped()) << message.index();
  }
  EXPECT_EQ(node1.count<FromNode>([](const auto&) { return true; }), 0);
  EXPECT_THAT(node1.log(), HasSubstr("a message that no proxy sends"));
}

TEST_F(NetworkTest, AProxySpeaksForItselfOnly) {
  TestNode node1(options(secret()));
  Stranger stranger(node1.port());
  ASSERT_TRUE(stranger.introduce_as(proxy("proxy1"), "node1", load(secret())));
  Frame frame;
  frame.mutable_proxy_state()->set_proxy("proxy2");
  frame.mutable_proxy_state()->set_holding(true);
  stranger.send(frame);
  ASSERT_TRUE(eventually([&] {
    return node1.count<ProxyState>([](const auto& s) { return s.proxy == "proxy1"; }) == 1;
  }));
  EXPECT_EQ(node1.count<ProxyState>([](const auto& s) { return s.proxy != "proxy1"; }), 0);
}

TEST_F(NetworkTest, ANodeSpeaksForItselfAndNotAsAProxy) {
  TestNode node1(options(secret()));
  Stranger stranger(node1.port());
  ASSERT_TRUE(stranger.introduce_as(node("node2"), "node1", load(secret())));
  NodeState state = some_state();
  state.node = "node9";
  stranger.send(to_wire(state));
  ASSERT_TRUE(eventually([&] {
    return node1.count<FromNode>([](const auto& input) { return input.from == "node2"; }) == 1;
  }));
  Frame frame;
  frame.mutable_proxy_state()->set_proxy("proxy1");
  stranger.send(frame);
  EXPECT_TRUE(stranger.is_dropped());
  EXPECT_EQ(node1.count<ProxyState>([](const auto&) { return true; }), 0);
}

TEST_F(NetworkTest, HandshakesInAnOpenSessionEndIt) {
  TestNode node1(options(secret()));
  for (const auto& self : {node("node2"), proxy("proxy1")}) {
    Stranger stranger(node1.port());
    ASSERT_TRUE(stranger.introduce_as(self, "node1", load(secret())));
    stranger.send(protocol::DiallerHandshake(node("node2"), "node1", load(secret()), "").hello());
    EXPECT_TRUE(stranger.is_dropped());
  }
}

// --- Whatever can be sent ---

TEST_F(NetworkTest, ValidFramesInWrongStatesAreRefused) {
  TestNode node1(options(secret()));
  std::vector<Frame> frames(6);
  frames[0] = to_wire(some_state());
  frames[1].mutable_proxy_state()->set_proxy("proxy1");
  frames[2].mutable_proof()->set_code(std::string(32, 'x'));
  frames[3].mutable_welcome()->set_node("node1");
  frames[4].mutable_challenge()->set_nonce(std::string(32, 'x'));
  frames[5].mutable_refused()->set_reason("you are");
  for (const auto& frame : frames) {
    Stranger first(node1.port());
    first.send(frame);
    EXPECT_THAT(first.refusal(), HasSubstr("must be a Hello"));
    Stranger second(node1.port());
    second.send(protocol::DiallerHandshake(node("node2"), "node1", load(secret()), "").hello());
    ASSERT_TRUE(second.hear()->has_challenge());
    second.send(frame);
    EXPECT_NE(second.refusal(), "none");
  }
  EXPECT_EQ(node1.count<FromNode>([](const auto&) { return true; }), 0);
  EXPECT_EQ(node1.count<ProxyConnected>([](const auto&) { return true; }), 0);
  must_serve(node1, secret());
}

TEST_F(NetworkTest, GarbageAndOversizeLengthsEndTheConnection) {
  TestNode node1(options(secret()));
  std::minstd_rand random(1);
  std::vector<std::string> all = {"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                  std::string("\x7f\xff\xff\xff", 4),
                                  std::string("\0\0\xff\xff", 4),
                                  std::string("\xff\xff\xff\xff", 4),
                                  std::string("\0\0\0\2\xff\xff", 6),
                                  encode([] {
                                    Frame frame;  // valid, and more than a stranger may send
                                    frame.mutable_hello()->set_name(std::string(5000, 'a'));
                                    return frame;
                                  }())};
  for (int i = 0; i < 200; ++i) {
    std::string bytes(4 + random() % 5000, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    bytes[0] = static_cast<char>(1 + random() % 255);  // no small length, which would wait for more
    all.push_back(bytes);
  }
  for (const auto& bytes : all) {
    Stranger stranger(node1.port());
    stranger.send(bytes);
    EXPECT_TRUE(stranger.is_dropped());
  }
  must_serve(node1, secret());
}

TEST_F(NetworkTest, AFrameThatIsTooLargeForItsSenderEndsTheSession) {
  TestNode node1(options(secret()));
  Stranger stranger(node1.port());
  ASSERT_TRUE(stranger.introduce_as(proxy("proxy1"), "node1", load(secret())));
  stranger.send(std::string("\0\1\0\0", 4));  // 64 KiB: fine from a node, too much from a proxy
  EXPECT_TRUE(stranger.is_dropped());
  EXPECT_TRUE(eventually([&] { return !node1.has_proxy("proxy1"); }));
}

TEST_F(NetworkTest, ASlowLorisIsDroppedHoweverLongItTrickles) {
  auto slow = options(secret());
  slow.limits.handshake_time = milliseconds(300);
  TestNode node1(slow);
  Stranger silent(node1.port());
  Stranger trickling(node1.port());
  const auto hello =
      encode(protocol::DiallerHandshake(node("node2"), "node1", load(secret()), "").hello());
  std::atomic<bool> stop = false;
  std::thread trickle([&] {
    for (size_t i = 0; !stop && trickling.send(hello.substr(i % hello.size(), 1)); ++i) {
      std::this_thread::sleep_for(milliseconds(20));
    }
  });
  EXPECT_TRUE(silent.is_dropped());
  EXPECT_TRUE(trickling.is_dropped());
  stop = true;
  trickle.join();
  EXPECT_THAT(node1.log(), HasSubstr("the handshake took too long"));
}

TEST_F(NetworkTest, AnOpenSessionThatSendsNoWholeFrameIsLost) {
  auto impatient = options(secret());
  impatient.proxy_silence = milliseconds(300);
  TestNode node1(impatient);
  Stranger stranger(node1.port());
  ASSERT_TRUE(stranger.introduce_as(proxy("proxy1"), "node1", load(secret())));
  std::atomic<bool> stop = false;
  std::thread trickle([&] {
    stranger.send(std::string("\0\0\x20\0", 4));  // the length of a frame that never gets complete
    while (!stop && stranger.send(std::string(1, '\0'))) {
      std::this_thread::sleep_for(milliseconds(50));
    }
  });
  EXPECT_TRUE(stranger.is_dropped());
  stop = true;
  trickle.join();
  EXPECT_TRUE(eventually([&] { return !node1.has_proxy("proxy1"); }));
}

// A connection and nothing more: one file descriptor.
class HalfOpen {
 public:
  HalfOpen(uint16_t port, const std::string& first_bytes)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    is_open_ = fd_ >= 0 && ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
    if (is_open_) (void)!::send(fd_, first_bytes.data(), first_bytes.size(), MSG_NOSIGNAL);
  }
  ~HalfOpen() { ::close(fd_); }
  HalfOpen(const HalfOpen&) = delete;
  HalfOpen& operator=(const HalfOpen&) = delete;
  [[nodiscard]] bool is_open() const { return is_open_; }

 private:
  const int fd_;
  bool is_open_ = false;
};

// 10,000, or as many as this process may open; each one half open in one of three ways.
TEST_F(NetworkTest, TenThousandHalfOpenConnectionsShutNobodyOut) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  const size_t count =
      std::min<size_t>(10'000, limit.rlim_cur - 1500);  // the node's ends: the rest
  RecordProperty("half_open", static_cast<int>(count));
  const auto files = secret();
  auto knows_both = options(files);
  knows_both.peers.push_back({"node3", {"127.0.0.1", 1}});
  knows_both.peer_timeout = seconds(600);  // without cores they say nothing, which shall not end it
  TestNode node1(knows_both);
  auto third = peer_options(node1, files);
  third.node = "node3";
  third.peer_timeout = knows_both.peer_timeout;
  TestNode node3(third);
  ASSERT_TRUE(eventually([&] { return node3.linked("node1"); }));
  const auto hello =
      encode(protocol::DiallerHandshake(node("node2"), "node1", load(files), "").hello());
  const std::string beginnings[] = {"", hello.substr(0, 3), hello};
  std::deque<HalfOpen> strangers;
  for (size_t i = 0; i < count; ++i) {
    ASSERT_TRUE(strangers.emplace_back(node1.port(), beginnings[i % 3]).is_open());
    if (i % 2500 == 2499) must_serve(node1, files);  // in the middle of it
  }
  must_serve(node1, files);
  EXPECT_EQ(node3.count<LinkDown>([](const auto&) { return true; }), 0) << "who was in stays in";
  EXPECT_LT(node1.log().size(), 100'000) << "nor is the log flooded";
}

TEST_F(NetworkTest, WhoFailsToAuthenticateTooOftenIsNotListenedTo) {
  auto strict = options(secret());
  strict.limits.failures = 3;
  strict.limits.failure_interval = seconds(3600);
  TestNode node1(strict);
  const auto wrong = load(secret("some-other-secret-of-others"));
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(Stranger(node1.port(), "127.0.0.2").introduce_as(node("node2"), "node1", wrong));
  }
  Stranger right_but_late(node1.port(), "127.0.0.2");
  EXPECT_FALSE(right_but_late.introduce_as(node("node2"), "node1", load(secret())));
  EXPECT_TRUE(eventually(
      [&] { return node1.log().find("too many failed authentications") != std::string::npos; }));
  EXPECT_TRUE(Stranger(node1.port()).introduce_as(node("node2"), "node1", load(secret())));
}

TEST_F(NetworkTest, ConnectionsOfOneAddressAreLimited) {
  auto few = options(secret());
  few.limits.connections_per_address = 5;
  TestNode node1(few);
  std::vector<std::unique_ptr<Stranger>> proxies;
  for (int i = 0; i < 5; ++i) {
    proxies.push_back(std::make_unique<Stranger>(node1.port(), "127.0.0.2"));
    ASSERT_TRUE(
        proxies.back()->introduce_as(proxy("p" + std::to_string(i)), "node1", load(secret())));
  }
  EXPECT_TRUE(Stranger(node1.port(), "127.0.0.2").is_dropped());
  must_serve(node1, secret());
}

TEST_F(NetworkTest, ASlowReaderIsDroppedAndNotBufferedFor) {
  auto patient = options(secret());
  patient.peer_timeout = seconds(600);  // its silence shall not be what ends it
  TestNode node1(patient);
  Stranger slow(node1.port());
  ASSERT_TRUE(slow.introduce_as(proxy("slow"), "node1", load(secret())));
  ASSERT_TRUE(eventually([&] { return node1.has_proxy("slow"); }));
  NodeState state = some_state();
  state.gtid_position = std::string(4000, '1');
  // More than its queue and what the kernel buffers.
  for (int i = 0; i < 20'000 && node1.has_proxy("slow"); ++i) node1.send_to_all(state);
  EXPECT_FALSE(node1.has_proxy("slow"));
  EXPECT_THAT(node1.log(), HasSubstr("it does not read what is sent to it"));
  must_serve(node1, secret());
}

TEST_F(NetworkTest, EndsWithStrangersInEveryState) {
  const auto files = secret();
  std::vector<std::unique_ptr<Stranger>> strangers;
  {
    TestNode node1(options(files));
    for (int i = 0; i < 4; ++i) strangers.push_back(std::make_unique<Stranger>(node1.port()));
    strangers[1]->send(std::string("\0\0", 2));
    strangers[2]->send(protocol::DiallerHandshake(node("node2"), "node1", load(files), "").hello());
    ASSERT_TRUE(strangers[3]->introduce_as(proxy("proxy1"), "node1", load(files)));
  }
  for (const auto& stranger : strangers) EXPECT_TRUE(stranger->is_dropped());
}

}  // namespace
}  // namespace active_master
