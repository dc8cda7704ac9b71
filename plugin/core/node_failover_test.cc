// Failover and the return of an old active master, played by several nodes.
#include "plugin/core/scenario.h"

namespace active_master::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

World three() {
  World world({"node1", "node2", "node3"});
  world.bootstrap("node1");
  EXPECT_THAT(world.writable(), ElementsAre("node1"));
  return world;
}

// What a node of a pair finds on its disk.
Durable standby(const NodeName& node, uint64_t epoch, const NodeName& active,
                std::optional<Grant> grant) {
  Durable durable;
  durable.identity = {"test", node, node == "node1" ? 1U : 2U};
  durable.role = Role::kStandby;
  durable.epoch = {epoch};
  durable.active_node = active;
  durable.grant = std::move(grant);
  return durable;
}

void expect_done(const World& world, SwitchoverId id, uint64_t epoch) {
  testing::expect_done(world, id);
  const auto* answer = world.answer(id);
  EXPECT_EQ(answer ? answer->epoch : Epoch{}, Epoch{epoch});
}

// Others have what the node that compares lacks.
void let_others_have_more(World& world) {
  world.on_job = [](const World::PendingJob& job, JobDone& done) {
    const auto* apply = std::get_if<ApplyJob>(&job.job);
    if (!apply) return;
    for (const auto& other : apply->others)
      done.rows.push_back({other.node, "transactions", Verdict::kFailed, "has 0-1-7", ""});
  };
}

SCENARIO(a_living_active_master_is_not_failed_over) {
  World world = three();
  for (const bool forced : {false, true}) {
    const auto id = world.fail_over("node3", "node2", forced);
    expect_refused(world, id, ErrorCode::kMasterAlive);
  }
  expect_refused(world, world.fail_over("node2", "node1"), ErrorCode::kAlreadyActive);
  EXPECT_THAT(world.writable(), ElementsAre("node1"));
  EXPECT_FALSE(world.node("node3").durable().promise) << "nothing was promised for nothing";
  return world;
}

SCENARIO(a_check_says_what_clients_may_have_been_told) {
  World world = three();
  const auto verdict = [&world](const NodeName& asked) {
    const auto* answer = world.answer(world.fail_over(asked, "node2", false, true));
    const auto row = std::ranges::find(answer->checks, "acknowledged writes", &CheckRow::check);
    EXPECT_NE(row, answer->checks.end());
    EXPECT_EQ(row->node, "node1");
    return row->verdict;
  };
  EXPECT_EQ(verdict("node3"), Verdict::kWarning) << "each server commits for itself";
  world.give("node1", ServerStatus{false, "0-1-5", "", std::nullopt, true});
  world.run();
  world.crash("node1");
  EXPECT_EQ(verdict("node3"), Verdict::kOk) << "as it last said";
  world.crash("node2");
  world.restart("node2");
  EXPECT_EQ(verdict("node3"), Verdict::kWarning) << "the candidate never heard it";
  return world;
}

SCENARIO(a_silent_node_might_take_writes) {
  World world = three();
  world.crash("node1");
  const auto id = world.fail_over("node3", "node2");
  expect_refused(world, id, ErrorCode::kNotFenced);
  EXPECT_THAT(world.answer(id)->error, HasSubstr("node1"));
  EXPECT_EQ(world.node("node2").state(), State::kStandby);
  return world;
}

SCENARIO(the_old_master_is_off_and_stands_down_when_it_is_back) {
  World world = three();
  world.crash("node1");
  const auto id = world.fail_over("node3", "node2", true);
  expect_done(world, id, 102);
  EXPECT_THAT(world.writable(), ElementsAre("node2"));
  EXPECT_EQ(world.node("node3").durable().active_node, "node2");
  EXPECT_FALSE(world.node("node3").durable().promise);
  world.restart("node1");
  EXPECT_THAT(world.writable(), ElementsAre("node2"));
  EXPECT_EQ(world.node("node1").state(), State::kStandby);
  EXPECT_EQ(world.node("node1").durable().epoch, Epoch{102});
  return world;
}

