#include "client/checker/checker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "client/checker/history.h"

namespace active_master::lab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

// A recording in which node1 took writes 1 to 3, the role moved, and node2 took 4 to 6: each write
// n lasted from n * 100 to n * 100 + 50 us, and is on both nodes.
Recording good_recording() {
  Recording recording;
  recording.history.first_active = "node1";
  recording.nodes = {{"node1", 1, {}}, {"node2", 2, {}}};
  for (uint64_t n = 1; n <= 6; ++n) {
    const auto at = static_cast<int64_t>(n) * 100;
    recording.history.writes.push_back(
        {.client = 1, .sequence = n, .start_us = at, .end_us = at + 50});
    for (NodeRows& node : recording.nodes) node.rows.push_back({1, n, n <= 3 ? 1U : 2U});
  }
  recording.history.switchovers = {
      {.from = "node1", .to = "node2", .start_us = 360, .end_us = 390, .done = true}};
  return recording;
}

Write failed(uint64_t sequence, Answer answer, Stage stage) {
  return {.client = 1,
          .sequence = sequence,
          .start_us = 700,
          .end_us = 710,
          .answer = answer,
          .stage = stage,
          .error = 2013,
          .text = "lost"};
}

TEST(Checker, AGoodRecordingIsGood) {
  Recording recording = good_recording();
  recording.history.strict_clients = {1};
  const Report report = check(recording);
  EXPECT_THAT(report.violations, ElementsAre());
  EXPECT_EQ(report.acknowledged, 6U);
  ASSERT_THAT(report.nodes, SizeIs(2));
  EXPECT_EQ(report.nodes[1].acknowledged, 6U);
  EXPECT_EQ(report.nodes[1].rows, 6U);
}

TEST(Checker, FindsALostWrite) {
  Recording recording = good_recording();
  for (NodeRows& node : recording.nodes) node.rows.erase(node.rows.begin() + 2);
  const Report report = check(recording);
  EXPECT_EQ(report.nodes[0].missing, 1U);
  EXPECT_THAT(report.violations,
              ElementsAre("1 acknowledged writes are lost on node1, e.g. client 1 write 3",
                          "1 acknowledged writes are lost on node2, e.g. client 1 write 3"));
}

TEST(Checker, FindsAWriteThatIsThereTwice) {
  Recording recording = good_recording();
  recording.nodes[1].rows.push_back({1, 4, 2});
  const Report report = check(recording);
  EXPECT_EQ(report.nodes[1].duplicated, 1U);
  EXPECT_THAT(report.violations, ElementsAre(HasSubstr("more than once on node2")));
}

TEST(Checker, FindsARowThatIsOnOneNodeOnly) {
  Recording recording = good_recording();
  recording.history.writes.push_back(failed(7, Answer::kUnknown, Stage::kAutocommit));
  recording.nodes[0].rows.push_back({1, 7, 1});
  recording.rules.errors_inside_allowed = true;
  const Report report = check(recording);
  EXPECT_EQ(report.differing, 1U);
  EXPECT_THAT(report.violations, ElementsAre(HasSubstr("on some nodes only")));
}

TEST(Checker, FindsARowThatNobodyWrote) {
  Recording recording = good_recording();
  for (NodeRows& node : recording.nodes) node.rows.push_back({9, 9, 1});
  EXPECT_THAT(check(recording).violations, ElementsAre(HasSubstr("no client wrote are on node1"),
                                                       HasSubstr("no client wrote are on node2")));
}

TEST(Checker, FindsAnOldMasterThatGoesOnWriting) {
  Recording recording = good_recording();
  for (NodeRows& node : recording.nodes) node.rows[4].server_id = 1;  // after node2's write 4
  const Report report = check(recording);
  EXPECT_EQ(report.two_masters, 1U);
  EXPECT_THAT(report.violations, ElementsAre(HasSubstr("client 1 write 5 on server_id 1")));
}

TEST(Checker, FindsANewMasterThatWritesTooEarly) {
  Recording recording = good_recording();
  for (NodeRows& node : recording.nodes) node.rows[1].server_id = 2;
  EXPECT_EQ(check(recording).two_masters, 1U);
}

