#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <set>
#include <sstream>

#include "client/lab/binlog.h"
#include "client/lab/checker.h"
#include "client/lab/history.h"
#include "client/lab/process.h"
#include "client/lab/read_only_watch.h"
#include "client/lab/wait.h"

namespace active_master::lab {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

// As mariadb-binlog prints a transaction that writes to this table.
std::string transaction(const std::string& gtid, const std::string& table) {
  return "#251125 12:00:00 server id 1  end_log_pos 507 CRC32 0x1b1c0bf8 \tGTID " + gtid +
         " trans\n/*!100001 SET @@session.gtid_seq_no=5*//*!*/;\n#251125 12:00:00 server id 1 "
         " end_log_pos 560 \tTable_map: " +
         table + " mapped to number 32\n";
}

TEST(MissedHandovers, AreSeenWhereAnotherServerGoesOn) {
  std::istringstream good(transaction("0-1-1", "`lab`.`writes`") +
                          transaction("0-1-2", "`active_master`.`event`") +
                          transaction("0-2-3", "`lab`.`writes`"));
  EXPECT_THAT(missed_handovers(good), testing::IsEmpty());
  std::istringstream bad(transaction("0-1-1", "`active_master`.`event`") +
                         transaction("0-1-2", "`lab`.`writes`") +
                         transaction("0-2-3", "`lab`.`writes`"));
  EXPECT_THAT(missed_handovers(bad), ElementsAre(HasSubstr("has 0-2-3 after 0-1-2")));
  std::istringstream empty("");
  EXPECT_THAT(missed_handovers(empty), SizeIs(1));
}

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
  const Report report = check(recording, {});
  EXPECT_THAT(report.violations, ElementsAre());
  EXPECT_EQ(report.acknowledged, 6U);
  ASSERT_THAT(report.nodes, SizeIs(2));
  EXPECT_EQ(report.nodes[1].acknowledged, 6U);
  EXPECT_EQ(report.nodes[1].rows, 6U);
}

TEST(Checker, FindsALostWrite) {
  Recording recording = good_recording();
  for (NodeRows& node : recording.nodes) node.rows.erase(node.rows.begin() + 2);
  const Report report = check(recording, {});
  EXPECT_EQ(report.nodes[0].missing, 1U);
  EXPECT_THAT(report.violations,
              ElementsAre("1 acknowledged writes are lost on node1, e.g. client 1 write 3",
                          "1 acknowledged writes are lost on node2, e.g. client 1 write 3"));
}

TEST(Checker, FindsAWriteThatIsThereTwice) {
  Recording recording = good_recording();
  recording.nodes[1].rows.push_back({1, 4, 2});
  const Report report = check(recording, {});
  EXPECT_EQ(report.nodes[1].duplicated, 1U);
  EXPECT_THAT(report.violations, ElementsAre(HasSubstr("more than once on node2")));
}

TEST(Checker, FindsARowThatIsOnOneNodeOnly) {
  Recording recording = good_recording();
  recording.history.writes.push_back(failed(7, Answer::kUnknown, Stage::kAutocommit));
  recording.nodes[0].rows.push_back({1, 7, 1});
  const Report report = check(recording, {.errors_inside_allowed = true});
  EXPECT_EQ(report.differing, 1U);
  EXPECT_THAT(report.violations, ElementsAre(HasSubstr("on some nodes only")));
}

TEST(Checker, FindsARowThatNobodyWrote) {
  Recording recording = good_recording();
  for (NodeRows& node : recording.nodes) node.rows.push_back({9, 9, 1});
  EXPECT_THAT(check(recording, {}).violations,
              ElementsAre(HasSubstr("no client wrote are on node1"),
                          HasSubstr("no client wrote are on node2")));
}

TEST(Checker, FindsAnOldMasterThatGoesOnWriting) {
  Recording recording = good_recording();
  for (NodeRows& node : recording.nodes) node.rows[4].server_id = 1;  // after node2's write 4
  const Report report = check(recording, {});
  EXPECT_EQ(report.two_masters, 1U);
  EXPECT_THAT(report.violations, ElementsAre(HasSubstr("client 1 write 5 on server_id 1")));
}