SCENARIO(a_check_of_a_failover_changes_nothing) {
  World world = three();
  world.crash("node1");
  let_others_have_more(world);
  const auto id = world.fail_over("node3", "node2", false, true);
  EXPECT_EQ(world.answer(id)->result, Result::kDone);
  std::vector<std::string> failed;
  for (const auto& row : world.answer(id)->checks) {
    if (row.verdict == Verdict::kFailed) failed.push_back(row.node + " " + row.check);
  }
  EXPECT_THAT(failed, ElementsAre("node1 answers", "node3 transactions"));
  EXPECT_EQ(world.node("node2").state(), State::kStandby);
  EXPECT_FALSE(world.node("node3").durable().promise);
  return world;
}

SCENARIO(another_standby_is_ahead) {
  World world = three();
  world.crash("node3");
  world.restart("node1");  // with its memory gone it waits for node3
  world.crash("node1");
  world.restart("node1");
  EXPECT_EQ(world.node("node1").state(), State::kRecover);
  EXPECT_THAT(world.writable(), IsEmpty());
  EXPECT_THAT(world.node("node1").view()->last_error, HasSubstr("node3 (no answer yet)"));
  let_others_have_more(world);
  expect_refused(world, world.fail_over("node2", "node2"), ErrorCode::kNotFenced);
  world.restart("node3");
  EXPECT_THAT(world.writable(), ElementsAre("node1"));
  return world;
}

// The active master is there, fenced because it waits for somebody: it promises.
SCENARIO(a_fenced_active_master_promises) {
  World world = three();
  world.crash("node3");
  world.crash("node1");
  world.restart("node1");
  EXPECT_EQ(world.node("node1").state(), State::kRecover);
  const auto id = world.fail_over("node1", "node2", true);
  expect_done(world, id, 102);
  EXPECT_THAT(world.writable(), ElementsAre("node2"));
  EXPECT_EQ(world.node("node1").state(), State::kStandby);
  return world;
}

SCENARIO(what_others_have_is_not_lost_unless_forced) {
  for (const bool forced : {true, false}) {
    World world = three();
    world.crash("node3");
    world.crash("node1");
    world.hold<StandDownJob>("node1");
    world.restart("node1");
    expect_refused(world, world.fail_over("node2", "node2"), ErrorCode::kNoPromise);
    world.finish_held();
    EXPECT_EQ(world.node("node1").state(), State::kRecover);
    // node2 is told that node3 is none any more.
    auto config = world.config_of("node2");
    std::erase_if(config.peers, [](const auto& peer) { return peer.name == "node3"; });
    world.give("node2", Reconfigured{config});
    let_others_have_more(world);
    const auto id = world.fail_over("node2", "node2", forced);
    if (!forced) {
      expect_refused(world, id, ErrorCode::kOthersAhead);
      EXPECT_THAT(world.writable(), IsEmpty());
      world.on_job = [](const World::PendingJob&, JobDone&) {};
      world.restart("node3");
      world.pass(Duration{1'000'000});
      EXPECT_THAT(world.writable(), ElementsAre("node1")) << "its promise wedges nothing";
      return world;
    }
    expect_done(world, id, 102);
    EXPECT_THAT(world.answer(id)->error, HasSubstr("given up: node node1 has 0-1-7"));
  }
  return three();
}

SCENARIO(a_failover_that_others_are_ahead_of) {
  World world = three();
  world.crash("node1");
  let_others_have_more(world);
  // Forced because of node1; but whoever is there is compared with and given up, too.
  const auto id = world.fail_over("node2", "node2", true);
  expect_done(world, id, 102);
  return world;
}

SCENARIO(whoever_follows_an_offer_forgets_it_when_it_promises) {
  World world = three();
  world.hold<CatchUpJob>("node2");
  world.ask("node1", "node2");
  EXPECT_EQ(world.node("node2").state(), State::kFollow);
  world.crash("node1");
  const auto id = world.fail_over("node3", "node3", true);
  expect_done(world, id, 103);
  EXPECT_EQ(world.node("node2").state(), State::kStandby);
  EXPECT_THAT(world.writable(), ElementsAre("node3"));
  return world;
}

SCENARIO(a_grant_is_not_offered_again_below_a_promise) {
  World world = three();
  world.hold<PersistJob>("node2");
  const auto asked = world.ask("node1", "node2");
  EXPECT_EQ(world.node("node1").state(), State::kGranted);
  world.crash("node2");
  world.hold<ApplyJob>("node3");
  const auto id = world.fail_over("node3", "node3", true);
  EXPECT_EQ(world.node("node1").state(), State::kRecover);
  EXPECT_EQ(world.answer(asked)->result, Result::kUnknown);
  world.restart("node2");
  world.pass(Duration{1'000'000});
  EXPECT_THAT(world.writable(), IsEmpty()) << "node3 is about to take the role";
  world.finish_held();
  expect_done(world, id, 103);
  EXPECT_THAT(world.writable(), ElementsAre("node3"));
  return world;
}