TEST(Checker, AWriteThatTheSwitchoverDelayedMayBeOnEitherNode) {
  Recording recording = good_recording();
  recording.history.writes.push_back({.client = 2, .sequence = 1, .start_us = 340, .end_us = 460});
  for (NodeRows& node : recording.nodes) node.rows.push_back({2, 1, 2});
  EXPECT_TRUE(check(recording).ok());
  for (NodeRows& node : recording.nodes) node.rows.back().server_id = 1;
  EXPECT_TRUE(check(recording).ok());
}

TEST(Checker, ASwitchoverThatWasRefusedChangesNothing) {
  Recording recording = good_recording();
  recording.history.switchovers.push_back({.from = "node2",
                                           .to = "node1",
                                           .start_us = 460,
                                           .end_us = 480,
                                           .done = false,
                                           .text = "no"});
  EXPECT_TRUE(check(recording).ok());
}

TEST(Checker, CountsWritesWhoseAnswerWasLost) {
  Recording recording = good_recording();
  recording.history.writes.push_back(failed(7, Answer::kUnknown, Stage::kInside));
  recording.history.writes.push_back(failed(8, Answer::kUnknown, Stage::kInside));
  for (NodeRows& node : recording.nodes) node.rows.push_back({1, 7, 2});
  recording.rules.errors_inside_allowed = true;
  const Report report = check(recording);
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.unknown_present, 1U);
  EXPECT_EQ(report.unknown_absent, 1U);
  EXPECT_EQ(report.errors_inside, 2U);
}

TEST(Checker, FindsARefusedWriteThatIsThere) {
  Recording recording = good_recording();
  recording.history.writes.push_back(failed(7, Answer::kError, Stage::kAutocommit));
  for (NodeRows& node : recording.nodes) node.rows.push_back({1, 7, 2});
  const Report report = check(recording);
  EXPECT_EQ(report.failed_present, 1U);
  EXPECT_EQ(report.errors_inside, 1U);
  EXPECT_THAT(report.violations, ElementsAre(HasSubstr("were refused but are there"),
                                             HasSubstr("errors inside of transactions")));
}

TEST(Checker, TellsErrorsBetweenTransactionsFromErrorsInside) {
  Recording recording = good_recording();
  recording.history.writes.push_back(failed(7, Answer::kError, Stage::kConnect));
  recording.history.writes.push_back(failed(8, Answer::kError, Stage::kBegin));
  recording.history.writes.push_back(failed(9, Answer::kUnknown, Stage::kAutocommit));
  Report report = check(recording);
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.errors_between, 3U);
  EXPECT_EQ(report.errors_inside, 0U);

  recording.history.strict_clients = {1};
  EXPECT_THAT(check(recording).violations,
              ElementsAre(HasSubstr("3 errors of clients that should see none")));

  recording.history.strict_clients = {2};
  recording.history.writes.push_back(failed(10, Answer::kError, Stage::kInside));
  report = check(recording);
  EXPECT_EQ(report.errors_inside, 1U);
  EXPECT_THAT(report.violations, ElementsAre(HasSubstr("1 errors inside of transactions")));
}

TEST(Checker, MeasuresTheLongestGaps) {
  Recording recording = good_recording();
  recording.history.writes.push_back({.client = 2, .sequence = 1, .start_us = 700, .end_us = 1000});
  for (NodeRows& node : recording.nodes) node.rows.push_back({2, 1, 2});
  const Report report = check(recording);
  ASSERT_TRUE(report.longest_gap);
  EXPECT_EQ(report.longest_gap->start_us, 650);
  EXPECT_EQ(report.longest_gap->length_us(), 350);
  ASSERT_THAT(report.switchover_gaps, SizeIs(1));
  ASSERT_TRUE(report.switchover_gaps[0]);
  EXPECT_EQ(report.switchover_gaps[0]->start_us, 350);
  EXPECT_EQ(report.switchover_gaps[0]->length_us(), 100);
  ASSERT_TRUE(report.quiet_gap);
  EXPECT_EQ(report.quiet_gap->length_us(), 350);
}

TEST(Checker, AnEmptyRecordingHasNoGaps) {
  Recording recording;
  recording.history.switchovers.resize(1);
  const Report report = check(recording);
  EXPECT_TRUE(report.ok());
  EXPECT_FALSE(report.longest_gap);
  EXPECT_FALSE(report.switchover_gaps.at(0));
}

// --- what nodes and proxies said ---

