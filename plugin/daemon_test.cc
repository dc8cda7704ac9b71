// The daemon with its threads, without a server: jobs succeed at once, on threads of their own.
// Two of them, linked over sockets, move the role while others read, reconfigure and stop. Made for
// the thread sanitizer; that they reach the right states is worth a test without it, too.
#include "plugin/daemon.h"

#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <deque>
#include <mutex>

#include "client/protocol/frame.h"
#include "client/protocol/stranger.h"
#include "client/protocol/test_credentials.h"
#include "client/protocol/testing.h"
#include "plugin/server/log.h"

namespace active_master {

// --- In place of the server ---

bool server_is_started() {
  return true;
}
bool server_is_stopping() {
  return false;
}
void log_line(const LogLine&) {}

// One thread that does one job after the other.
class JobRunner::Lane {
 public:
  Lane() : thread_([this] { work(); }) {}
  ~Lane() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
  void add(std::function<void()> job) {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
    changed_.notify_one();
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
      if (stop_) return;
      const auto job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  bool stop_ = false;
  std::thread thread_;
};

JobRunner::JobRunner(StateFile& state_file, std::function<void(JobDone)> done,
                     std::function<void(ServerStatus)> status)
    : state_file_(state_file), done_(std::move(done)), status_(std::move(status)) {
  for (int i = 0; i < 2; ++i) lanes_.push_back(std::make_unique<Lane>());
}
JobRunner::~JobRunner() {
  lanes_.clear();
}

void JobRunner::run(JobId id, Job job) {
  lanes_[id.value % lanes_.size()]->add([this, id, job = std::move(job)] {
    JobDone result;
    result.id = id;
    if (const auto* persist = std::get_if<PersistJob>(&job)) {
      result.error = state_file_.store(persist->durable);
    }
    if (std::holds_alternative<ReadPositionJob>(job) || std::holds_alternative<HandoverJob>(job)) {
      result.text = "0-1-1";
    }
    if (std::holds_alternative<CheckLocalJob>(job) ||
        std::holds_alternative<CheckCandidateJob>(job)) {
      result.rows = {{"", "server", Verdict::kOk, "", ""}};
    }
    done_(result);
  });
}
void JobRunner::explain_fence(std::string) {}
void JobRunner::pace_writes(Duration) {}
void JobRunner::write_until(Time) {}
void JobRunner::cancel(JobId) {}
void JobRunner::read_status() {
  lanes_[0]->add([this] { status_({true, "0-1-1"}); });
}

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class DaemonTest : public testing::Test {
 protected:
  struct Member {
    Settings settings;
    std::unique_ptr<Daemon> daemon;
  };

  DaemonTest() {
    const auto file = directory.write("secret", "the-secret-of-these-two-daemons");
    const NamedAddress addresses[] = {{"node1", {"127.0.0.1", free_port()}},
                                      {"node2", {"127.0.0.1", free_port()}}};
    for (int i = 0; i < 2; ++i) {
      auto& [settings, daemon] = members[i];
      auto& config = settings.config;
      config.identity = {"test", addresses[i].name, static_cast<uint32_t>(i + 1)};
      config.peers = {addresses[1 - i]};
      config.sql_address = "127.0.0.1:" + std::to_string(i + 1);
      config.server_version = "10.11.0";
      // Slow machines, and sanitizers, must not look like lost peers.
      config.approach_max_lag = config.catch_up_timeout = config.pause_timeout = seconds(30);
      config.approach_timeout = config.switchover_timeout = seconds(50);
      config.peer_timeout = seconds(60);
      auto& network = settings.network;
      network.cluster = "test";
      network.node = addresses[i].name;
      network.listen_address = "127.0.0.1";
      network.port = addresses[i].address.port;
      network.peers = config.peers;
      network.peer_timeout = config.peer_timeout;
      network.credentials = protocol::must_load({.secret = file});
    }
    for (int i = 0; i < 2; ++i) start(i);
  }

  void start(int i) {
    auto& member = members[i];
    member.daemon =
        std::make_unique<Daemon>(member.settings, directory.path("state" + std::to_string(i)));
  }
  Daemon& daemon(int i) { return *members[i].daemon; }

  [[nodiscard]] std::string link_error(int i, const std::string& to) {
    const auto view = daemon(i).view();
    const auto node = std::ranges::find(view->nodes, to, &NodeView::name);
    return node == view->nodes.end() ? "unknown" : node->last_error;
  }
  [[nodiscard]] bool linked(int i) {
    const auto view = daemon(i).view();  // a range-for over view()->nodes would outlive it
    for (const auto& node : view->nodes) {
      if (node.link != "SELF" && node.link != "CONNECTED") return false;
    }
    return view->nodes.size() == 2;
  }
  [[nodiscard]] bool knows_active(int i, const std::string& node) {
    const auto view = daemon(i).view();
    return view->activation && view->activation->node == node && view->phase == Phase::kNone;
  }
  [[nodiscard]] Result ask(int i, Input command, uint64_t id) {
    const auto report = daemon(i).request({id}, std::move(command), [] { return false; });
    EXPECT_TRUE(report) << "no answer";
    if (report && report->result != Result::kDone) {
      const std::lock_guard lock(last_error_mutex);
      last_error = report->error;
    }
    return report ? report->result : Result::kUnknown;
  }
  void bootstrap() {
    ASSERT_TRUE(eventually([&] { return linked(0) && linked(1); }));
    ASSERT_EQ(ask(0, BootstrapCommand{{1}}, 1), Result::kDone) << last_error;
    ASSERT_TRUE(eventually([&] { return knows_active(0, "node1") && knows_active(1, "node1"); }));
  }

  // Asked for on either node, also on the one that isn't the active master. Refused while the one
  // before is not quite over there: then again.
  void must_move_to(const std::string& target, int director, uint64_t first_id) {
    uint64_t id = first_id;
    Result result = Result::kRefused;
    EXPECT_TRUE(eventually([&] {
      ++id;
      result = ask(director, SwitchCommand{{id}, target, false}, id);
      return result != Result::kRefused;
    }));
    EXPECT_EQ(result, Result::kDone) << last_error;
    EXPECT_TRUE(eventually([&] { return knows_active(0, target) && knows_active(1, target); }));
  }

  protocol::TestDirectory directory;
  Member members[2];
  std::mutex last_error_mutex;  // statements wait on threads of their own
  std::string last_error;
};

TEST_F(DaemonTest, MovesTheRoleWhileOthersReadAndReconfigure) {
  bootstrap();
  std::atomic<bool> stop = false;
  std::vector<std::thread> others;
  for (int i = 0; i < 2; ++i) {
    others.emplace_back([&, i] {
      while (!stop) {
        (void)linked(i);
        std::this_thread::yield();
      }
    });
    others.emplace_back([&, i] {
      for (int round = 0; !stop; ++round) {
        Settings changed = members[i].settings;
        changed.config.resume_timeout = milliseconds(3000 + round % 10);
        daemon(i).reconfigure(changed);
        std::this_thread::sleep_for(milliseconds(2));
      }
    });
  }
  for (uint64_t round = 0; round < 6; ++round) {
    const std::string target = round % 2 == 0 ? "node2" : "node1";
    must_move_to(target, round % 4 < 2 ? 0 : 1, 10 + round * 1000);
  }
  stop = true;
  for (auto& thread : others) thread.join();
  EXPECT_EQ(daemon(0).view()->epoch, Epoch{7});
}

// Opens connections without TLS, one after the other; how many of them were closed by the node.
void knock(const std::stop_token& stop, uint16_t port, std::atomic<uint64_t>& closed) {
  using boost::asio::ip::tcp;
  protocol::Frame frame;
  frame.mutable_hello()->set_name("node2");
  const std::string hello = protocol::encode(frame);
  while (!stop.stop_requested()) {
    boost::asio::io_context io;
    tcp::socket socket(io);
    boost::system::error_code error;
    socket.connect({boost::asio::ip::address_v4::loopback(), port}, error);
    if (error) continue;
    boost::asio::write(socket, boost::asio::buffer(hello), error);
    std::string answer;
    boost::asio::read(socket, boost::asio::dynamic_buffer(answer), error);  // until it is closed
    ++closed;
  }
}

TEST_F(DaemonTest, MovesTheRoleOverTlsWhilePlainStrangersKnock) {
  protocol::TestCa ca(directory);
  for (auto& member : members) {
    member.daemon.reset();
    auto& network = member.settings.network;
    network.credentials = protocol::must_load(ca.files(network.node, "DNS:" + network.node));
  }
  for (int i = 0; i < 2; ++i) start(i);
  bootstrap();
  std::atomic<uint64_t> closed = 0;
  const std::jthread stranger(
      [&](const std::stop_token& stop) { knock(stop, members[0].settings.network.port, closed); });
  for (uint64_t round = 0; round < 2; ++round) {
    const uint64_t before = closed;
    EXPECT_TRUE(eventually([&] { return closed > before; }));
    must_move_to(round == 0 ? "node2" : "node1", 0, 10 + round * 1000);
  }
}

// A connection whose queue is full ends while the daemon carries out what another input led to. The
// peer that comes after it must miss nothing of that.
TEST_F(DaemonTest, DropsAPeerThatNeverReadsAndTellsTheNextOne) {
  const NamedAddress node3{"node3", {"127.0.0.1", free_port()}};
  auto& settings = members[0].settings;
  for (auto& member : members) member.daemon.reset();
  settings.config.peers.push_back(node3);
  settings.network.peers = settings.config.peers;
  start(0);
  const auto self = [](const char* name, protocol::PeerKind kind) {
    return protocol::Self{"test", name, kind, "0.1.0"};
  };
  const auto& credentials = settings.network.credentials;
  auto deaf = Stranger::listening(members[1].settings.network.port);
  ASSERT_TRUE(deaf.welcome_as(self("node2", protocol::PEER_KIND_NODE), credentials));
  auto next = Stranger::listening(node3.address.port);
  ASSERT_TRUE(next.welcome_as(self("node3", protocol::PEER_KIND_NODE), credentials));
  Stranger proxy(settings.network.port);
  ASSERT_TRUE(proxy.introduce_as(self("proxy1", protocol::PEER_KIND_PROXY), "node1", credentials));
  ASSERT_TRUE(eventually([&] { return link_error(0, "node2").empty(); }));

  // Each is news for the nodes. More in all than the queue and what the kernel buffers.
  protocol::Frame frame;
  auto& state = *frame.mutable_proxy_state();
  state.set_proxy("proxy1");
  for (uint64_t i = 1, extra = 0; extra < 10; ++i) {
    if (!link_error(0, "node2").empty()) ++extra;
    ASSERT_LT(i, 20'000U);
    state.set_sequence(i);
    state.set_last_error(std::to_string(i) + std::string(4000, ' '));
    ASSERT_TRUE(proxy.send(frame));
    for (uint64_t heard = 0; heard < i;) {
      const auto told = next.hear();
      ASSERT_TRUE(told);
      if (!told->has_proxy_news()) continue;
      ASSERT_EQ(told->proxy_news().proxies_size(), 1);
      heard = told->proxy_news().proxies(0).state().sequence();
    }
  }
  EXPECT_TRUE(deaf.is_dropped());
}

TEST_F(DaemonTest, StopsWhileRequestsWait) {
  bootstrap();
  members[1].daemon.reset();  // the candidate is gone
  std::vector<std::thread> askers;
  std::atomic<int> answered = 0;
  for (uint64_t i = 0; i < 4; ++i) {
    askers.emplace_back([&, i] {
      EXPECT_NE(ask(0, SwitchCommand{{100 + i}, "node2", false}, 100 + i), Result::kDone);
      ++answered;
    });
  }
  for (auto& thread : askers) thread.join();
  EXPECT_EQ(answered, 4);
  start(1);
  EXPECT_TRUE(eventually([&] { return linked(0) && knows_active(1, "node1"); }));
}

}  // namespace
}  // namespace active_master