SCENARIO(a_grant_outlives_a_failover_that_did_not_happen) {
  World world = three();
  world.hold<PersistJob>("node2");
  world.ask("node1", "node2");
  world.crash("node2");
  world.crash("node1");
  world.restart("node1");
  EXPECT_EQ(world.node("node1").state(), State::kRecover);
  expect_refused(world, world.fail_over("node1", "node1"), ErrorCode::kNotFenced);
  EXPECT_EQ(world.node("node1").state(), State::kRecover) << "it looks again";
  world.finish_held();
  world.restart("node2");
  world.pass(Duration{1'000'000});
  EXPECT_THAT(world.writable(), ElementsAre("node2"));
  return world;
}

SCENARIO(a_restarted_active_master_may_be_forced_to_open) {
  World world = three();
  world.crash("node2");
  world.crash("node1");
  world.restart("node1");
  EXPECT_THAT(world.writable(), IsEmpty());
  expect_done(world, world.fail_over("node3", "node1", true), 101);
  EXPECT_THAT(world.writable(), ElementsAre("node1"));
  return world;
}

// The candidate is about to take the role when something ends it.
World about_to_activate(SwitchoverId& id) {
  World world = three();
  world.crash("node1");
  world.hold<ApplyJob>("node2");
  id = world.fail_over("node2", "node2", true);
  EXPECT_EQ(world.node("node2").state(), State::kApply);
  EXPECT_EQ(world.disk("node3").promise, (Promise{{102}, "node2"}));
  return world;
}

// What was promised meanwhile binds nobody to a failover that did not happen.
void expect_that_life_goes_on(World& world) {
  EXPECT_EQ(world.node("node2").state(), State::kStandby);
  world.finish_held();
  world.restart("node1");
  world.pass(Duration{1'000'000});
  EXPECT_THAT(world.writable(), ElementsAre("node1"));
  expect_done(world, world.ask("node1", "node3"), 103);
  EXPECT_THAT(world.writable(), ElementsAre("node3"));
}

// Its disk was full when it heard of epoch 2.
SCENARIO(what_lies_below_the_epoch_that_is_made_durable_is_old_news) {
  World world({"node1", "node2"});
  for (const auto* name : {"node1", "node2"}) world.crash(name);
  world.hold<PersistJob>("node2");
  world.start("node2", standby("node2", 1, "node1", std::nullopt));
  world.start("node1", standby("node1", 2, "node1", Grant{{7}, {3}, "node2", "0-1-100"}));
  EXPECT_EQ(world.node("node2").state(), State::kActivatePersist);
  NodeState state;
  state.node = "node1";
  state.epoch = {2};
  state.activation = Activation{{2}, "node1", "node1:3306", {6}};
  world.give("node2", FromNode{"node1", state});
  EXPECT_EQ(world.node("node2").state(), State::kActivatePersist);
  world.finish_held();
  EXPECT_THAT(world.writable(), ElementsAre("node2"));
  EXPECT_EQ(world.node("node2").durable().epoch, Epoch{3});
  return world;
}

SCENARIO(a_failover_is_cancelled) {
  SwitchoverId id;
  World world = about_to_activate(id);
  world.give("node2", CancelCommand{id});
  expect_refused(world, id, ErrorCode::kCancelled);
  expect_that_life_goes_on(world);
  return world;
}

SCENARIO(a_step_of_a_failover_fails) {
  SwitchoverId id;
  World world = about_to_activate(id);
  world.finish_held("no luck");
  expect_refused(world, id, ErrorCode::kStepFailed);
  expect_that_life_goes_on(world);
  return world;
}

SCENARIO(a_failover_takes_too_long) {
  SwitchoverId id;
  World world = about_to_activate(id);
  expect_refused(world, world.fail_over("node3", "node3", true), ErrorCode::kNoPromise);
  world.pass(Duration{31'000'000});
  expect_refused(world, id, ErrorCode::kTimeout);
  expect_that_life_goes_on(world);
  return world;
}

SCENARIO(the_candidate_is_stopped) {
  SwitchoverId id;
  World world = about_to_activate(id);
  world.give("node2", StopCommand{});
  expect_refused(world, id, ErrorCode::kStopping);
  EXPECT_TRUE(world.node("node2").stopped());
  return world;
}

