// Scripts of messages over real Nodes. Each scenario tells one story; at the end a test makes sure
// that together they fired every rule of the table.
#include "plugin/core/node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "plugin/core/rules.h"
#include "plugin/core/world.h"

namespace active_master {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::World;

World bootstrapped(std::vector<NodeName> names = {"node1", "node2"}) {
  World world(std::move(names));
  world.bootstrap("node1");
  return world;
}

void expect_refused(const World& world, SwitchoverId id, ErrorCode code) {
  const auto* report = world.answer(id);
  ASSERT_TRUE(report);
  EXPECT_NE(report->result, Result::kDone);
  EXPECT_EQ(report->error_number, static_cast<uint32_t>(code)) << report->error;
}

void expect_done(const World& world, SwitchoverId id) {
  const auto* report = world.answer(id);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->result, Result::kDone) << report->error;
}

// node1 is active again in the epoch above the one that failed, and node2 is a standby.
void expect_undone(World& world, SwitchoverId id, ErrorCode code, Epoch epoch = {3}) {
  expect_refused(world, id, code);
  EXPECT_EQ(world.node("node1").state(), State::kActive);
  EXPECT_EQ(world.node("node1").durable().epoch, epoch);
  EXPECT_EQ(world.node("node2").state(), State::kStandby);
  EXPECT_EQ(world.node("node2").durable().epoch, epoch);
  EXPECT_THAT(world.writable(), ElementsAre("node1"));
}

using Scenario = World (*)();

// --- start and bootstrap ---

World a_new_cluster_is_bootstrapped_once() {
  World world({"node1", "node2"});
  EXPECT_EQ(world.node("node1").state(), State::kNew);
  EXPECT_FALSE(world.node("node1").fenced()) << "nothing is changed on a server that has no role";
  world.bootstrap("node1");
  EXPECT_EQ(world.node("node1").state(), State::kActive);
  EXPECT_EQ(world.node("node1").durable().epoch, Epoch{1});
  EXPECT_EQ(world.node("node2").state(), State::kStandby);
  EXPECT_TRUE(world.node("node2").fenced());
  world.bootstrap("node1");
  world.bootstrap("node2");
  expect_refused(world, {2}, ErrorCode::kAlreadyBootstrapped);
  expect_refused(world, {3}, ErrorCode::kAlreadyBootstrapped);
  return world;
}

World bootstrap_needs_every_peer() {
  World world({"node1", "node2"});
  world.crash("node2");
  world.bootstrap("node1");
  expect_refused(world, {1}, ErrorCode::kPeersNotReady);
  EXPECT_EQ(world.node("node1").state(), State::kNew);
  return world;
}

World bootstrap_is_refused_by_a_failed_check() {
  World world({"node1", "node2"});
  world.on_job = [](const World::PendingJob& job, JobDone& done) {
    if (std::holds_alternative<CheckLocalJob>(job.job)) {
      done.rows.push_back(
          {"", "event table", Verdict::kFailed, "it is missing", "run install.sql"});
    }
  };
  world.bootstrap("node1");
  expect_refused(world, {1}, ErrorCode::kCheckFailed);
  EXPECT_THAT(world.answer({1})->error, HasSubstr("run install.sql"));
  return world;
}

World bootstrap_fails_when_the_state_cannot_be_written() {
  World world({"node1", "node2"});
  world.hold<PersistJob>("node1");
  world.bootstrap("node1");
  world.bootstrap("node1");  // while the first runs
  expect_refused(world, {2}, ErrorCode::kBusy);
  world.finish_held("disk full");
  expect_refused(world, {1}, ErrorCode::kStepFailed);
  EXPECT_EQ(world.node("node1").state(), State::kNew);
  return world;
}

World bootstrap_is_refused_in_the_middle_of_a_switchover() {
  World world = bootstrapped();
  world.hold<DrainJob>("node1");
  world.ask("node1", "node2");
  world.bootstrap("node1");
  expect_refused(world, {3}, ErrorCode::kBusy);
  return world;
}

World a_restarted_standby_stays_one() {
  World world = bootstrapped();
  world.crash("node2");
  world.restart("node2");
  EXPECT_EQ(world.node("node2").state(), State::kStandby);
  EXPECT_TRUE(world.node("node2").fenced());
  return world;
}

World a_restarted_active_master_opens_again_in_its_epoch() {
  World world = bootstrapped();
  world.crash("node1");
  world.hold<OpenWritesJob>("node1");
  world.restart("node1");
  EXPECT_THAT(world.writable(), IsEmpty()) << "fenced until it is known that it may open";
  world.finish_held("can't");
  EXPECT_EQ(world.node("node1").state(), State::kReopen);
  world.pass(Duration{2'000'000});
  EXPECT_THAT(world.writable(), ElementsAre("node1"));
  EXPECT_EQ(world.node("node1").durable().epoch, Epoch{1});
  return world;
}

World an_active_master_without_peers_asks_nobody() {
  World world = bootstrapped({"node1"});
  world.crash("node1");
  world.restart("node1");
  EXPECT_THAT(world.writable(), ElementsAre("node1"));
  Durable durable = world.crash("node1");
  durable.intent = Intent{{1}, {2}, "node2"};
  world.start("node1", durable);
  EXPECT_THAT(world.writable(), ElementsAre("node1"));
  EXPECT_EQ(world.node("node1").durable().epoch, Epoch{3});
  return world;
}

World a_copied_data_directory_does_not_inherit_the_role() {
  World world = bootstrapped();
  Durable copied = world.disk("node1");
  EXPECT_EQ(copied.role, Role::kActive);
  world.crash("node2");
  world.start("node2", copied);
  EXPECT_EQ(world.node("node2").role(), Role::kStandby);
  EXPECT_EQ(world.node("node2").durable().epoch, Epoch{1});
  return world;
}

World a_node_that_starts_learns_of_the_present() {
  World world = bootstrapped();
  const Durable old = world.crash("node2");
  world.crash("node1");
  Durable ahead = world.disk("node1");
  ahead.epoch = {9};
  world.start("node1", ahead);
  world.start("node2", old);
  EXPECT_EQ(world.node("node2").durable().epoch, Epoch{9});
  return world;
}

// --- a switchover ---

