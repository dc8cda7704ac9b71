// Any sequence of syntactically valid messages, from any sender, in any state, leaves a node's
// invariants intact. One node alone, whose peers say anything, and whose jobs end anyhow.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <set>

#include "plugin/core/node.h"
#include "plugin/core/sim/random.h"
#include "plugin/core/sim/trace.h"

namespace active_master::sim {
namespace {

// What would be a peer's or a person's most confusing words: mostly about this node and the epochs
// next to its own.
class Liar {
 public:
  explicit Liar(uint64_t seed) : random_(seed) {}

  Input next(const Node& node) {
    known_ = node.durable().epoch.value;
    switch (random_.below(12)) {
      case 0:
        return LinkUp{name()};
      case 1:
        return LinkDown{name(), "lost"};
      case 2:
        return ProxyConnected{proxy(), "10.0.0.1"};
      case 3:
        return ProxyLost{proxy()};
      case 4:
        return proxy_state();
      case 5:
        return SwitchCommand{id(), name(), random_.one_in(4)};
      case 6:
        return random_.one_in(4) ? Input(BootstrapCommand{id()}) : Input(CancelCommand{id()});
      default:
        return FromNode{name(), message()};
    }
  }
  Random& random() { return random_; }

 private:
  std::string name() { return "n" + std::to_string(1 + random_.below(4)); }  // n4 is a stranger
  std::string proxy() { return "p" + std::to_string(1 + random_.below(3)); }
  SwitchoverId id() { return {1 + random_.below(6)}; }
  Epoch epoch() { return {known_ + random_.below(4) - std::min<uint64_t>(known_, 1)}; }
  ProxyState proxy_state() {
    return {proxy(),          random_.one_in(2), id(), epoch(), name(), "liar", {},
            random_.below(3), random_.below(9)};
  }
  NodeMessage message() {
    switch (random_.below(12)) {
      case 0: {
        NodeState state;
        state.node = name();
        state.role = static_cast<Role>(random_.below(4));
        state.epoch = epoch();
        // A false higher activation ends everything; now and then is enough.
        if (random_.one_in(8)) state.activation = Activation{epoch(), name(), "n9:1", id()};
        if (random_.one_in(3)) state.pause = PauseNotice{id(), epoch(), Duration{1'000}};
        state.confirmed = random_.one_in(2);
        return state;
      }
      case 1:
        return SwitchRequest{id(), name(), name(), random_.one_in(4)};
      case 2:
        return CancelRequest{id()};
      case 3:
        return CheckRequest{id(), 2, {}, {}, epoch()};
      case 4:
        return CheckReply{id(), {}};
      case 5:
        return Probe{id(), static_cast<uint32_t>(random_.below(3)), "0-1-1", Duration{1'000}};
      case 6:
        return ProbeReply{id(), static_cast<uint32_t>(random_.below(3)), true, {}};
      case 7:
        return Offer{id(), epoch(), name(), "0-1-1", random_.one_in(2), Duration{1'000}};
      case 8:
        return GrantRequest{id(), epoch()};
      case 9:
        return Decline{id(), epoch(), "no"};
      case 10: {
        SwitchoverReport report;
        report.id = id();
        report.result = static_cast<Result>(random_.below(5));
        return report;
      }
      default:
        return ProxyNews{{{proxy_state(), "10.0.0.1", Duration{1'000}, true, random_.one_in(3)}}};
    }
  }

  Random random_;
  uint64_t known_ = 0;
};

struct OneNode {
  explicit OneNode(uint64_t seed) : liar(seed) {
    config.identity = {"sim", "n1", 1};
    config.sql_address = "n1:3306";
    for (const auto* peer : {"n2", "n3"}) config.peers.push_back({peer, {peer, 33307}});
    disk.identity = config.identity;
    auto& random = liar.random();
    if (!random.one_in(8)) {
      disk.epoch = {5};
      disk.role = random.one_in(2) ? Role::kActive : Role::kStandby;
      disk.active_node = disk.role == Role::kActive ? "n1" : "n2";
      disk.active_address = disk.active_node + ":3306";
    }
    start();
  }

  void start() {
    jobs.clear();
    fenced_by_job = disk.epoch > Epoch{};
    node = std::make_unique<Node>(config, disk);
    give(ServerStarted{});
  }

  void give(const Input& input) {
    now = now + Duration{liar.random().between(1, liar.random().one_in(8) ? 3'000'000 : 30'000)};
    const Epoch before = node->durable().epoch;
    for (auto& action : node->handle(input, now, 1)) {
      if (auto* job = std::get_if<RunJob>(&action)) jobs.push_back(std::move(*job));
      if (const auto* answer = std::get_if<Answer>(&action)) {
        EXPECT_TRUE(answer->report);
      }
    }
    EXPECT_GE(node->durable().epoch, before);
    EXPECT_GT(node->next_wakeup(), now) << "it would never come to rest";
  }

  void finish_a_job() {
    const RunJob job = std::move(jobs.front());
    jobs.pop_front();
    JobDone done;
    done.id = job.id;
    if (liar.random().one_in(5)) done.error = "no luck";
    if (done.error.empty()) {
      done.text = "0-1-7";
      if (const auto* persist = std::get_if<PersistJob>(&job.job)) {
        EXPECT_GE(persist->durable.epoch, disk.epoch) << "an epoch goes back on disk";
        disk = persist->durable;
      } else if (std::holds_alternative<FenceJob>(job.job) ||
                 std::holds_alternative<StandDownJob>(job.job)) {
        fenced_by_job = true;
      } else if (std::holds_alternative<OpenWritesJob>(job.job)) {
        // A job that was overtaken is closed again by the one that follows in its lane.
        const bool is_closed_next = std::ranges::any_of(jobs, [](const RunJob& next) {
          return std::holds_alternative<StandDownJob>(next.job);
        });
        if (!is_closed_next) {
          EXPECT_EQ(disk.role, Role::kActive) << "writes open without a durable role";
          EXPECT_EQ(disk.active_node, "n1");
          EXPECT_FALSE(disk.grant) << "writes open though the role was given away";
        }
        fenced_by_job = false;
      } else if (std::holds_alternative<HandoverJob>(job.job)) {
        EXPECT_TRUE(fenced_by_job) << "a handover on an open server";
      }
    }
    give(done);
  }

  Liar liar;
  Config config;
  Durable disk;
  std::unique_ptr<Node> node;
  std::deque<RunJob> jobs;
  bool fenced_by_job = true;
  Time now{Duration{1'000'000}};
};

TEST(Arbitrary, MessagesLeaveANodesInvariantsIntact) {
  std::set<State> seen;
  for (uint64_t seed = 1; seed <= 3'000 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    OneNode one(seed);
    for (int i = 0; i < 300; ++i) {
      seen.insert(one.node->state());
      const auto what = one.liar.random().below(40);
      if (what == 0) {
        one.start();  // it crashed
      } else if (what < 14 && !one.jobs.empty()) {
        one.finish_a_job();
      } else if (what < 18) {
        one.give(Tick{});
      } else {
        one.give(one.liar.next(*one.node));
      }
    }
    const auto view = one.node->view();
    EXPECT_LE(view->switchovers.size(), 101u);
    EXPECT_LE(view->proxies.size(), 3u);
  }
  EXPECT_GE(seen.size(), 12u) << "the messages lead nowhere";
}

}  // namespace
}  // namespace active_master::sim