SCENARIO(the_candidate_dies_and_another_supersedes_it) {
  SwitchoverId id;
  World world = about_to_activate(id);
  world.crash("node2");
  expect_done(world, world.fail_over("node3", "node3", true), 203);
  world.finish_held();
  world.restart("node2");
  world.restart("node1");
  world.pass(Duration{1'000'000});
  EXPECT_THAT(world.writable(), ElementsAre("node3"));
  return world;
}

SCENARIO(a_promise_is_missing) {
  World world = three();
  world.crash("node1");
  world.hold<PersistJob>("node2");
  const auto id = world.fail_over("node2", "node2", true);
  EXPECT_EQ(world.node("node2").state(), State::kBid);
  world.crash("node3");
  world.finish_held();
  expect_refused(world, id, ErrorCode::kNotFenced);
  return world;
}

SCENARIO(an_offer_below_a_promise_is_declined) {
  World world = three();
  Durable promised = world.crash("node2");
  promised.promise = Promise{{103}, "node3"};
  world.start("node2", promised);
  world.give("node2",
             FromNode{"node1", Offer{{5}, {2}, "node2", "0-1-1", false, Duration{1'000'000}}});
  EXPECT_EQ(world.node("node2").state(), State::kStandby);
  expect_done(world, world.ask("node1", "node2"), 104);
  return world;
}

SCENARIO(a_diverged_node_takes_the_role_only_by_force) {
  World world = three();
  world.crash("node2");
  world.on_job = [](const World::PendingJob& job, JobDone& done) {
    if (std::holds_alternative<CompareGtidsJob>(job.job)) done.text = "0-2-7";
  };
  world.restart("node2");
  EXPECT_EQ(world.node("node2").replication(), Replication::kDiverged);
  world.crash("node1");
  expect_refused(world, world.fail_over("node2", "node2"), ErrorCode::kDiverged);
  expect_done(world, world.fail_over("node2", "node2", true), 102);
  return world;
}

using Scenario = World (*)();
// Its disk was full when it heard that the grant was taken; it died before it took the role back.
SCENARIO(the_role_comes_back_to_who_does_not_know_that_it_went) {
  World world({"node1", "node2"});
  for (const auto* name : {"node1", "node2"}) world.crash(name);
  world.start("node1", standby("node1", 1, "node1", Grant{{7}, {2}, "node2", "0-1-100"}));
  world.start("node2", standby("node2", 2, "node2", Grant{{8}, {3}, "node1", "0-2-101"}));
  world.pass(Duration{2'000'000});
  EXPECT_THAT(world.writable(), ElementsAre("node1"));
  EXPECT_EQ(world.node("node1").durable().epoch, Epoch{3});
  EXPECT_EQ(world.node("node2").state(), State::kStandby);
  return world;
}

// Every node has a program of its operator's. What it is told, as "node event".
std::shared_ptr<std::vector<std::string>> give_hooks(World& world) {
  for (const char* name : {"node1", "node2", "node3"}) {
    world.config_of(name).hook = "/hook";
    world.give(name, Reconfigured{world.config_of(name)});
  }
  auto told = std::make_shared<std::vector<std::string>>();
  world.on_job = [told](const World::PendingJob& job, JobDone&) {
    if (const auto* hook = std::get_if<HookJob>(&job.job))
      told->push_back(job.node + " " + to_string(hook->hook));
  };
  return told;
}

SCENARIO(the_operators_program_is_told_of_a_switchover) {
  World world = three();
  const auto told = give_hooks(world);
  expect_done(world, world.ask("node1", "node2"), 2);
  EXPECT_THAT(*told, ElementsAre("node1 switchover-start", "node1 fence-closed",
                                 "node2 fence-opened", "node1 switchover-done"));
  told->clear();
  world.hold<CatchUpJob>("node1");
  const auto id = world.ask("node2", "node1");
  world.finish_held("no");
  EXPECT_EQ(world.answer(id)->result, Result::kAborted);
  EXPECT_THAT(*told, ElementsAre("node2 switchover-start", "node2 fence-closed",
                                 "node2 switchover-aborted", "node2 fence-opened"));
  return world;
}