World the_role_moves_and_comes_back() {
  World world = bootstrapped();
  auto id = world.ask("node1", "node2");
  expect_done(world, id);
  EXPECT_THAT(world.writable(), ElementsAre("node2"));
  EXPECT_EQ(world.node("node1").state(), State::kStandby);
  EXPECT_EQ(world.node("node1").durable().epoch, Epoch{2});
  id = world.ask("node2", "node1");
  expect_done(world, id);
  EXPECT_THAT(world.writable(), ElementsAre("node1"));
  EXPECT_EQ(world.node("node1").durable().epoch, Epoch{3});
  return world;
}

World the_request_is_passed_on_to_the_active_master() {
  World world = bootstrapped({"node1", "node2", "node3"});
  const auto id = world.ask("node3", "node2");
  expect_done(world, id);
  EXPECT_THAT(world.writable(), ElementsAre("node2"));
  EXPECT_EQ(world.answer(id)->requested_by, "node3");
  EXPECT_EQ(world.node("node3").durable().active_node, "node2");
  return world;
}

World a_check_changes_nothing() {
  World world = bootstrapped();
  const auto id = world.ask("node2", "node2", true);
  expect_done(world, id);
  const auto& row = world.answer(id)->checks.back();
  EXPECT_EQ(row.check, "pause");
  EXPECT_THAT(row.detail, HasSubstr("writes would pause for about"));
  EXPECT_TRUE(world.answer(id)->predicted_pause);
  EXPECT_THAT(world.writable(), ElementsAre("node1"));
  EXPECT_EQ(world.node("node1").durable().epoch, Epoch{1});
  return world;
}

World a_check_warns_of_a_candidate_that_lags() {
  World world = bootstrapped();
  world.on_job = [](const World::PendingJob& job, JobDone& done) {
    if (std::holds_alternative<WaitForPositionJob>(job.job)) done.error = "not reached";
  };
  const auto id = world.ask("node1", "node2", true);
  expect_done(world, id);
  EXPECT_EQ(world.answer(id)->checks.back().verdict, Verdict::kWarning);
  EXPECT_FALSE(world.answer(id)->predicted_pause);
  return world;
}

World a_check_that_fails_is_reported() {
  World world = bootstrapped();
  world.on_job = [](const World::PendingJob& job, JobDone& done) {
    if (std::holds_alternative<CheckCandidateJob>(job.job)) {
      done.rows.push_back({"", "replication runs", Verdict::kFailed, "stopped", "START SLAVE"});
    }
  };
  const auto id = world.ask("node1", "node2", true);
  expect_done(world, id);
  EXPECT_FALSE(world.answer(id)->predicted_pause);
  return world;
}