TEST(Checker, FindsANewMasterThatWritesTooEarly) {
  Recording recording = good_recording();
  for (NodeRows& node : recording.nodes) node.rows[1].server_id = 2;
  EXPECT_EQ(check(recording, {}).two_masters, 1U);
}

TEST(Checker, AWriteThatTheSwitchoverDelayedMayBeOnEitherNode) {
  Recording recording = good_recording();
  recording.history.writes.push_back({.client = 2, .sequence = 1, .start_us = 340, .end_us = 460});
  for (NodeRows& node : recording.nodes) node.rows.push_back({2, 1, 2});
  EXPECT_TRUE(check(recording, {}).ok());
  for (NodeRows& node : recording.nodes) node.rows.back().server_id = 1;
  EXPECT_TRUE(check(recording, {}).ok());
}

TEST(Checker, ASwitchoverThatWasRefusedChangesNothing) {
  Recording recording = good_recording();
  recording.history.switchovers.push_back({.from = "node2",
                                           .to = "node1",
                                           .start_us = 460,
                                           .end_us = 480,
                                           .done = false,
                                           .text = "no"});
  EXPECT_TRUE(check(recording, {}).ok());
}

TEST(Checker, CountsWritesWhoseAnswerWasLost) {
  Recording recording = good_recording();
  recording.history.writes.push_back(failed(7, Answer::kUnknown, Stage::kInside));
  recording.history.writes.push_back(failed(8, Answer::kUnknown, Stage::kInside));
  for (NodeRows& node : recording.nodes) node.rows.push_back({1, 7, 2});
  const Report report = check(recording, {.errors_inside_allowed = true});
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.unknown_present, 1U);
  EXPECT_EQ(report.unknown_absent, 1U);
  EXPECT_EQ(report.errors_inside, 2U);
}

TEST(Checker, FindsARefusedWriteThatIsThere) {
  Recording recording = good_recording();
  recording.history.writes.push_back(failed(7, Answer::kError, Stage::kAutocommit));
  for (NodeRows& node : recording.nodes) node.rows.push_back({1, 7, 2});
  const Report report = check(recording, {});
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
  Report report = check(recording, {});
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.errors_between, 3U);
  EXPECT_EQ(report.errors_inside, 0U);

  recording.history.strict_clients = {1};
  EXPECT_THAT(check(recording, {}).violations,
              ElementsAre(HasSubstr("3 errors of clients that should see none")));

  recording.history.strict_clients = {2};
  recording.history.writes.push_back(failed(10, Answer::kError, Stage::kInside));
  report = check(recording, {});
  EXPECT_EQ(report.errors_inside, 1U);
  EXPECT_THAT(report.violations, ElementsAre(HasSubstr("1 errors inside of transactions")));
}

TEST(Checker, MeasuresTheLongestGaps) {
  Recording recording = good_recording();
  recording.history.writes.push_back({.client = 2, .sequence = 1, .start_us = 700, .end_us = 1000});
  for (NodeRows& node : recording.nodes) node.rows.push_back({2, 1, 2});
  const Report report = check(recording, {});
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
  const Report report = check(recording, {});
  EXPECT_TRUE(report.ok());
  EXPECT_FALSE(report.longest_gap);
  EXPECT_FALSE(report.switchover_gaps.at(0));
}

TEST(RecordingFile, ComesBackAsItWasWritten) {
  Recording recording = good_recording();
  recording.history.writes.push_back(failed(7, Answer::kUnknown, Stage::kGate));
  recording.history.switchovers.push_back({.from = "node2", .to = "node1", .text = "refused"});
  recording.history.strict_clients = {1, 3};
  std::stringstream file;
  write_recording(recording, file);
  EXPECT_EQ(read_recording(file), recording);
}

TEST(RecordingFile, AWrongLineIsNamed) {
  std::stringstream file("active-master-lab recording 1\nfirst\tnode1\nwrite\t1\tx\n");
  try {
    (void)read_recording(file);
    FAIL() << "accepted";
  } catch (const LabError& error) {
    EXPECT_STREQ(error.what(), "Line 3: no number");
  }
  std::stringstream other("something else\n");
  EXPECT_THROW((void)read_recording(other), LabError);
}