SCENARIO(the_operators_program_is_asked_just_before_a_failover) {
  World world = three();
  world.crash("node1");
  const auto told = give_hooks(world);
  world.hold<HookJob>("node2");
  const auto id = world.fail_over("node3", "node2", true);
  EXPECT_EQ(world.node("node2").state(), State::kApply);
  EXPECT_THAT(world.writable(), IsEmpty());
  world.finish_held();
  expect_done(world, id, world.node("node2").durable().epoch.value);
  EXPECT_THAT(*told, ElementsAre("node2 failover", "node2 failover-done", "node2 fence-opened"));
  return world;
}

SCENARIO(the_operators_program_refuses_a_failover) {
  World world = three();
  world.crash("node1");
  (void)give_hooks(world);
  world.on_job = [](const World::PendingJob& job, JobDone& done) {
    const auto* hook = std::get_if<HookJob>(&job.job);
    if (hook && hook->hook == Hook::kFailover) done.error = "exit status 1: no power switch";
  };
  const auto id = world.fail_over("node3", "node2", true);
  expect_refused(world, id, ErrorCode::kVetoed);
  EXPECT_THAT(world.answer(id)->error, HasSubstr("no power switch"));
  EXPECT_THAT(world.writable(), IsEmpty());
  return world;
}

SCENARIO(two_that_claim_the_role_are_shown) {
  World world = three();
  const auto told = give_hooks(world);
  NodeState claim;
  claim.role = Role::kActive;
  claim.epoch = Epoch{1};
  world.give("node2", FromNode{"node3", claim});
  EXPECT_THAT(*told, IsEmpty()) << "it may be old";
  const auto shown = [&world] {
    const auto view = world.node("node2").view();
    return std::ranges::find(view->nodes, "node3", &NodeView::name)->last_error;
  };
  world.give("node2", FromNode{"node3", claim});
  world.give("node2", FromNode{"node3", claim});
  EXPECT_THAT(shown(), HasSubstr("it says that it is the active master of epoch 1"));
  world.run();
  EXPECT_THAT(*told, ElementsAre("node2 conflict"));
  world.pass(Duration{1'000'000});
  EXPECT_EQ(shown(), "") << "node3 has said what is true meanwhile";
  return world;
}

// It prepared an epoch above the one that a failover took.
SCENARIO(a_pause_ends_with_the_term_of_its_director) {
  World world = three();
  NodeState paused = world.told_to_all("node1");
  paused.pause = PauseNotice{{7}, Epoch{104}, Duration{1'000'000}};
  world.give("node3", FromNode{"node1", paused});
  EXPECT_TRUE(world.told_to_all("node3").pause);
  NodeState moved = world.told_to_all("node2");
  moved.role = Role::kActive;
  moved.epoch = Epoch{103};
  moved.activation = Activation{Epoch{103}, "node2", "node2:3306", {8}};
  world.give("node3", FromNode{"node2", moved});
  EXPECT_FALSE(world.told_to_all("node3").pause);
  world.give("node3", FromNode{"node1", paused});
  EXPECT_FALSE(world.told_to_all("node3").pause) << "old news";
  return world;
}

// What it acknowledged after that, the new active master would lack.
SCENARIO(who_promises_receives_nothing_more_until_the_failover_is_over) {
  World world = three();
  std::vector<std::string> jobs;
  world.on_job = [&jobs](const World::PendingJob& job, JobDone&) {
    if (job.node == "node3") jobs.emplace_back(to_string(job.job));
  };
  const auto ask = [&world](uint64_t epoch) {
    world.give("node3", FromNode{"node2", Ask{{epoch}, 2, Epoch{epoch}, true}});
    world.run();
    world.pass(Duration{1'000'000});
  };
  ask(102);
  EXPECT_THAT(jobs, ElementsAre("persist", "stop_receiving"));
  EXPECT_EQ(world.node("node3").replication(), Replication::kPending);
  SwitchoverReport report;
  report.id = {102};
  report.epoch = Epoch{102};
  report.failover = true;
  report.result = Result::kAborted;
  world.give("node3", FromNode{"node2", report});
  world.run();
  EXPECT_EQ(world.node("node3").replication(), Replication::kFollowing);

  ask(202);
  EXPECT_EQ(world.node("node3").replication(), Replication::kPending);
  world.pass(world.config_of("node3").switchover_timeout);
  EXPECT_EQ(world.node("node3").replication(), Replication::kFollowing) << "no report has come";
  world.on_job = [](const World::PendingJob&, JobDone&) {};
  return world;
}

}  // namespace
}  // namespace active_master::testing