Observation saw(const std::string& who, int64_t at, uint64_t epoch, const std::string& role,
                bool writable) {
  return {who, at, at + 10, false, epoch, role, "NONE", writable, 0};
}

TEST(Checker, EpochsThatGrowAreGood) {
  Recording recording = good_recording();
  recording.observations = {
      saw("node1", 0, 1, "ACTIVE", true), saw("node2", 0, 1, "STANDBY", false),
      saw("node2", 380, 2, "ACTIVE", true), saw("node1", 385, 2, "STANDBY", false)};
  EXPECT_THAT(check(recording).violations, ElementsAre());
}

TEST(Checker, FindsAnEpochThatGoesDown) {
  Recording recording = good_recording();
  Observation proxy{.who = "proxy1", .is_proxy = true, .epoch = 2};
  recording.observations = {proxy};
  proxy.epoch = 1;
  recording.observations.push_back(proxy);
  EXPECT_THAT(check(recording).violations,
              ElementsAre("1 epochs that went down, e.g. proxy1 went from 2 to 1"));
}

TEST(Checker, ForgivesOnlyAStandbyThatRestarted) {
  Recording recording = good_recording();
  Observation before = saw("node2", 0, 2, "STANDBY", false);
  Observation after = saw("node2", 50, 1, "STANDBY", false);
  recording.observations = {before, after};
  EXPECT_THAT(check(recording).violations, ElementsAre(HasSubstr("epochs that went down")));
  after.life = 1;
  recording.observations = {before, after};
  EXPECT_THAT(check(recording).violations, ElementsAre());
  after.role = "ACTIVE";
  recording.observations = {before, after};
  EXPECT_THAT(check(recording).violations, ElementsAre(HasSubstr("epochs that went down")));
}

TEST(Checker, FindsTwoNodesOfOneEpoch) {
  Recording recording = good_recording();
  recording.observations = {saw("node1", 0, 2, "ACTIVE", false),
                            saw("node2", 50, 2, "ACTIVE", false)};
  EXPECT_THAT(check(recording).violations, ElementsAre(HasSubstr("node1 and node2 in 2")));
}

TEST(Checker, FindsANodeThatIsWritableAfterItsTerm) {
  Recording recording = good_recording();
  recording.observations = {
      saw("node2", 100, 2, "ACTIVE", true),
      saw("node1", 105, 1, "ACTIVE", true)};  // overlapping looks prove nothing
  EXPECT_TRUE(check(recording).ok());
  recording.observations.push_back(saw("node1", 111, 1, "ACTIVE", true));
  EXPECT_THAT(check(recording).violations, ElementsAre(HasSubstr("node1 in 1 after node2 in 2")));
}

// --- how switchovers end ---

TEST(Checker, FindsASwitchoverWithoutAnEnd) {
  Recording recording = good_recording();
  recording.history.switchovers[0].answered = false;
  EXPECT_THAT(check(recording).violations, ElementsAre(HasSubstr("has not ended")));
}

TEST(Checker, EachOutcomeIsOneOfThree) {
  Recording recording = good_recording();
  Switchover& switchover = recording.history.switchovers[0];
  switchover.left = {"node2", {"node2"}};
  EXPECT_EQ(check(recording).done, 1U);
  EXPECT_TRUE(check(recording).ok());

  switchover.left = {"node1", {"node1", "node2"}};
  EXPECT_THAT(check(recording).violations, ElementsAre(HasSubstr("writable: node1 node2")));

  switchover.left = {"node1", {"node1"}};
  EXPECT_EQ(check(recording).rolled_back, 1U);
  EXPECT_THAT(check(recording).violations,
              ElementsAre(HasSubstr("answered by 'done', but node1 is active")));

  switchover.is_known = false;
  EXPECT_TRUE(check(recording).ok());

  switchover.is_known = true;
  switchover.text = "refused";
  EXPECT_TRUE(check(recording).ok());
  switchover.left = {"", {}};
  EXPECT_EQ(check(recording).failed_closed, 1U);
  EXPECT_TRUE(check(recording).ok());
  switchover.left = {"node2", {"node2"}};
  EXPECT_THAT(check(recording).violations, ElementsAre(HasSubstr("answered by 'refused'")));
}

