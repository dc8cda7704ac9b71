// Any sequence of syntactically valid messages, from any sender, in any state, leaves a node's
// invariants intact. One node alone, whose peers say anything, and whose jobs end anyhow. Now and
// then they say what a peer in its right mind would: lies alone don't lead into every state.
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
    switch (random_.below(14)) {
      case 12:
        return random_.one_in(2) ? Input(RejoinCommand{id()})
                                 : Input(ServerStatus{random_.one_in(2), "0-1-1", own_gtids()});
      case 13:
        return random_.one_in(2) ? Input(RegisterProxy{id(), proxy(), "10.0.0.1"})
                                 : Input(AcknowledgeProxy{id(), proxy(), id()});
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
        return SwitchCommand{id(), name(), random_.one_in(4), random_.one_in(12),
                             random_.one_in(2)};
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
  std::string own_gtids() { return "0-1-" + std::to_string(random_.below(3)); }
  NodeMessage message() {
    switch (random_.below(16)) {
      case 14:
        return Ask{random_.one_in(3) ? SwitchoverId{} : id(), random_.below(4), epoch(),
                   random_.one_in(12)};
      case 15:
        return AskReply{random_.one_in(3) ? SwitchoverId{} : id(),
                        random_.below(4),
                        random_.one_in(2),
                        random_.one_in(4) ? "no" : "",
                        epoch(),
                        epoch(),
                        random_.one_in(4),
                        random_.one_in(4),
                        "0-1-1"};
      case 12:
        return FollowRequest{random_.below(30), "0-1-1"};
      case 13:
        return FollowReply{random_.below(30), random_.one_in(3) ? "no" : "",
                           random_.one_in(3) ? "0-9-9" : ""};
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
        return SwitchRequest{
            id(), name(), name(), random_.one_in(4), random_.one_in(12), random_.one_in(2)};
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

// What a peer or a proxy in its right mind answers to what the node has sent.
class Honest {
 public:
  void hear(const SendToNode& sent) {
    const auto answer = [&](NodeMessage message) {
      inputs_.emplace_back(FromNode{sent.node, std::move(message)});
    };
    if (const auto* check = std::get_if<CheckRequest>(&sent.message)) {
      answer(CheckReply{check->id, {}});
    } else if (const auto* probe = std::get_if<Probe>(&sent.message)) {
      answer(ProbeReply{probe->id, probe->number, true, {}});
    } else if (const auto* offer = std::get_if<Offer>(&sent.message)) {
      if (offer->granted) {
        answer(active(sent.node, offer->epoch));
      } else {
        answer(GrantRequest{offer->id, offer->epoch});
      }
    } else if (const auto* asked = std::get_if<GrantRequest>(&sent.message)) {
      answer(Offer{asked->id, asked->epoch, "n1", "0-1-1", true, Duration{1'000}});
    } else if (const auto* follow = std::get_if<FollowRequest>(&sent.message)) {
      answer(FollowReply{follow->number, {}, {}});
    } else if (const auto* ask = std::get_if<Ask>(&sent.message)) {
      answer(AskReply{ask->id, ask->round, ask->binding, {}, known, {}, false, false, "0-1-1"});
    } else if (const auto* request = std::get_if<SwitchRequest>(&sent.message)) {
      answer(Offer{request->id, known.next(), "n1", "0-1-1", false, Duration{1'000}});
    }
  }
  void hear(const NodeState& state) {
    for (const auto* proxy : {"p1", "p2", "p3"}) {
      ProxyState said{proxy, state.pause.has_value(), {}, known, {}, "honest", {}, 3, ++sequence_};
      if (state.pause) said.switchover = state.pause->switchover;
      if (state.activation) said.node = state.activation->node;
      inputs_.emplace_back(std::move(said));
    }
  }
  static NodeState active(const NodeName& node, Epoch epoch) {
    NodeState state;
    state.node = node;
    state.role = Role::kActive;
    state.epoch = epoch;
    state.activation = Activation{epoch, node, node + ":3306", {}};
    state.server_id = 2;
    return state;
  }
  static NodeState state_of(const NodeName& peer, const NodeName& active_node, Epoch epoch) {
    NodeState state = active(peer, epoch);
    if (active_node == peer) return state;
    state.role = epoch == Epoch{} ? Role::kNew : Role::kStandby;
    state.activation.reset();
    return state;
  }
  void forget() { inputs_.clear(); }
  Input next() {
    if (inputs_.empty()) return heartbeat();
    Input input = std::move(inputs_.front());
    inputs_.pop_front();
    return input;
  }

  Epoch known;
  NodeName active_node;

 private:
  Input heartbeat() {
    const NodeName peer = ++sequence_ % 2 == 0 ? "n2" : "n3";
    return FromNode{peer, state_of(peer, active_node, known)};
  }

  std::deque<Input> inputs_;
  uint64_t sequence_ = 0;
};

// Which messages were given in which states.
using Met = std::set<std::pair<State, size_t>>;

struct OneNode {
  OneNode(uint64_t seed, Met& into)
      : liar(seed),
        is_calm(!liar.random().one_in(3)),
        honesty(is_calm ? 14 + liar.random().below(8) : liar.random().below(20)),
        met(into) {
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
    honest.forget();
    fenced_by_job = disk.epoch > Epoch{};
    node = std::make_unique<Node>(config, disk);
    while (liar.random().one_in(4)) lie();
    give(ServerStarted{});
    if (liar.random().one_in(4)) return;
    for (const auto* peer : {"n2", "n3"}) {
      give(LinkUp{peer});
      give(FromNode{peer, Honest::state_of(peer, disk.active_node, disk.epoch)});
    }
    // A restarted active master waits for their answers.
    for (int i = 0; i < 8 && is_calm; ++i) {
      if (!jobs.empty()) finish_a_job();
      give(honest.next());
    }
  }

  void give(const Input& input) {
    now = now + Duration{liar.random().between(
                    1, liar.random().one_in(is_calm ? 500 : 8) ? 3'000'000 : 30'000)};
    const Epoch before = node->durable().epoch;
    for (auto& action : node->handle(input, now, 1)) {
      if (auto* job = std::get_if<RunJob>(&action)) jobs.push_back(std::move(*job));
      if (const auto* answer = std::get_if<Answer>(&action)) {
        EXPECT_TRUE(answer->report);
      }
      if (const auto* sent = std::get_if<SendToNode>(&action)) {
        const auto* offer = std::get_if<Offer>(&sent->message);
        if (offer && offer->granted) {
          EXPECT_TRUE(disk.grant && disk.grant->epoch == offer->epoch)
              << "a grant is sent that is not durable";
        }
        honest.hear(*sent);
      }
      if (const auto* all = std::get_if<SendToAll>(&action)) {
        if (all->state.activation && all->state.activation->node == "n1") {
          EXPECT_GE(disk.epoch, all->state.activation->epoch)
              << "an activation is announced that is not durable";
        }
        honest.hear(all->state);
      }
    }
    honest.known = node->durable().epoch;
    honest.active_node = node->durable().active_node;
    EXPECT_GE(node->durable().epoch, before);
    if (!node->stopped()) {
      EXPECT_GT(node->next_wakeup(), now)
          << "it would never come to rest in " << to_string(node->state());
    }
  }

  void lie() {
    const Input input = liar.next(*node);
    if (const auto* from = std::get_if<FromNode>(&input))
      met.emplace(node->state(), from->message.index());
    give(input);
  }

  void finish_a_job() {
    const RunJob job = std::move(jobs.front());
    jobs.pop_front();
    JobDone done;
    done.id = job.id;
    if (liar.random().one_in(is_calm ? 50 : 5)) done.error = "no luck";
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
  bool is_calm;      // little fails, little time passes
  uint64_t honesty;  // of the peers, in so many of 40 steps
  Met& met;
  Honest honest;
  Config config;
  Durable disk;
  std::unique_ptr<Node> node;
  std::deque<RunJob> jobs;
  bool fenced_by_job = true;
  Time now{Duration{1'000'000}};
};

std::string never_met(const Met& met) {
  std::string text;
  for (int state = 0; state < kStateCount; ++state) {
    for (size_t message = 0; message < std::variant_size_v<NodeMessage>; ++message) {
      if (!met.contains({static_cast<State>(state), message}))
        text +=
            std::string(" ") + to_string(static_cast<State>(state)) + "/" + std::to_string(message);
    }
  }
  return text;
}

void play(uint64_t seed, Met& met) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  OneNode one(seed, met);
  for (int i = 0; i < 300; ++i) {
    const auto what = one.liar.random().below(40);
    if (what == 0) {
      one.start();  // it crashed
    } else if (what < 12 && !one.jobs.empty()) {
      one.finish_a_job();
    } else if (what < 14) {
      one.give(Tick{});
    } else if (what < 14 + one.honesty) {
      one.give(one.honest.next());
    } else if (what == 39 && one.liar.random().one_in(8)) {
      one.give(StopCommand{});
    } else {
      one.lie();
    }
  }
  const auto view = one.node->view();
  EXPECT_LE(view->switchovers.size(), 101u);
  EXPECT_LE(view->proxies.size(), 3u);
}

// Of a promise that is neither given nor refused the candidate never came to rest.
TEST(Arbitrary, SeedsThatHaveFoundSomething) {
  Met met;
  play(32960, met);
}

TEST(Arbitrary, MessagesLeaveANodesInvariantsIntactInEveryState) {
  Met met;
  const auto is_enough = [&met](uint64_t seed) {
    return seed > 300'000 || (seed > 30'000 && never_met(met).empty());
  };
  for (uint64_t seed = 1; !is_enough(seed) && !HasFailure(); ++seed) play(seed, met);
  EXPECT_EQ(never_met(met), "") << "no such message came in such a state";
}

}  // namespace
}  // namespace active_master::sim