World a_switchover_says_how_long_it_expected_writes_to_pause() {
  World world = bootstrapped();
  world.on_job = [](const World::PendingJob& job, JobDone& done) {
    if (std::holds_alternative<ReadPositionJob>(job.job)) done.running = Duration{17'000};
  };
  const auto id = world.ask("node1", "node2");
  expect_done(world, id);
  EXPECT_GE(world.answer(id)->predicted_pause, Duration{17'000});
  return world;
}

World requests_that_make_no_sense_are_refused() {
  World world = bootstrapped({"node1", "node2", "node3"});
  expect_refused(world, world.ask("node1", "node1"), ErrorCode::kAlreadyActive);
  expect_refused(world, world.ask("node2", "node1"), ErrorCode::kAlreadyActive);
  expect_refused(world, world.ask("node1", "node9"), ErrorCode::kUnknownNode);
  expect_refused(world, world.ask("node1", ""), ErrorCode::kBadName);
  expect_refused(world, world.ask("node2", "no'de"), ErrorCode::kBadName);
  expect_refused(world, world.ask("node1", std::string(300, 'x')), ErrorCode::kBadName);
  world.crash("node3");
  expect_refused(world, world.ask("node1", "node3"), ErrorCode::kCandidateUnreachable);
  EXPECT_THAT(world.writable(), ElementsAre("node1"));
  return world;
}

World nothing_moves_before_bootstrap_or_without_the_active_master() {
  World world({"node1", "node2"});
  expect_refused(world, world.ask("node1", "node2"), ErrorCode::kNotBootstrapped);
  world.bootstrap("node1");
  world.crash("node1");
  expect_refused(world, world.ask("node2", "node2"), ErrorCode::kDirectorUnreachable);
  return world;
}

World a_second_switchover_is_refused_by_name() {
  World world = bootstrapped({"node1", "node2", "node3"});
  world.hold<DrainJob>("node1");
  const auto first = world.ask("node1", "node2");
  const auto second = world.ask("node3", "node3");
  expect_refused(world, second, ErrorCode::kBusy);
  EXPECT_THAT(world.answer(second)->error, HasSubstr("node2"));
  world.finish_held();
  expect_done(world, first);
  return world;
}

World a_failed_check_refuses() {
  World world = bootstrapped();
  world.on_job = [](const World::PendingJob& job, JobDone& done) {
    if (std::holds_alternative<CheckCandidateJob>(job.job)) {
      done.rows.push_back({"", "replication runs", Verdict::kFailed, "stopped", "START SLAVE"});
    }
  };
  const auto id = world.ask("node1", "node2");
  expect_refused(world, id, ErrorCode::kCheckFailed);
  EXPECT_THAT(world.answer(id)->error, HasSubstr("node2, replication runs: stopped (START SLAVE)"));
  EXPECT_EQ(world.node("node1").durable().epoch, Epoch{1}) << "no epoch is burnt";
  return world;
}

World a_lost_proxy_refuses_until_its_lease_runs_out() {
  World world = bootstrapped();
  world.connect_proxy("p1", "node1");
  world.give("node1", ProxyLost{"p1"});
  expect_refused(world, world.ask("node1", "node2"), ErrorCode::kCheckFailed);
  world.pass(Duration{11'000'000});
  expect_done(world, world.ask("node1", "node2"));
  return world;
}

World a_proxy_that_is_cut_off_from_the_director_is_heard_through_a_peer() {
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

World traffic_is_stopped_only_when_the_candidate_is_close() {
  World world = bootstrapped();
  world.hold<WaitForPositionJob>("node2");
  const auto id = world.ask("node1", "node2");
  world.pass(Duration{1'000'000});
  world.finish_held();  // too slow: asks again, and then it is quick
  expect_done(world, id);
  return world;
}

World writes_are_slowed_until_the_candidate_is_close() {
  World world = bootstrapped();
  std::vector<Duration> told;
  world.on_job = [&](const auto& job, auto&) {
    if (!std::holds_alternative<WaitForPositionJob>(job.job)) return;
    told.push_back(world.told_to_proxies("node1").pace);
    if (told.size() <= 2) world.elapse(Duration{90'000});
  };
  expect_done(world, world.ask("node1", "node2"));
  EXPECT_THAT(told, ElementsAre(Duration{0}, Duration{500}, Duration{1'000}));
  EXPECT_EQ(world.told_to_proxies("node1").pace, Duration{0});
  EXPECT_THAT(world.paces("node1"),
              ElementsAre(Duration{500}, Duration{1'000}, Duration{5'000}, Duration{0}))
      << "most just before traffic stops";
  EXPECT_THAT(world.paces("node2"), IsEmpty());
  world.on_job = [](const auto&, auto&) {};
  return world;
}

World writes_are_slowed_before_traffic_stops_if_there_are_any() {
  World world = bootstrapped();
  expect_done(world, world.ask("node1", "node2"));
  EXPECT_THAT(world.paces("node1"), IsEmpty());
  world.on_job = [](const auto& job, JobDone& done) {
    if (std::holds_alternative<ReadPositionJob>(job.job)) done.running = Duration{700};
  };
  expect_done(world, world.ask("node2", "node1"));
  EXPECT_THAT(world.paces("node2"), ElementsAre(Duration{5'000}, Duration{0}));
  world.on_job = [](const auto&, auto&) {};
  return world;
}

World traffic_is_stopped_in_a_lull() {
  World world = bootstrapped();
  world.connect_proxy("p1", "node1");
  world.hold<AwaitLullJob>("node1");
  const auto id = world.ask("node1", "node2");
  EXPECT_EQ(world.node("node1").state(), State::kIntent);
  EXPECT_TRUE(world.disk("node1").intent) << "durable before";
  EXPECT_FALSE(world.told_to_all("node1").pause);
  world.finish_held();
  EXPECT_TRUE(world.told_to_all("node1").pause);
  world.proxy_says("p1", true, id, {1});
  world.proxy_says("p1", false, {}, {2});
  expect_done(world, id);
  return world;
}

World writes_are_slowed_no_further_than_it_helps() {
  World world = bootstrapped();
  world.on_job = [&](const auto& job, auto&) {
    if (std::holds_alternative<WaitForPositionJob>(job.job)) world.elapse(Duration{50'000});
  };
  expect_done(world, world.ask("node1", "node2"));
  EXPECT_THAT(world.paces("node1"), ElementsAre(Duration{500}, Duration{1'000}, Duration{2'000},
                                                Duration{4'000}, Duration{5'000}, Duration{0}));
  world.on_job = [](const auto&, auto&) {};
  return world;
}

World writes_are_free_again_when_the_candidate_stays_too_far() {
  World world = bootstrapped();
  world.on_job = [&](const auto& job, auto&) {
    if (std::holds_alternative<WaitForPositionJob>(job.job)) world.elapse(Duration{200'000});
  };
  expect_refused(world, world.ask("node1", "node2"), ErrorCode::kCandidateLags);
  EXPECT_THAT(world.paces("node1"), ElementsAre(Duration{500}, Duration{1'000}, Duration{2'000},
                                                Duration{4'000}, Duration{5'000}, Duration{0}));
  world.on_job = [](const auto&, auto&) {};
  return world;
}

World a_candidate_that_lags_is_refused() {
  World world = bootstrapped();
  world.hold<WaitForPositionJob>("node2");
  const auto id = world.ask("node1", "node2");
  world.pass(Duration{11'000'000});
  expect_refused(world, id, ErrorCode::kCandidateLags);
  EXPECT_FALSE(world.node("node1").durable().intent);
  EXPECT_EQ(world.node("node1").durable().epoch, Epoch{1});
  return world;
}

World every_proxy_holds_before_the_fence_and_opens_before_the_end() {
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
World a_thousand_proxies_hold_and_open() {
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

World a_proxy_that_does_not_open_is_an_exception_not_a_failure() {
  World world = bootstrapped();
  world.connect_proxy("p1", "node1");
  const auto id = world.ask("node1", "node2");
  world.proxy_says("p1", true, id, {1});
  world.pass(Duration{4'000'000});
  expect_done(world, id);
  EXPECT_THAT(world.answer(id)->error, HasSubstr("p1"));
  return world;
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

constexpr unsigned number(ErrorCode code) {
  return static_cast<unsigned>(code);
}

World a_proxy_that_speaks_only_sql_takes_part() {
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

World what_a_proxy_says_by_sql_reaches_every_node() {
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
  const auto back = world.ask("node2", "node1");
  EXPECT_EQ(world.node("node2").state(), State::kPause);
  EXPECT_EQ(proxy.acknowledges("node2", "p1", back), number(ErrorCode::kUnknownProxy));
  EXPECT_EQ(proxy.registers("node2", "p1"), 0);
  EXPECT_EQ(proxy.acknowledges("node2", "p1", back), 0);
  EXPECT_EQ(proxy.acknowledges("node2", "p1", back), 0);
  expect_done(world, back);
  return world;
}

World a_proxy_that_speaks_only_sql_is_waited_for_while_its_lease_lasts() {
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

World a_proxy_name_that_is_connected_cant_be_registered() {
  World world = bootstrapped();
  world.connect_proxy("p1", "node1");
  EXPECT_EQ(SqlProxy{world}.registers("node1", "p1"), number(ErrorCode::kProxyNameTaken));
  return world;
}

World a_proxy_that_does_not_hold_undoes_the_switchover() {
  World world = bootstrapped();
  world.connect_proxy("p1", "node1");
  const auto id = world.ask("node1", "node2");
  world.pass(Duration{4'000'000});
  expect_undone(world, id, ErrorCode::kProxiesDidNotHold);
  EXPECT_THAT(world.answer(id)->error, HasSubstr("p1"));
  EXPECT_FALSE(world.told_to_all("node1").pause);
  return world;
}

// --- the way back ---

template <typename HeldJob>
World fails_in(ErrorCode code) {
  World world = bootstrapped();
  world.hold<HeldJob>("node1");
  const auto id = world.ask("node1", "node2");
  EXPECT_TRUE(world.has_held());
  world.finish_held("no luck");
  expect_undone(world, id, code);
  EXPECT_THAT(world.answer(id)->error, HasSubstr("no luck"));
  return world;
}
World a_failed_drain_is_undone() {
  return fails_in<DrainJob>(ErrorCode::kDrainTimeout);
}
World a_failed_fence_is_undone() {
  return fails_in<FenceJob>(ErrorCode::kStepFailed);
}
World a_failed_handover_is_undone() {
  return fails_in<HandoverJob>(ErrorCode::kStepFailed);
}

World a_grant_that_can_not_be_written_is_not_given() {
  World world = bootstrapped();
  world.hold<CatchUpJob>("node2");
  const auto id = world.ask("node1", "node2");
  world.hold<PersistJob>("node1");
  world.on_job = [](const World::PendingJob& job, JobDone& done) {
    if (const auto* persist = std::get_if<PersistJob>(&job.job);
        persist && persist->durable.grant) {
      done.error = "disk full";
    }
  };
  world.finish_held();
  expect_undone(world, id, ErrorCode::kStepFailed);
  return world;
}

World undoing_is_tried_until_it_succeeds() {
  World world = bootstrapped();
  world.hold<FenceJob>("node1");
  const auto id = world.ask("node1", "node2");
  world.hold<PersistJob>("node1");
  world.give("node1", CancelCommand{id});
  world.run();
  world.finish_held("disk full");
  EXPECT_EQ(world.node("node1").state(), State::kAbortPersist);
  EXPECT_FALSE(world.answer(id));
  world.pass(Duration{2'000'000});
  expect_undone(world, id, ErrorCode::kCancelled);
  return world;
}

// S25: an operator's abort, in each phase before the grant.
template <typename HeldJob>
void cancel_in(const NodeName& node, Epoch epoch) {
  World world = bootstrapped();
  world.hold<HeldJob>(node);
  const auto id = world.ask("node2", "node2");
  EXPECT_TRUE(world.has_held());
  world.give("node2", CancelCommand{id});
  world.run();
  expect_undone(world, id, ErrorCode::kCancelled, epoch);
}

World a_cancelled_switchover_is_undone() {
  cancel_in<CheckLocalJob>("node1", {1});
  cancel_in<CheckCandidateJob>("node2", {1});
  cancel_in<ReadPositionJob>("node1", {1});
  cancel_in<WaitForPositionJob>("node2", {1});
  cancel_in<DrainJob>("node1", {3});
  cancel_in<FenceJob>("node1", {3});
  cancel_in<HandoverJob>("node1", {3});
  cancel_in<CatchUpJob>("node2", {3});
  World world = bootstrapped();
  world.hold<WaitForPositionJob>("node2");
  const auto id = world.ask("node1", "node2");
  world.give("node1", CancelCommand{id});
  world.run();
  expect_undone(world, id, ErrorCode::kCancelled, {1});
  return world;
}

World after_the_grant_a_cancel_comes_too_late() {
  World world = bootstrapped();
  world.hold<OpenWritesJob>("node2");
  const auto id = world.ask("node1", "node2");
  EXPECT_EQ(world.node("node1").state(), State::kGranted);
  world.give("node1", CancelCommand{id});
  world.run();
  EXPECT_EQ(world.node("node1").state(), State::kGranted);
  world.finish_held();
  expect_done(world, id);
  return world;
}

// S17: the candidate dies, in each phase before the grant.
template <typename HeldJob>
void candidate_dies_in(const NodeName& node) {
  World world = bootstrapped();
  world.hold<HeldJob>(node);
  const auto id = world.ask("node1", "node2");
  world.crash("node2");
  expect_refused(world, id, ErrorCode::kCandidateUnreachable);
  EXPECT_THAT(world.writable(), ElementsAre("node1"));
  world.restart("node2");
  EXPECT_THAT(world.writable(), ElementsAre("node1"));
}

World a_lost_candidate_is_undone() {
  candidate_dies_in<CheckLocalJob>("node1");
  candidate_dies_in<CheckCandidateJob>("node2");
  candidate_dies_in<WaitForPositionJob>("node2");
  candidate_dies_in<DrainJob>("node1");
  candidate_dies_in<FenceJob>("node1");
  candidate_dies_in<HandoverJob>("node1");
  World world = bootstrapped();
  world.hold<CatchUpJob>("node2");
  const auto id = world.ask("node1", "node2");
  world.crash("node2");
  expect_refused(world, id, ErrorCode::kCandidateUnreachable);
  EXPECT_THAT(world.writable(), ElementsAre("node1"));
  return world;
}

World a_candidate_that_does_not_catch_up_is_undone() {
  World world = bootstrapped();
  world.hold<CatchUpJob>("node2");
  const auto id = world.ask("node1", "node2");
  world.pass(Duration{4'000'000});
  expect_undone(world, id, ErrorCode::kCatchUpTimeout);
  return world;
}

World a_candidate_that_declines_is_undone_at_once() {
  World world = bootstrapped();
  world.hold<CatchUpJob>("node2");
  const auto id = world.ask("node1", "node2");
  world.finish_held("the row did not arrive");
  expect_undone(world, id, ErrorCode::kCatchUpTimeout);
  EXPECT_THAT(world.answer(id)->error, HasSubstr("the row did not arrive"));
  return world;
}

World the_overall_deadline_undoes() {
  World world = bootstrapped();
  auto config = world.node("node1").config();
  config.switchover_timeout = Duration{1'000'000};
  world.give("node1", Reconfigured{config});
  world.connect_proxy("p1", "node1");
  const auto id = world.ask("node1", "node2");
  world.pass(Duration{1'500'000});
  expect_undone(world, id, ErrorCode::kTimeout);
  return world;
}

// --- lost messages, crashes around the grant ---

World a_lost_offer_is_sent_again() {
  World world = bootstrapped();
  world.lose_next<Offer>("node2");
  const auto id = world.ask("node1", "node2");
  EXPECT_EQ(world.node("node1").state(), State::kCatchUp);
  world.pass(Duration{1'000'000});
  expect_done(world, id);
  return world;
}

World a_lost_question_is_asked_again() {
  World world = bootstrapped();
  world.lose_next<GrantRequest>("node1");
  const auto id = world.ask("node1", "node2");
  EXPECT_EQ(world.node("node2").state(), State::kRequest);
  world.pass(Duration{1'000'000});
  expect_done(world, id);
  return world;
}

World a_lost_grant_gets_the_same_answer_again() {
  World world = bootstrapped();
  world.hold<PersistJob>("node1");
  world.hold<CatchUpJob>("node2");
  const auto id = world.ask("node1", "node2");
  world.finish_held();  // the intent
  EXPECT_TRUE(world.answer(id) || world.node("node1").state() != State::kActive);
  World other = bootstrapped();
  other.hold<CatchUpJob>("node2");
  const auto other_id = other.ask("node1", "node2");
  other.hold<PersistJob>("node1");
  other.finish_held();
  expect_done(other, other_id);
  // The question again, long after: the answer is the same, though the candidate is active by now.
  other.give("node1", FromNode{"node2", GrantRequest{other_id, {2}}});
  return other;
}

World the_grant_is_repeated_to_whoever_holds_it() {
  World world = bootstrapped();
  world.hold<PersistJob>("node2");
  const auto id = world.ask("node1", "node2");
  EXPECT_EQ(world.node("node1").state(), State::kGranted);
  world.give("node1", FromNode{"node2", GrantRequest{id, {2}}});
  world.finish_held();
  expect_done(world, id);
  return world;
}

World a_candidate_that_crashes_after_the_grant_goes_on_when_it_is_back() {
  World world = bootstrapped();
  world.hold<PersistJob>("node2");
  const auto id = world.ask("node1", "node2");
  EXPECT_EQ(world.node("node1").state(), State::kGranted);
  world.crash("node2");
  world.pass(Duration{6'000'000});
  EXPECT_THAT(world.writable(), IsEmpty()) << "only the candidate can go on";
  world.hold<CatchUpJob>("node2");
  world.restart("node2");
  world.pass(Duration{1'000'000});
  world.finish_held("not yet");
  EXPECT_THAT(world.writable(), IsEmpty());
  world.pass(Duration{2'000'000});
  EXPECT_THAT(world.writable(), ElementsAre("node2"));
  EXPECT_EQ(world.answer(id)->result, Result::kDone);
  return world;
}

World an_old_master_that_restarts_after_the_grant_waits() {
  World world = bootstrapped();
  world.hold<PersistJob>("node2");
  world.ask("node1", "node2");
  world.crash("node1");
  world.restart("node1");
  EXPECT_EQ(world.node("node1").state(), State::kGranted);
  EXPECT_TRUE(world.node("node1").fenced());
  world.finish_held();
  world.pass(Duration{1'000'000});
  EXPECT_THAT(world.writable(), ElementsAre("node2"));
  EXPECT_EQ(world.node("node1").state(), State::kStandby);
  return world;
}

// S21: the director dies with its intent durable and the grant not given.
World a_director_that_restarts_before_the_grant_undoes() {
  World world = bootstrapped();
  world.hold<CatchUpJob>("node2");
  world.ask("node1", "node2");
  world.crash("node1");
  world.restart("node1");
  EXPECT_THAT(world.writable(), ElementsAre("node1"));
  EXPECT_EQ(world.node("node1").durable().epoch, Epoch{3});
  world.finish_held();
  world.pass(Duration{1'000'000});
  EXPECT_THAT(world.writable(), ElementsAre("node1"))
      << "the candidate's late question is about a burnt epoch";
  EXPECT_EQ(world.node("node2").state(), State::kStandby);
  return world;
}

World a_question_about_a_burnt_epoch_is_answered_by_the_present() {
  World world = bootstrapped();
  world.give("node1", FromNode{"node2", GrantRequest{{5}, {9}}});
  EXPECT_THAT(world.writable(), ElementsAre("node1"));
  return world;
}

World a_newer_offer_replaces_the_older() {
  World world = bootstrapped();
  world.hold<CatchUpJob>("node2");
  world.give("node2",
             FromNode{"node1", Offer{{5}, {2}, "node2", "0-1-1", false, Duration{1'000'000}}});
  world.give("node2",
             FromNode{"node1", Offer{{6}, {4}, "node2", "0-1-9", false, Duration{1'000'000}}});
  world.give("node2",
             FromNode{"node1", Offer{{5}, {2}, "node2", "0-1-1", false, Duration{1'000'000}}});
  world.finish_held();
  EXPECT_THAT(world.writable(), ElementsAre("node1"));
  return world;
}

World an_offer_of_anyone_but_the_active_master_is_ignored() {
  World world = bootstrapped({"node1", "node2", "node3"});
  world.give("node2",
             FromNode{"node3", Offer{{5}, {2}, "node2", "0-1-1", true, Duration{1'000'000}}});
  world.give("node2",
             FromNode{"node1", Offer{{5}, {1}, "node2", "0-1-1", true, Duration{1'000'000}}});
  world.give("node2",
             FromNode{"node1", Offer{{5}, {2}, "node3", "0-1-1", true, Duration{1'000'000}}});
  EXPECT_EQ(world.node("node2").state(), State::kStandby);
  return world;
}

// --- standing down ---

NodeState active_elsewhere(const NodeName& node, Epoch epoch) {
  NodeState state;
  state.node = node;
  state.role = Role::kActive;
  state.epoch = epoch;
  state.activation = Activation{epoch, node, node + ":3306", {}};
  return state;
}

World a_higher_epoch_makes_an_active_master_stand_down() {
  World world = bootstrapped();
  world.give("node1", FromNode{"node2", active_elsewhere("node2", {7})});
  EXPECT_EQ(world.node("node1").state(), State::kStandby);
  EXPECT_TRUE(world.node("node1").fenced());
  return world;
}

World a_higher_epoch_ends_a_switchover() {
  World world = bootstrapped({"node1", "node2", "node3"});
  world.hold<DrainJob>("node1");
  const auto id = world.ask("node1", "node2");
  world.give("node1", FromNode{"node3", active_elsewhere("node3", {7})});
  expect_refused(world, id, ErrorCode::kSuperseded);
  EXPECT_TRUE(world.node("node1").fenced());
  return world;
}

World news_while_waiting_for_proxies_is_taken_in() {
  World world = bootstrapped({"node1", "node2", "node3"});
  world.connect_proxy("p1", "node1");
  const auto id = world.ask("node1", "node2");
  world.proxy_says("p1", true, id, {1});
  EXPECT_EQ(world.node("node1").state(), State::kResume);
  world.give("node1", FromNode{"node3", active_elsewhere("node3", {7})});
  EXPECT_EQ(world.node("node1").durable().epoch, Epoch{7});
  return world;
}

World a_write_past_the_fence_is_noticed() {
  World world = bootstrapped();
  world.give("node1", ServerStatus{false, "0-1-5", "0-1-5"});
  world.give("node1", ServerStatus{false, "0-1-6", "0-1-6"});
  EXPECT_EQ(world.node("node1").view()->last_error, "") << "the active master may write";
  world.give("node2", ServerStatus{true, "0-1-6", "0-2-3"});
  world.give("node2", ServerStatus{true, "0-1-7", "0-2-3"});
  EXPECT_EQ(world.node("node2").view()->last_error, "");
  world.give("node2", ServerStatus{true, "0-2-8", "0-2-8"});
  EXPECT_EQ(world.node("node2").view()->last_error, "errant write: 0-2-8 after 0-2-3");
  return world;
}

World read_only_switched_off_on_a_standby_is_set_again() {
  World world = bootstrapped();
  world.hold<StandDownJob>("node2");
  world.give("node2", ServerStatus{false, "0-1-5"});
  EXPECT_TRUE(world.has_held());
  return world;
}

Replication replication(World& world, const char* node) {
  return world.node(node).replication();
}

// Else it would make a second connection beside one that leads to the node that it doesn't know.
World a_standby_that_restarts_says_whom_it_has_not_heard_yet() {
  World world = bootstrapped({"node1", "node2", "node3"});
  world.crash("node2");
  world.crash("node3");
  std::vector<bool> known;
  int waits = 0;
  world.on_job = [&](const World::PendingJob& job, JobDone& done) {
    if (job.node != "node3") return;
    if (std::holds_alternative<WaitForPositionJob>(job.job) && ++waits == 1)
      done.error = "not in time";
    const auto* follow = std::get_if<FollowJob>(&job.job);
    if (!follow) return;
    known.push_back(follow->all_members_are_known);
    if (known.size() == 1) done.error = "not every node was heard";
  };
  world.restart("node3");
  EXPECT_EQ(known, std::vector{false});
  world.restart("node2");
  world.pass(Duration{4'000'000});
  EXPECT_EQ(known, (std::vector{false, true}));
  EXPECT_EQ(replication(world, "node3"), Replication::kFollowing);
  world.pass(Duration{12'000'000});
  EXPECT_EQ(waits, 2) << "it has caught up then";
  world.on_job = [](const World::PendingJob&, JobDone&) {};
  return world;
}

World the_old_master_follows_the_new_one() {
  World world = bootstrapped();
  EXPECT_EQ(replication(world, "node2"), Replication::kFollowing);
  int followed = 0;
  world.on_job = [&followed](const World::PendingJob& job, JobDone&) {
    const auto* follow = std::get_if<FollowJob>(&job.job);
    if (!follow) return;
    ++followed;
    EXPECT_EQ(job.node, "node1");
    EXPECT_EQ(follow->address, "node2:3306");
  };
  expect_done(world, world.ask("node1", "node2"));
  EXPECT_EQ(followed, 1);
  EXPECT_EQ(replication(world, "node1"), Replication::kFollowing);
  EXPECT_EQ(replication(world, "node2"), Replication::kNone) << "the active master follows nobody";
  world.on_job = [](const World::PendingJob&, JobDone&) {};
  world.give("node1", RejoinCommand{{701}});
  world.run();
  EXPECT_EQ(world.answer({701})->result, Result::kDone);
  world.give("node2", RejoinCommand{{702}});
  EXPECT_EQ(world.answer({702})->error_number, static_cast<uint32_t>(ErrorCode::kAlreadyActive));
  return world;
}

World a_standby_that_cannot_follow_is_an_exception_and_tries_again() {
  World world = bootstrapped();
  world.on_job = [](const World::PendingJob& job, JobDone& done) {
    if (std::holds_alternative<FollowJob>(job.job)) done.error = "access denied";
  };
  const auto id = world.ask("node1", "node2");
  expect_done(world, id);
  EXPECT_THAT(world.answer(id)->error,
              ::testing::HasSubstr("not following yet: node1 (access denied"));
  EXPECT_EQ(replication(world, "node1"), Replication::kFailed);
  world.on_job = [](const World::PendingJob& job, JobDone& done) {
    if (std::holds_alternative<CompareGtidsJob>(job.job)) done.error = "no luck";
  };
  world.pass(Duration{4'000'000});
  EXPECT_EQ(replication(world, "node1"), Replication::kFailed);
  world.on_job = [](const World::PendingJob&, JobDone&) {};
  world.pass(Duration{4'000'000});
  EXPECT_EQ(replication(world, "node1"), Replication::kFollowing);
  return world;
}

World a_replication_that_stops_is_told_and_not_begun_again() {
  World world = bootstrapped();
  const auto look = [&world](std::vector<Source> sources) {
    world.give("node2", ServerStatus{true, "0-1-5", "", std::move(sources)});
  };
  const std::vector<Source> runs = {{"node9:3306", 9, "off"}, {"node1:3306", 1, ""}};
  const std::vector<Source> stopped = {{"node1:3306", 1, "Duplicate entry"}};
  look(runs);
  look(stopped);
  EXPECT_EQ(replication(world, "node2"), Replication::kFollowing) << "it may have just begun";
  look(stopped);
  EXPECT_EQ(replication(world, "node2"), Replication::kFailed);
  const auto error = [&world] {
    const auto view = world.node("node2").view();
    return std::ranges::find(view->nodes, "node2", &NodeView::name)->replication_error;
  };
  EXPECT_THAT(error(), ::testing::HasSubstr("Duplicate entry"));
  world.on_job = [](const World::PendingJob& job, JobDone&) {
    EXPECT_FALSE(std::holds_alternative<FollowJob>(job.job)) << "somebody has stopped it";
  };
  world.pass(Duration{10'000'000});
  look({{"another:3306", 1, ""}});
  EXPECT_EQ(replication(world, "node2"), Replication::kFollowing);
  EXPECT_EQ(error(), "");
  world.on_job = [](const World::PendingJob&, JobDone&) {};
  look({});
  look({});
  EXPECT_EQ(replication(world, "node2"), Replication::kFailed) << "no connection any more";
  world.give("node2", RejoinCommand{{701}});
  world.run();
  EXPECT_EQ(replication(world, "node2"), Replication::kFollowing);
  return world;
}

World an_old_master_with_errant_transactions_diverges_until_it_is_repaired() {
  World world = bootstrapped();
  bool left = false;
  world.on_job = [&left](const World::PendingJob& job, JobDone& done) {
    if (std::holds_alternative<CompareGtidsJob>(job.job)) done.text = "0-1-7 to 0-1-9";
    if (const auto* describe = std::get_if<DescribeJob>(&job.job))
      done.text = describe->gtids + " are 3 transactions";
    EXPECT_FALSE(std::holds_alternative<FollowJob>(job.job)) << "follows although it diverged";
    left |= std::holds_alternative<LeaveJob>(job.job);
  };
  const auto id = world.ask("node1", "node2");
  expect_done(world, id);
  EXPECT_THAT(world.answer(id)->error, ::testing::HasSubstr("0-1-7 to 0-1-9"));
  EXPECT_TRUE(left);
  EXPECT_TRUE(world.node("node1").fenced());
  EXPECT_EQ(replication(world, "node1"), Replication::kDiverged);
  world.give("node1", RejoinCommand{{701}});
  world.run();
  EXPECT_EQ(world.answer({701})->error_number, static_cast<uint32_t>(ErrorCode::kDiverged));
  EXPECT_THAT(world.answer({701})->error,
              ::testing::HasSubstr("(0-1-7 to 0-1-9 are 3 transactions)"));
  EXPECT_EQ(replication(world, "node1"), Replication::kDiverged);
  world.on_job = [](const World::PendingJob&, JobDone&) {};
  world.pass(Duration{10'000'000});
  EXPECT_EQ(replication(world, "node1"), Replication::kDiverged) << "not without being asked";
  world.give("node1", RejoinCommand{{702}});
  world.run();
  EXPECT_EQ(world.answer({702})->result, Result::kDone);
  EXPECT_EQ(replication(world, "node1"), Replication::kFollowing);
  return world;
}

World a_lower_epoch_changes_nothing() {
  World world = bootstrapped();
  expect_done(world, world.ask("node1", "node2"));
  world.give("node2", FromNode{"node1", active_elsewhere("node1", {1})});
  world.give("node2", FromNode{"node1", active_elsewhere("node1", {2})});
  EXPECT_THAT(world.writable(), ElementsAre("node2"));
  return world;
}

World a_stranger_has_no_say() {
  World world = bootstrapped();
  world.give("node1", FromNode{"node9", active_elsewhere("node9", {7})});
  EXPECT_THAT(world.writable(), ElementsAre("node1"));
  return world;
}

// --- stop ---

World a_stop_undoes_what_is_not_granted() {
  World world = bootstrapped();
  world.hold<FenceJob>("node1");
  const auto id = world.ask("node1", "node2");
  world.give("node1", StopCommand{});
  world.run();
  EXPECT_TRUE(world.node("node1").stopped());
  expect_refused(world, id, ErrorCode::kStopping);
  EXPECT_EQ(world.disk("node1").role, Role::kActive);
  EXPECT_EQ(world.disk("node1").epoch, Epoch{3});
  EXPECT_EQ(world.node("node2").durable().epoch, Epoch{3});
  return world;
}

World a_stop_after_the_activation_reports() {
  World world = bootstrapped();
  world.connect_proxy("p1", "node1");
  const auto id = world.ask("node1", "node2");
  world.proxy_says("p1", true, id, {1});
  world.give("node1", StopCommand{});
  world.run();
  EXPECT_TRUE(world.node("node1").stopped());
  expect_done(world, id);
  return world;
}

World no_answer_is_an_answer_in_the_end() {
  World world = bootstrapped();
  world.lose_next<SwitchRequest>("node1");
  world.hold<CheckLocalJob>("node1");
  auto config = world.node("node1").config();
  config.peer_timeout = Duration{60'000'000};
  config.switchover_timeout = Duration{60'000'000};
  world.give("node1", Reconfigured{config});
  const auto id = world.ask("node2", "node2");
  world.pass(Duration{36'000'000});
  expect_refused(world, id, ErrorCode::kOutcomeUnknown);
  return world;
}
const std::pair<const char*, Scenario> kScenarios[] = {
#define SCENARIO(name) \
  { #name, name }
    SCENARIO(a_new_cluster_is_bootstrapped_once),
    SCENARIO(bootstrap_needs_every_peer),
    SCENARIO(bootstrap_is_refused_by_a_failed_check),
    SCENARIO(bootstrap_fails_when_the_state_cannot_be_written),
    SCENARIO(bootstrap_is_refused_in_the_middle_of_a_switchover),
    SCENARIO(a_restarted_standby_stays_one),
    SCENARIO(a_restarted_active_master_opens_again_in_its_epoch),
    SCENARIO(an_active_master_without_peers_asks_nobody),
    SCENARIO(a_copied_data_directory_does_not_inherit_the_role),
    SCENARIO(a_node_that_starts_learns_of_the_present),
    SCENARIO(the_role_moves_and_comes_back),
    SCENARIO(the_request_is_passed_on_to_the_active_master),
    SCENARIO(a_check_changes_nothing),
    SCENARIO(a_check_warns_of_a_candidate_that_lags),
    SCENARIO(a_check_that_fails_is_reported),
    SCENARIO(a_switchover_says_how_long_it_expected_writes_to_pause),
    SCENARIO(requests_that_make_no_sense_are_refused),
    SCENARIO(nothing_moves_before_bootstrap_or_without_the_active_master),
    SCENARIO(a_second_switchover_is_refused_by_name),
    SCENARIO(a_failed_check_refuses),
    SCENARIO(a_lost_proxy_refuses_until_its_lease_runs_out),
    SCENARIO(a_proxy_that_is_cut_off_from_the_director_is_heard_through_a_peer),
    SCENARIO(traffic_is_stopped_only_when_the_candidate_is_close),
    SCENARIO(writes_are_slowed_until_the_candidate_is_close),
    SCENARIO(traffic_is_stopped_in_a_lull),
    SCENARIO(writes_are_slowed_before_traffic_stops_if_there_are_any),
    SCENARIO(writes_are_slowed_no_further_than_it_helps),
    SCENARIO(writes_are_free_again_when_the_candidate_stays_too_far),
    SCENARIO(a_candidate_that_lags_is_refused),
    SCENARIO(every_proxy_holds_before_the_fence_and_opens_before_the_end),
    SCENARIO(a_thousand_proxies_hold_and_open),
    SCENARIO(a_proxy_that_does_not_open_is_an_exception_not_a_failure),
    SCENARIO(a_proxy_that_does_not_hold_undoes_the_switchover),
    SCENARIO(a_proxy_that_speaks_only_sql_takes_part),
    SCENARIO(what_a_proxy_says_by_sql_reaches_every_node),
    SCENARIO(a_proxy_that_speaks_only_sql_is_waited_for_while_its_lease_lasts),
    SCENARIO(a_proxy_name_that_is_connected_cant_be_registered),
    SCENARIO(a_failed_drain_is_undone),
    SCENARIO(a_failed_fence_is_undone),
    SCENARIO(a_failed_handover_is_undone),
    SCENARIO(a_grant_that_can_not_be_written_is_not_given),
    SCENARIO(undoing_is_tried_until_it_succeeds),
    SCENARIO(a_cancelled_switchover_is_undone),
    SCENARIO(after_the_grant_a_cancel_comes_too_late),
    SCENARIO(a_lost_candidate_is_undone),
    SCENARIO(a_candidate_that_does_not_catch_up_is_undone),
    SCENARIO(a_candidate_that_declines_is_undone_at_once),
    SCENARIO(the_overall_deadline_undoes),
    SCENARIO(a_lost_offer_is_sent_again),
    SCENARIO(a_lost_question_is_asked_again),
    SCENARIO(a_lost_grant_gets_the_same_answer_again),
    SCENARIO(the_grant_is_repeated_to_whoever_holds_it),
    SCENARIO(a_candidate_that_crashes_after_the_grant_goes_on_when_it_is_back),
    SCENARIO(an_old_master_that_restarts_after_the_grant_waits),
    SCENARIO(a_director_that_restarts_before_the_grant_undoes),
    SCENARIO(a_question_about_a_burnt_epoch_is_answered_by_the_present),
    SCENARIO(a_newer_offer_replaces_the_older),
    SCENARIO(an_offer_of_anyone_but_the_active_master_is_ignored),
    SCENARIO(a_higher_epoch_makes_an_active_master_stand_down),
    SCENARIO(a_higher_epoch_ends_a_switchover),
    SCENARIO(news_while_waiting_for_proxies_is_taken_in),
    SCENARIO(a_write_past_the_fence_is_noticed),
    SCENARIO(read_only_switched_off_on_a_standby_is_set_again),
    SCENARIO(a_standby_that_restarts_says_whom_it_has_not_heard_yet),
    SCENARIO(the_old_master_follows_the_new_one),
    SCENARIO(a_replication_that_stops_is_told_and_not_begun_again),
    SCENARIO(a_standby_that_cannot_follow_is_an_exception_and_tries_again),
    SCENARIO(an_old_master_with_errant_transactions_diverges_until_it_is_repaired),
    SCENARIO(a_lower_epoch_changes_nothing),
    SCENARIO(a_stranger_has_no_say),
    SCENARIO(a_stop_undoes_what_is_not_granted),
    SCENARIO(a_stop_after_the_activation_reports),
    SCENARIO(no_answer_is_an_answer_in_the_end),
#undef SCENARIO
};

class NodeScenario : public ::testing::TestWithParam<std::pair<const char*, Scenario>> {};

TEST_P(NodeScenario, holds) {
  GetParam().second();
}

INSTANTIATE_TEST_SUITE_P(All, NodeScenario, ::testing::ValuesIn(kScenarios),
                         [](const auto& scenario) { return scenario.param.first; });

TEST(Rules, AreAllFiredByTheScenarios) {
  std::set<int> fired;
  for (const auto& [name, scenario] : kScenarios) fired.merge(std::set<int>(scenario().fired()));
  for (const auto& rule : rules()) {
    if (rule.number >= 800) break;  // those of node_failover_test.cc
    EXPECT_TRUE(fired.contains(rule.number)) << rule.number << ": " << rule.reason;
  }
}

TEST(Rules, AreNumberedInOrder) {
  int last = 0;
  for (const auto& rule : rules()) {
    EXPECT_LT(last, rule.number);
    last = rule.number;
  }
}

TEST(Rules, TakeEveryEventInEveryStateOrIgnoreItForAReason) {
  for (int e = static_cast<int>(Event::kAlways) + 1; e <= static_cast<int>(Event::kAsk); ++e) {
    const auto event = static_cast<Event>(e);
    for (int s = 0; s < kStateCount; ++s) {
      const auto state = static_cast<State>(s);
      const auto taken = std::ranges::any_of(
          rules(), [&](const Rule& r) { return r.on == event && r.from.contains(state); });
      const auto times = std::ranges::count_if(
          ignored(), [&](const Ignored& i) { return i.on == event && i.in.contains(state); });
      EXPECT_EQ(times, taken ? 0 : 1) << to_string(event) << " in " << to_string(state);
    }
  }
}

TEST(Rules, LetEveryStateButTheLastBeLeft) {
  for (int i = 0; i < kStateCount; ++i) {
    const auto state = static_cast<State>(i);
    bool has_exit = state == State::kStopped;
    for (const auto& rule : rules())
      has_exit |= rule.from.contains(state) && !rule.stays && rule.to != state;
    EXPECT_TRUE(has_exit) << to_string(state);
  }
}

TEST(Rules, AreNotHiddenByAnUnconditionalOneBefore) {
  const auto all = rules();
  for (size_t i = 0; i < all.size(); ++i) {
    uint64_t reachable = all[i].from.bits;
    for (size_t j = 0; j < i; ++j) {
      if (all[j].on == all[i].on && !all[j].guard) reachable &= ~all[j].from.bits;
    }
    EXPECT_NE(reachable, 0u) << all[i].number;
  }
}

}  // namespace
}  // namespace active_master