class ProcessTest : public testing::Test {
 protected:
  Command command(std::vector<std::string> arguments) {
    return {.name = "child", .arguments = std::move(arguments), .log = directory_.path() / "log"};
  }

  TemporaryDirectory directory_;
};

TEST_F(ProcessTest, TellsHowItEnded) {
  Process process(command({"/bin/sh", "-c", "echo hello; exit 3"}));
  ASSERT_TRUE(wait_until(10s, [&process] { return !process.running(); }));
  EXPECT_EQ(process.exit_status(), 3);
  EXPECT_EQ(tail(directory_.path() / "log"), "  hello\n");
}

TEST_F(ProcessTest, AProgramThatIsNotThereEndsAtOnce) {
  Process process(command({"/no/such/program"}));
  ASSERT_TRUE(wait_until(10s, [&process] { return !process.running(); }));
  EXPECT_EQ(process.exit_status(), 127);
}

TEST_F(ProcessTest, EndsWithItsOwner) {
  pid_t pid = 0;
  {
    const Process process(command({"/bin/sleep", "1000"}));
    pid = process.pid();
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_NE(::kill(pid, 0), 0);
}

TEST_F(ProcessTest, OneThatIgnoresSigtermIsKilled) {
  Command stubborn =
      command({"/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"});
  stubborn.stop_limit = 50ms;
  Process process(std::move(stubborn));
  ASSERT_TRUE(wait_until(10s, [this] { return !tail(directory_.path() / "log").empty(); }));
  process.stop();
  EXPECT_EQ(process.exit_status(), 128 + SIGKILL);
}

TEST_F(ProcessTest, OneThatIsStoppedCanBeEnded) {
  Process process(command({"/bin/sleep", "1000"}));
  process.signal(SIGSTOP);
  process.stop();
  EXPECT_EQ(process.exit_status(), 128 + SIGTERM);
}

TEST_F(ProcessTest, RunReportsAFailureWithTheLog) {
  run(command({"/bin/true"}), 10s);
  try {
    run(command({"/bin/sh", "-c", "echo broken; exit 1"}), 10s);
    FAIL() << "no error";
  } catch (const LabError& error) {
    EXPECT_STREQ(error.what(), "child failed:\n  broken\n");
  }
}

TEST(ReadOnlyRecord, OneAfterTheOtherIsFine) {
  ReadOnlyRecord record("a", "b");
  record.saw_writable("a", 0, 10);
  record.saw_writable("a", 20, 30);
  record.saw_writable("b", 25, 40);  // overlapping looks prove nothing
  record.saw_writable("b", 50, 60);
  EXPECT_EQ(record.verdict(true), "");
}

TEST(ReadOnlyRecord, FindsTwoThatWereWritable) {
  ReadOnlyRecord record("a", "b");
  record.saw_writable("b", 25, 40);
  record.saw_writable("b", 80, 90);
  record.saw_writable("a", 0, 10);
  record.saw_writable("a", 41, 60);
  EXPECT_EQ(record.verdict(true), "a was seen writable 1 us after b was");
}

TEST(ReadOnlyRecord, FindsOneThatShouldNeverBeWritable) {
  ReadOnlyRecord record("a", "b");
  record.saw_writable("b", 0, 10);
  EXPECT_EQ(record.verdict(true), "");
  EXPECT_EQ(record.verdict(false), "b was seen writable");
  record.saw_writable("c", 0, 10);
  EXPECT_EQ(record.verdict(true), "c was seen writable");
}

TEST(PortTest, ManyAtOnceAreAllDifferent) {
  std::vector<Port> ports(100);
  std::set<uint16_t> numbers;
  for (const Port& port : ports) numbers.insert(port.number());
  EXPECT_EQ(numbers.size(), ports.size());
}

TEST(PortTest, AServerCanListenOnItAgainAndAgain) {
  const Port port;
  for (int i = 0; i < 2; ++i) {
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    const int on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port.number());
    EXPECT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(listener, 1), 0);
    close(listener);
  }
}

TEST(TemporaryDirectoryTest, IsRemovedWithItsContent) {
  std::filesystem::path path;
  {
    const TemporaryDirectory directory;
    path = directory.path();
    std::ofstream(path / "file") << "x";
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace active_master::lab