TEST(Checker, AFailoverMayTakeTheRoleInTheMiddleOfASwitchover) {
  Recording recording = good_recording();
  auto& all = recording.history.switchovers;
  Switchover& asked = all[0];
  asked.left = {"node3", {"node3"}};
  asked.done = false;
  asked.text = "undone";
  EXPECT_THAT(check(recording).violations, Contains(HasSubstr("left node3 active")));
  Switchover failover{.from = asked.from,
                      .to = "node3",
                      .start_us = asked.start_us,
                      .end_us = asked.end_us,
                      .done = true};
  all.insert(all.begin() + 1, failover);
  EXPECT_THAT(check(recording).violations, Not(Contains(HasSubstr("left node3 active"))));
  all[0].left = {"node3", {"node1", "node3"}};
  EXPECT_THAT(check(recording).violations, Contains(HasSubstr("left node3 active")));
}

TEST(Checker, FindsARecoveryThatTakesTooLong) {
  Recording recording = good_recording();
  recording.recoveries = {{"a crash", 0, 5'000, 10'000}};
  Report report = check(recording);
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.worst_recovery_us, 5'000);
  recording.recoveries = {{"a crash", 0, 20'000, 10'000}, {"a cut", 0, 0, 10'000}};
  EXPECT_THAT(check(recording).violations,
              ElementsAre(HasSubstr("took 20 ms to recover after a crash, more than 10"),
                          HasSubstr("did not recover after a cut")));
}

TEST(Checker, FindsEachKindOfLeak) {
  Recording recording = good_recording();
  recording.before = {{"node1", 7, 10, 10, 10, 0, 10, 10}, {"node2", 8, 1, 1, 1, 0, 1, 1}};
  recording.after = recording.before;
  EXPECT_TRUE(check(recording).ok());
  recording.after[0] = {"node1", 7, 11, 11, 11, 1, 11, 11};
  EXPECT_THAT(check(recording).violations,
              ElementsAre(HasSubstr("node1 leaks threads: 10 before, 11 after"),
                          HasSubstr("sockets"), HasSubstr("file descriptors"), HasSubstr("state"),
                          HasSubstr("sessions"), HasSubstr("metadata locks")));
  recording.after[0].pid = 9;  // another process since
  EXPECT_TRUE(check(recording).ok());
}

TEST(RecordingFile, ComesBackAsItWasWritten) {
  Recording recording = good_recording();
  recording.history.writes.push_back(failed(7, Answer::kUnknown, Stage::kGate));
  recording.history.switchovers.push_back({.from = "node2", .to = "node1", .text = "refused"});
  recording.history.strict_clients = {1, 3};
  recording.rules.errors_inside_allowed = true;
  recording.history.switchovers.back().left = {"node2", {"node2"}};
  recording.history.switchovers.back().is_known = false;
  recording.observations = {saw("node1", 1, 2, "ACTIVE", true),
                            {.who = "proxy1", .is_proxy = true, .epoch = 3}};
  recording.recoveries = {{"a crash", 1, 2, 3}};
  recording.before = {{"node1", 1, 2, 3, 4, 5, 6, 7}};
  recording.after = {{"node2", 7, 6, 5, 4, 3, 2, 1}};
  std::stringstream file;
  write_recording(recording, file);
  EXPECT_EQ(read_recording(file), recording);
}

TEST(RecordingFile, AWrongLineIsNamed) {
  const auto error_of = [](const std::string& text) -> std::string {
    std::stringstream file(text);
    try {
      (void)read_recording(file);
    } catch (const RecordingError& error) {
      return error.what();
    }
    return "accepted";
  };
  const std::string header = "{\"format\": \"active-master-lab recording 3\"}\n";
  EXPECT_EQ(error_of(header + R"({"first": "node1"})"), "accepted");
  EXPECT_THAT(error_of(header + "{\"first\": \"node1\"}\n{\"write\": "), HasSubstr("Line 3: "));
  EXPECT_THAT(error_of(header + R"({"write": 1})"), HasSubstr("Line 2: "));
  EXPECT_THAT(error_of(header + R"({"row": [1, 2, 3]})"), HasSubstr("a row before its node"));
  EXPECT_THAT(error_of(header + R"({"what": 1})"), HasSubstr("unknown kind of line"));
  EXPECT_THAT(error_of("{}"), HasSubstr("this is no recording"));
  EXPECT_THAT(error_of("something else"), HasSubstr("Line 1: "));
}

}  // namespace
}  // namespace active_master::lab
