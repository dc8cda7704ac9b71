// Proxies: what they say, and how a switchover waits for them.
#include <algorithm>

#include "plugin/core/scenario.h"

namespace active_master::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

SCENARIO(a_lost_proxy_refuses_until_its_lease_runs_out) {
  World world = bootstrapped();
  world.connect_proxy("p1", "node1");
  world.give("node1", ProxyLost{"p1"});
  expect_refused(world, world.ask("node1", "node2"), ErrorCode::kCheckFailed);
  world.pass(Duration{11'000'000});
  expect_done(world, world.ask("node1", "node2"));
  return world;
}

SCENARIO(a_proxy_that_is_cut_off_from_the_director_is_heard_through_a_peer) {
  World world = bootstrapped({"node1", "node2", "node3"});
  for (const char* name : {"node1", "node2", "node3"}) world.connect_proxy("p1", name);
  world.pass(Duration{5'000'000});  // all tell each other that it is there
  const auto id = world.ask("node1", "node2");
  const auto only_node3_hears = [&](uint64_t sequence, bool holding, Epoch epoch) {
    ProxyState said;
    said.proxy = "p1";
    said.holding = holding;
    if (holding) said.switchover = id;
    said.epoch = epoch;
    said.sequence = sequence;
    world.give("node3", said);
    world.run();
    world.pass(Duration{200'000});  // long before it counts as lost, and before peers gossip
  };
  EXPECT_THAT(world.writable(), ElementsAre("node1"));
  only_node3_hears(1, true, Epoch{1});
  EXPECT_THAT(world.writable(), ElementsAre("node2"));
  EXPECT_EQ(world.answer(id), nullptr) << "traffic is stopped";
  only_node3_hears(2, false, Epoch{2});
  expect_done(world, id);
  return world;
}

SCENARIO(every_proxy_holds_before_the_fence_and_opens_before_the_end) {
  World world = bootstrapped();
  world.connect_proxy("p1", "node1");
  world.connect_proxy("p2", "node1");
  const auto id = world.ask("node1", "node2");
  EXPECT_EQ(world.node("node1").state(), State::kPause);
  EXPECT_TRUE(world.told_to_all("node1").pause);
  EXPECT_EQ(world.told_to_all("node1").pause->epoch, Epoch{2});
  world.proxy_says("p1", true, id, {1});
  EXPECT_EQ(world.node("node1").state(), State::kPause) << "p2 does not hold yet";
  world.proxy_says("p2", true, {77}, {1});
  EXPECT_EQ(world.node("node1").state(), State::kPause) << "p2 holds for something else";
  world.proxy_says("p2", true, id, {1});
  EXPECT_EQ(world.node("node1").state(), State::kResume);
  EXPECT_FALSE(world.told_to_all("node1").pause)
      << "the activation is known: nothing is held any more";
  EXPECT_FALSE(world.answer(id));
  world.proxy_says("p1", false, {}, {2});
  world.proxy_says("p2", false, {}, {2});
  expect_done(world, id);
  EXPECT_EQ(world.answer(id)->error, "");
  return world;
}

// More than fit into one message between nodes: each is waited for, and each node knows them all.
SCENARIO(a_thousand_proxies_hold_and_open) {
  World world = bootstrapped({"node1", "node2", "node3"});
  std::vector<std::string> proxies;
  for (int i = 1; i <= 1000; ++i) {
    proxies.push_back("p" + std::to_string(i));
    world.connect_proxy(proxies.back(), "node1");
  }
  const auto id = world.ask("node1", "node2");
  for (const auto& proxy : proxies) {
    EXPECT_EQ(world.node("node1").state(), State::kPause) << "it does not wait for " << proxy;
    world.proxy_says(proxy, true, id, {1});
  }
  EXPECT_EQ(world.node("node1").state(), State::kResume);
  for (const auto& proxy : proxies) {
    EXPECT_FALSE(world.answer(id)) << proxy << " has not opened";
    world.proxy_says(proxy, false, {}, {2});
  }
  expect_done(world, id);
  for (const auto* node : {"node1", "node2", "node3"}) {
    const auto view = world.node(node).view();
    EXPECT_EQ(view->proxies.size(), proxies.size()) << node;
    EXPECT_TRUE(std::ranges::all_of(view->proxies, [](const auto& p) {
      return p.connected && p.epoch == Epoch{2};
    })) << node;
  }
  return world;
}

SCENARIO(a_proxy_that_does_not_open_is_an_exception_not_a_failure) {
  World world = bootstrapped();
  world.connect_proxy("p1", "node1");
  const auto id = world.ask("node1", "node2");
  world.proxy_says("p1", true, id, {1});
  world.pass(Duration{4'000'000});
  expect_done(world, id);
  EXPECT_THAT(world.answer(id)->error, HasSubstr("p1"));
  return world;
}

constexpr unsigned number(ErrorCode code) {
  return static_cast<unsigned>(code);
}

// A proxy that speaks only SQL: what it says are statements, each with an answer.
struct SqlProxy {
  World& world;
  uint64_t statement = 1'000'000;

  unsigned registers(const NodeName& at, const std::string& name) {
    world.give(at, RegisterProxy{{++statement}, name, "10.0.0.7"});
    return world.answer({statement})->error_number;
  }
  unsigned acknowledges(const NodeName& at, const std::string& name, SwitchoverId id) {
    world.give(at, AcknowledgeProxy{{++statement}, name, id});
    world.run();
    return world.answer({statement})->error_number;
  }
};

SCENARIO(a_proxy_that_speaks_only_sql_takes_part) {
  World world = bootstrapped();
  SqlProxy proxy{world};
  EXPECT_EQ(proxy.registers("node2", "p1"), number(ErrorCode::kRegisterElsewhere));
  EXPECT_EQ(proxy.registers("node1", "no name"), number(ErrorCode::kBadName));
  EXPECT_EQ(proxy.acknowledges("node1", "p1", {1}), number(ErrorCode::kUnknownProxy));
  EXPECT_EQ(proxy.registers("node1", "p1"), 0);
  const auto view = world.node("node1").view();  // must outlive what is taken from it
  const auto& shown = view->proxies;
  EXPECT_EQ(shown.size(), 1);
  EXPECT_EQ(shown.front().ip, "10.0.0.7");
  EXPECT_EQ(shown.front().driver, "sql");
  const auto id = world.ask("node1", "node2");
  EXPECT_EQ(world.node("node1").state(), State::kPause);
  EXPECT_EQ(proxy.acknowledges("node1", "p1", {77}), number(ErrorCode::kUnknownSwitchover));
  EXPECT_EQ(proxy.acknowledges("node1", "p1", id), 0);
  EXPECT_EQ(world.node("node1").state(), State::kResume);
  EXPECT_TRUE(world.node("node1").view()->proxies.front().holding);
  EXPECT_EQ(proxy.acknowledges("node1", "p1", id), 0);
  EXPECT_FALSE(world.node("node1").view()->proxies.front().holding);
  EXPECT_EQ(world.node("node1").view()->proxies.front().node, "node2");
  EXPECT_EQ(world.answer(id)->result, Result::kDone);
  return world;
}

SCENARIO(what_a_proxy_says_by_sql_reaches_every_node) {
  World world = bootstrapped();
  SqlProxy proxy{world};
  EXPECT_EQ(proxy.registers("node1", "p1"), 0);
  for (int i = 0; i < 4; ++i) {
    world.pass(Duration{4'000'000});
    EXPECT_EQ(proxy.acknowledges("node1", "p1", {}), 0);
  }
  world.pass(Duration{1'000'000});
  const auto there = world.node("node2").view();
  EXPECT_EQ(there->proxies.size(), 1);
  EXPECT_TRUE(there->proxies.front().connected) << "its renewals did not arrive";
  EXPECT_EQ(there->proxies.front().driver, "sql");

  const auto id = world.ask("node1", "node2");
  EXPECT_EQ(proxy.acknowledges("node1", "p1", id), 0);
  EXPECT_EQ(proxy.acknowledges("node1", "p1", id), 0);
  expect_done(world, id);
  // Known, but it can't speak for itself before it is registered there.
  world.pass(Duration{3'000'000});
  const auto back = world.ask("node2", "node1");
  EXPECT_EQ(world.node("node2").state(), State::kPause);
  EXPECT_EQ(proxy.acknowledges("node2", "p1", back), number(ErrorCode::kUnknownProxy));
  EXPECT_EQ(proxy.registers("node2", "p1"), 0);
  EXPECT_EQ(proxy.acknowledges("node2", "p1", back), 0);
  EXPECT_TRUE(world.node("node1").view()->proxies.front().holding);
  EXPECT_EQ(proxy.acknowledges("node2", "p1", back), 0);
  EXPECT_FALSE(world.node("node1").view()->proxies.front().holding)
      << "not told at once, as it was registered there before";
  expect_done(world, back);
  return world;
}

SCENARIO(a_proxy_that_registers_holds_for_nothing_that_is_over) {
  World world = bootstrapped();
  SqlProxy proxy{world};
  EXPECT_EQ(proxy.registers("node1", "p1"), 0);
  const auto id = world.ask("node1", "node2");
  EXPECT_EQ(proxy.acknowledges("node1", "p1", id), 0);
  EXPECT_TRUE(world.node("node2").view()->proxies.front().holding);
  world.lose_next<ProxyNews>("node2");
  EXPECT_EQ(proxy.acknowledges("node1", "p1", id), 0);
  expect_done(world, id);
  EXPECT_EQ(proxy.registers("node2", "p1"), 0);
  EXPECT_FALSE(world.node("node2").view()->proxies.front().holding);
  return world;
}

SCENARIO(a_proxy_that_speaks_only_sql_is_waited_for_while_its_lease_lasts) {
  World world = bootstrapped();
  world.config_of("node1").proxy_lease = Duration{2'000'000};
  world.give("node1", Reconfigured{world.config_of("node1")});
  SqlProxy proxy{world};
  EXPECT_EQ(proxy.registers("node1", "p1"), 0);
  world.pass(Duration{1'500'000});
  EXPECT_EQ(proxy.acknowledges("node1", "p1", {}), 0) << "renewed";
  world.pass(Duration{1'500'000});
  const auto id = world.ask("node1", "node2");
  EXPECT_EQ(world.node("node1").state(), State::kPause);
  world.pass(Duration{1'500'000});
  EXPECT_EQ(world.answer(id)->result, Result::kDone) << "it was forgotten";
  EXPECT_EQ(proxy.acknowledges("node1", "p1", id), number(ErrorCode::kUnknownProxy));
  return world;
}

SCENARIO(a_proxy_name_that_is_connected_cant_be_registered) {
  World world = bootstrapped();
  world.connect_proxy("p1", "node1");
  EXPECT_EQ(SqlProxy{world}.registers("node1", "p1"), number(ErrorCode::kProxyNameTaken));
  return world;
}

SCENARIO(a_proxy_that_does_not_hold_undoes_the_switchover) {
  World world = bootstrapped();
  world.connect_proxy("p1", "node1");
  const auto id = world.ask("node1", "node2");
  world.pass(Duration{4'000'000});
  expect_undone(world, id, ErrorCode::kProxiesDidNotHold);
  EXPECT_THAT(world.answer(id)->error, HasSubstr("p1"));
  EXPECT_FALSE(world.told_to_all("node1").pause);
  return world;
}

SCENARIO(news_while_waiting_for_proxies_is_taken_in) {
  World world = bootstrapped({"node1", "node2", "node3"});
  world.connect_proxy("p1", "node1");
  const auto id = world.ask("node1", "node2");
  world.proxy_says("p1", true, id, {1});
  EXPECT_EQ(world.node("node1").state(), State::kResume);
  world.give("node1", FromNode{"node3", active_elsewhere("node3", {7})});
  EXPECT_EQ(world.node("node1").durable().epoch, Epoch{7});
  return world;
}

}  // namespace
}  // namespace active_master::testing
