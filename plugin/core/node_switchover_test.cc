// A planned switchover, done or undone, and messages lost on the way.
#include "plugin/core/scenario.h"

namespace active_master::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// --- a switchover ---

SCENARIO(the_role_moves_and_comes_back) {
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

SCENARIO(the_request_is_passed_on_to_the_active_master) {
  World world = bootstrapped({"node1", "node2", "node3"});
  const auto id = world.ask("node3", "node2");
  expect_done(world, id);
  EXPECT_THAT(world.writable(), ElementsAre("node2"));
  EXPECT_EQ(world.answer(id)->requested_by, "node3");
  EXPECT_EQ(world.node("node3").durable().active_node, "node2");
  return world;
}

SCENARIO(a_check_changes_nothing) {
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

SCENARIO(a_check_warns_of_a_candidate_that_lags) {
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

SCENARIO(a_check_that_fails_is_reported) {
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

SCENARIO(a_switchover_says_how_long_it_expected_writes_to_pause) {
  World world = bootstrapped();
  world.on_job = [](const World::PendingJob& job, JobDone& done) {
    if (std::holds_alternative<ReadPositionJob>(job.job)) done.running = Duration{17'000};
  };
  const auto id = world.ask("node1", "node2");
  expect_done(world, id);
  EXPECT_GE(world.answer(id)->predicted_pause, Duration{17'000});
  return world;
}

SCENARIO(requests_that_make_no_sense_are_refused) {
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

SCENARIO(nothing_moves_before_bootstrap_or_without_the_active_master) {
  World world({"node1", "node2"});
  expect_refused(world, world.ask("node1", "node2"), ErrorCode::kNotBootstrapped);
  world.bootstrap("node1");
  world.crash("node1");
  expect_refused(world, world.ask("node2", "node2"), ErrorCode::kDirectorUnreachable);
  return world;
}

SCENARIO(a_second_switchover_is_refused_by_name) {
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

SCENARIO(a_failed_check_refuses) {
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

SCENARIO(traffic_is_stopped_only_when_the_candidate_is_close) {
  World world = bootstrapped();
  world.hold<WaitForPositionJob>("node2");
  const auto id = world.ask("node1", "node2");
  world.pass(Duration{1'000'000});
  world.finish_held();  // too slow: asks again, and then it is quick
  expect_done(world, id);
  return world;
}

SCENARIO(writes_are_slowed_until_the_candidate_is_close) {
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

SCENARIO(writes_are_slowed_before_traffic_stops_if_there_are_any) {
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

SCENARIO(traffic_is_stopped_in_a_lull) {
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

SCENARIO(writes_are_slowed_no_further_than_it_helps) {
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

SCENARIO(writes_are_free_again_when_the_candidate_stays_too_far) {
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

SCENARIO(a_candidate_that_lags_is_refused) {
  World world = bootstrapped();
  world.hold<WaitForPositionJob>("node2");
  const auto id = world.ask("node1", "node2");
  world.pass(Duration{11'000'000});
  expect_refused(world, id, ErrorCode::kCandidateLags);
  EXPECT_FALSE(world.node("node1").durable().intent);
  EXPECT_EQ(world.node("node1").durable().epoch, Epoch{1});
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

SCENARIO(a_failed_drain_is_undone) {
  return fails_in<DrainJob>(ErrorCode::kDrainTimeout);
}

SCENARIO(a_failed_fence_is_undone) {
  return fails_in<FenceJob>(ErrorCode::kStepFailed);
}

SCENARIO(a_failed_handover_is_undone) {
  return fails_in<HandoverJob>(ErrorCode::kStepFailed);
}

SCENARIO(a_grant_that_can_not_be_written_is_not_given) {
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

SCENARIO(undoing_is_tried_until_it_succeeds) {
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

SCENARIO(a_cancelled_switchover_is_undone) {
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

SCENARIO(after_the_grant_a_cancel_comes_too_late) {
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

SCENARIO(a_lost_candidate_is_undone) {
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

SCENARIO(a_candidate_that_does_not_catch_up_is_undone) {
  World world = bootstrapped();
  world.hold<CatchUpJob>("node2");
  const auto id = world.ask("node1", "node2");
  world.pass(Duration{4'000'000});
  expect_undone(world, id, ErrorCode::kCatchUpTimeout);
  return world;
}

SCENARIO(a_candidate_that_declines_is_undone_at_once) {
  World world = bootstrapped();
  world.hold<CatchUpJob>("node2");
  const auto id = world.ask("node1", "node2");
  world.finish_held("the row did not arrive");
  expect_undone(world, id, ErrorCode::kCatchUpTimeout);
  EXPECT_THAT(world.answer(id)->error, HasSubstr("the row did not arrive"));
  return world;
}

SCENARIO(the_overall_deadline_undoes) {
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

SCENARIO(a_lost_offer_is_sent_again) {
  World world = bootstrapped();
  world.lose_next<Offer>("node2");
  const auto id = world.ask("node1", "node2");
  EXPECT_EQ(world.node("node1").state(), State::kCatchUp);
  world.pass(Duration{1'000'000});
  expect_done(world, id);
  return world;
}

SCENARIO(a_lost_question_is_asked_again) {
  World world = bootstrapped();
  world.lose_next<GrantRequest>("node1");
  const auto id = world.ask("node1", "node2");
  EXPECT_EQ(world.node("node2").state(), State::kRequest);
  world.pass(Duration{1'000'000});
  expect_done(world, id);
  return world;
}

SCENARIO(a_lost_grant_gets_the_same_answer_again) {
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

SCENARIO(the_grant_is_repeated_to_whoever_holds_it) {
  World world = bootstrapped();
  world.hold<PersistJob>("node2");
  const auto id = world.ask("node1", "node2");
  EXPECT_EQ(world.node("node1").state(), State::kGranted);
  world.give("node1", FromNode{"node2", GrantRequest{id, {2}}});
  world.finish_held();
  expect_done(world, id);
  return world;
}

SCENARIO(a_candidate_that_crashes_after_the_grant_goes_on_when_it_is_back) {
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

SCENARIO(an_old_master_that_restarts_after_the_grant_waits) {
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

// It waited in START for ever (seed 138546).
SCENARIO(an_old_master_that_restarts_after_the_grant_without_peers_waits_for_them) {
  World world = bootstrapped();
  world.hold<PersistJob>("node2");
  world.ask("node1", "node2");
  world.crash("node1");
  world.crash("node2");
  auto& config = world.config_of("node1");
  const auto peers = std::exchange(config.peers, {});
  world.restart("node1");
  EXPECT_EQ(world.node("node1").state(), State::kGranted);
  EXPECT_TRUE(world.node("node1").fenced());
  config.peers = peers;
  world.give("node1", Reconfigured{config});
  world.finish_held();
  world.restart("node2");
  world.pass(Duration{1'000'000});
  EXPECT_THAT(world.writable(), ElementsAre("node2"));
  EXPECT_EQ(world.node("node1").state(), State::kStandby);
  return world;
}

// S21: the director dies with its intent durable and the grant not given.
SCENARIO(a_director_that_restarts_before_the_grant_undoes) {
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

SCENARIO(a_question_about_a_burnt_epoch_is_answered_by_the_present) {
  World world = bootstrapped();
  world.give("node1", FromNode{"node2", GrantRequest{{5}, {9}}});
  EXPECT_THAT(world.writable(), ElementsAre("node1"));
  return world;
}

SCENARIO(a_newer_offer_replaces_the_older) {
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

SCENARIO(an_offer_of_anyone_but_the_active_master_is_ignored) {
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

}  // namespace
}  // namespace active_master::testing
