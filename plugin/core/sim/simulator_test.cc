// The simulator as tests: each scenario of docs/testing.md that is about messages, crashes or time,
// walked through every place where it can happen; a sample of random schedules; the planted faults;
// and arbitrary messages.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "client/subscriber/subscription.h"
#include "plugin/core/rules.h"
#include "plugin/core/sim/play.h"
#include "plugin/core/sim/random.h"
#include "plugin/core/sim/walk.h"

namespace active_master::sim {
namespace {

using enum FaultKind;
using ::testing::IsEmpty;

constexpr Duration kBlink{2'000};
constexpr Duration kShort{100'000};
constexpr Duration kLong{5'000'000};
constexpr Duration kVeryLong{30'000'000};  // longer than any limit

void expect_harmless(const Walk& walk) {
  EXPECT_GT(walk.schedules, 0u);
  for (const auto& failure : walk.failures) ADD_FAILURE() << failure;
}

// --- every scenario, at every place ---

struct Scenario {
  std::string name;  // with its row in docs/testing.md
  Fault fault;
  // What the answer may be; a statement whose node crashed has none (RUNNING).
  std::vector<Result> results;
};

constexpr auto kDone = Result::kDone;
constexpr auto kAborted = Result::kAborted;
constexpr auto kRefused = Result::kRefused;
constexpr auto kUnknown = Result::kUnknown;
constexpr auto kRunning = Result::kRunning;

Fault fault(FaultKind kind, Duration duration, uint8_t who = 0, uint8_t other = 0) {
  return {kind, 0, who, other, duration};
}

// Node 0 is the old master and director, 1 the candidate, 2 the third, where the statement was
// given; parties 3 to 5 are the proxies.
const Scenario kScenarios[] = {
    {"S02_S03_long_transaction", fault(kLongTransaction, kVeryLong), {kDone, kRefused, kAborted}},
    {"S03_short_transaction_is_waited_for", fault(kLongTransaction, kShort), {kDone}},
    {"S07_privileged_write_at_the_old_master", fault(kPrivilegedWrite, kShort, 0), {kDone}},
    {"S07_privileged_write_at_the_candidate", fault(kPrivilegedWrite, kShort, 1), {kDone}},
    {"S10_candidate_lags", fault(kLag, kVeryLong, 1), {kDone, kRefused, kAborted}},
    {"S11_sql_thread_of_the_candidate_stops",
     fault(kStopReplication, kVeryLong, 1),
     {kDone, kRefused, kAborted}},
    {"S12_candidate_stalls_for_a_moment", fault(kStopReplication, kShort, 1), {kDone, kRefused}},
    {"S13_S14_errant_transaction", fault(kErrantTransaction, kVeryLong, 1), {kDone, kRefused}},
    {"S41_S43_old_master_has_what_no_other_has", fault(kErrantTransaction, kVeryLong, 0), {kDone}},
    {"S16_old_master_dies_and_is_back_soon",
     fault(kCrashNode, kShort, 0),
     {kDone, kAborted, kRefused}},
    {"S16_old_master_dies_for_long", fault(kCrashNode, kVeryLong, 0), {kDone, kUnknown, kRefused}},
    {"S17_candidate_dies_and_is_back_soon",
     fault(kCrashNode, kShort, 1),
     {kDone, kAborted, kRefused}},
    {"S17_candidate_dies_for_long",
     fault(kCrashNode, kVeryLong, 1),
     {kDone, kAborted, kRefused, kUnknown}},
    {"S18_third_node_dies", fault(kCrashNode, kShort, 2), {kRunning, kDone}},
    {"S18_third_node_dies_for_long", fault(kCrashNode, kVeryLong, 2), {kRunning, kDone}},
    {"S19_S22_old_master_freezes_for_a_moment",
     fault(kFreezeNode, kShort, 0),
     {kDone, kRefused, kAborted}},
    {"S19_S22_old_master_freezes",
     fault(kFreezeNode, kLong, 0),
     {kDone, kAborted, kRefused, kUnknown}},
    {"S20_candidate_freezes_for_a_moment",
     fault(kFreezeNode, kShort, 1),
     {kDone, kRefused, kAborted}},
    {"S20_candidate_freezes", fault(kFreezeNode, kLong, 1), {kDone, kAborted, kRefused}},
    {"S23_another_switchover_is_asked_for", fault(kAskElsewhere, kShort, 1, 2), {kDone, kRefused}},
    {"S24_the_same_switchover_is_asked_for", fault(kAskAgain, kShort, 1), {kDone, kRefused}},
    {"S24_a_check_is_asked_for", fault(kCheckOnly, kShort, 1, 1), {kDone, kRefused}},
    {"S25_cancel", fault(kCancel, kShort), {kDone, kAborted, kRefused}},
    {"S26_S28_old_master_and_candidate_are_cut_off",
     fault(kCutBothWays, kLong, 0, 1),
     {kDone, kAborted, kRefused, kUnknown}},
    {"S27_messages_to_the_candidate_are_lost",
     fault(kCutOneWay, kLong, 0, 1),
     {kDone, kAborted, kRefused, kUnknown}},
    {"S27_answers_of_the_candidate_are_lost",
     fault(kCutOneWay, kLong, 1, 0),
     {kDone, kAborted, kRefused, kUnknown}},
    {"S29_one_way_to_the_third_node", fault(kCutOneWay, kLong, 0, 2), {kDone, kUnknown}},
    {"S29_one_way_from_the_third_node", fault(kCutOneWay, kLong, 2, 0), {kDone, kUnknown}},
    {"S30_proxy_is_cut_off_from_the_director", fault(kCutBothWays, kLong, 3, 0), {kDone, kAborted}},
    {"S31_proxy_hangs", fault(kHangProxy, kLong, 0), {kDone, kAborted}},
    {"S31_proxy_freezes", fault(kFreezeProxy, kLong, 0), {kDone, kAborted}},
    {"S32_proxy_crashes", fault(kCrashProxy, kShort, 0), {kDone, kRefused}},
    {"S32_proxy_crashes_for_long", fault(kCrashProxy, kLong, 0), {kDone, kRefused, kAborted}},
    {"S33_S34_proxy_restarts_with_an_empty_memory",
     fault(kWipeProxy, kBlink, 0),
     {kDone, kRefused}},
    // Traffic comes and goes; here a COMMIT arrives within each step of the way.
    {"S38_a_commit_arrives", fault(kLongTransaction, kBlink), {kDone}},
    {"S38_a_commit_arrives_soon", fault(kLongTransaction, Duration{200}), {kDone}},
    {"S39_a_message_is_lost", fault(kDropMessage, kShort), {kDone, kRefused, kAborted, kUnknown}},
    {"S39_a_message_comes_twice", fault(kDuplicateMessage, kShort), {kDone}},
    {"S39_a_message_comes_late", fault(kDelayMessage, kShort), {kDone, kRefused, kAborted}},
    {"S39_a_message_comes_after_the_end",
     fault(kDelayMessage, kVeryLong),
     {kDone, kRefused, kAborted, kUnknown}},
    {"S42_a_person_makes_the_candidate_writable", fault(kMakeWritable, kShort, 1), {kDone}},
    {"S45_disk_of_the_old_master_is_full", fault(kDiskFull, kLong, 0), {kDone, kAborted, kRefused}},
    {"S45_disk_of_the_candidate_is_full", fault(kDiskFull, kLong, 1), {kDone}},
    {"S48_S49_a_job_fails", fault(kFailJob, kShort), {kDone, kRefused, kAborted}},
    {"S48_S49_a_job_fails_after_its_effect",
     fault(kFailJobAfterEffect, kShort),
     {kDone, kRefused, kAborted}},
    {"S48_a_job_is_slow", fault(kSlowJob, kShort), {kDone, kRefused, kAborted}},
    {"S48_a_job_does_not_return", fault(kHangJob, kShort), {kDone, kRefused, kAborted, kUnknown}},
    // Credentials that changed in the middle: what is connected stays, what breaks is refused.
    {"S50_candidate_refuses_the_director",
     fault(kResetLink, kLong, 0, 1),
     {kDone, kRefused, kAborted}},
    {"S50_director_refuses_the_candidate",
     fault(kResetLink, kLong, 1, 0),
     {kDone, kRefused, kAborted}},
    {"S50_director_refuses_a_proxy", fault(kResetLink, kLong, 3, 0), {kDone, kRefused, kAborted}},
    {"S51_plugin_of_the_old_master_is_unloaded",
     fault(kStopNode, kShort, 0),
     {kDone, kAborted, kRefused, kUnknown}},
    {"S51_plugin_of_the_candidate_is_unloaded",
     fault(kStopNode, kShort, 1),
     {kDone, kAborted, kRefused, kUnknown}},
    {"S51_plugin_where_it_was_asked_is_unloaded",
     fault(kStopNode, kShort, 2),
     {kDone, kUnknown, kRunning}},
    {"membership_candidate_leaves_the_directors_configuration",
     fault(kReconfigure, kLong, 0, 1),
     {kDone, kAborted, kRefused, kUnknown}},
    {"membership_director_leaves_the_candidates_configuration",
     fault(kReconfigure, kLong, 1, 0),
     {kDone, kAborted, kRefused, kUnknown}},
    {"connection_is_made_again", fault(kResetLink, kBlink, 0, 1), {kDone, kRefused, kAborted}},
    {"connection_of_a_proxy_is_made_again", fault(kResetLink, kShort, 3, 0), {kDone, kRefused}},
};

class Scenarios : public ::testing::TestWithParam<Scenario> {};

TEST_P(Scenarios, AtEveryPlace) {
  const auto walked = walk(plain(), GetParam().fault);
  expect_harmless(walked);
  for (const auto& [result, count] : walked.results) {
    EXPECT_THAT(GetParam().results, ::testing::Contains(result))
        << to_string(result) << " in " << count << " of " << walked.schedules;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Scenarios, ::testing::ValuesIn(kScenarios),
                         [](const auto& test) { return test.param.name; });

TEST(Plain, S01_EveryShapeOfCluster) {
  for (const uint8_t nodes : {2, 3, 4}) {
    for (const bool star : {false, true}) {
      for (const bool sparse : {false, true}) {
        Schedule schedule = plain();
        schedule.nodes = nodes;
        schedule.star = star;
        schedule.sparse_proxies = sparse;
        const auto outcome = play(schedule);
        EXPECT_EQ(outcome.violation, "");
        EXPECT_THAT(outcome.results, ::testing::ElementsAre(kDone));
      }
    }
  }
}

TEST(Plain, S59_RoundAndRound) {
  for (const bool star : {false, true}) {
    Schedule schedule = plain();
    schedule.star = star;
    schedule.asks = 50;
    const auto outcome = play(schedule);
    EXPECT_EQ(outcome.violation, "");
    EXPECT_THAT(outcome.results, ::testing::SizeIs(50));
    EXPECT_THAT(outcome.results, ::testing::Each(kDone));
  }
}

TEST(Walk, S53_TheOldMasterFlaps) {
  Schedule schedule = plain();
  for (const uint32_t at : {40, 80, 120, 160})
    schedule.faults.push_back({kCrashNode, at, 0, 0, kShort});
  expect_harmless(walk(schedule, fault(kCrashNode, kBlink, 0)));
}

// The same with proxies that reach one node only, with two nodes, and without proxies.
TEST(Walk, GossipedNewsStandEveryLostMessage) {
  Schedule schedule = plain();
  schedule.sparse_proxies = true;
  expect_harmless(walk(schedule, fault(kDropMessage, kShort)));
}

TEST(Walk, S54_TwoNodesWhoseLinkIsLost) {
  Schedule schedule = plain();
  schedule.nodes = 2;
  schedule.asked_at = 0;
  expect_harmless(walk(schedule, fault(kCutBothWays, kLong, 0, 1)));
  expect_harmless(walk(schedule, fault(kCrashNode, kShort, 0)));
  expect_harmless(walk(schedule, fault(kCrashNode, kShort, 1)));
}

TEST(Walk, S02_S03_LongTransactionsAreKilled) {
  Schedule schedule = plain();
  schedule.kills = true;
  const auto walked = walk(schedule, fault(kLongTransaction, kVeryLong));
  expect_harmless(walked);
  EXPECT_EQ(walked.results.size(), 1u) << "not each was done";
  EXPECT_TRUE(walked.results.contains(kDone));
}

TEST(Walk, S30_S31_S32_AProxyThatSpeaksOnlySql) {
  Schedule schedule = plain();
  schedule.sql_proxy = true;
  for (const auto kind : {kCrashSqlProxy, kFreezeSqlProxy, kCutSqlProxy}) {
    for (const auto duration : {kBlink, kShort, kLong})
      expect_harmless(walk(schedule, fault(kind, duration, 0)));
  }
  expect_harmless(walk(schedule, fault(kCrashNode, kShort, 0)));
  expect_harmless(walk(schedule, fault(kDropMessage, kShort)));
}

TEST(Walk, S36_NoProxies) {
  Schedule schedule = plain();
  schedule.proxies = 0;
  expect_harmless(walk(schedule, fault(kCrashNode, kShort, 0)));
  expect_harmless(walk(schedule, fault(kDropMessage, kShort)));
}

TEST(Walk, S21_DirectorAndCandidateBothDie) {
  expect_harmless(
      walk_pairs(plain(), fault(kCrashNode, kShort, 0), fault(kCrashNode, kShort, 1), 9));
}

TEST(Walk, S45_DiskIsFullAndTheServerDies) {
  for (const uint8_t node : {0, 1}) {
    expect_harmless(
        walk_pairs(plain(), fault(kDiskFull, kLong, node), fault(kCrashNode, kShort, node), 9));
  }
}

TEST(Walk, TwoJobsGoWrong) {
  for (const auto first : {kFailJob, kFailJobAfterEffect, kHangJob}) {
    for (const auto second : {kFailJob, kFailJobAfterEffect, kSlowJob})
      expect_harmless(walk_pairs(plain(), fault(first, kShort), fault(second, kShort), 1));
  }
}

TEST(Walk, AMessageIsLostAndAJobFails) {
  expect_harmless(walk_pairs(plain(), fault(kDropMessage, kShort), fault(kFailJob, kShort), 3));
}

// --- random ---

TEST(Random, S60_ASampleOfSchedulesKeepsTheInvariants) {
  const auto tally = play_many(1, 4'000, std::thread::hardware_concurrency());
  EXPECT_THAT(tally.failed_seeds, IsEmpty())
      << (tally.failed_seeds.empty() ? "" : explain(generate(tally.failed_seeds.front())));
  EXPECT_GT(tally.results.at("DONE"), 1'000u);
  EXPECT_GT(tally.results.at("ABORTED"), 100u) << "a checker of runs in which nothing fails";
}

TEST(Random, OneSeedIsOneRun) {
  for (uint64_t seed = 1; seed < 50; ++seed) {
    std::string first, second;
    (void)play(generate(seed), nullptr, &first);
    (void)play(generate(seed), nullptr, &second);
    EXPECT_EQ(first, second) << seed;
  }
}

// Schedules that found something.
TEST(Simulator, HoldsWhereItOnceDidNot) {
  for (const uint64_t seed : {
           168374,  // a pause outlived its director, which a failover below its epoch had
                    // superseded
           496439,  // a voter gave its lease to an old active master above its promise to another
           648457,  // the same, of a node that was active itself
           933245,  // and while the other's failover was under way
           7397,    // a candidate that restarted after the grant got no lease
           400,     // an active master that restarted got none for its candidate had one
           83272,   // a witness that had lost its disk did not know of an epoch that was taken and
                    // not opened yet
           213949,  // who was behind stood again and again, before who was ahead had its turn
       }) {
    EXPECT_EQ(play(generate(seed)).violation, "") << seed;
  }
}

// --- the checker is checked ---

class Mutants : public ::testing::TestWithParam<Mutant> {};

TEST_P(Mutants, AreFound) {
  const auto tally = play_many(1, 100'000, std::thread::hardware_concurrency(), &GetParam(), 1);
  ASSERT_FALSE(tally.failed_seeds.empty()) << "played " << tally.schedules;
  RecordProperty("violation", tally.first_violation);
  const auto seed = tally.failed_seeds.front();
  EXPECT_TRUE(play(generate(seed)).violation.empty()) << "it is not the fault that was found";
  const auto small = shrink(generate(seed), &GetParam());
  EXPECT_LE(small.faults.size(), generate(seed).faults.size());
  EXPECT_FALSE(play(small, &GetParam()).violation.empty());
}

INSTANTIATE_TEST_SUITE_P(All, Mutants, ::testing::ValuesIn(mutants()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace active_master::sim
