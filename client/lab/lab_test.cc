#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "client/lab/binlog.h"
#include "client/lab/faults.h"
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

// Nothing is started for them, and the run has not failed.
TEST(Faults, WithoutFaultPointsTheirScenariosAreSkippedInSoManyWords) {
  FaultOptions options;
  options.only = {"at_director_fence_crash"};
  options.lab.installation.agent = "/nonexistent/agent";
  testing::internal::CaptureStdout();
  EXPECT_TRUE(run_faults(options));
  EXPECT_EQ(testing::internal::GetCapturedStdout(),
            "SKIPPED  1 scenarios: this build has no fault points (ACTIVE_MASTER_FAULTS)\n"
            "0 passed, 0 failed\n");
}

TEST(Faults, WhatDoesNotExistIsNoSuccess) {
  FaultOptions options;
  options.only = {"no_such_scenario"};
  testing::internal::CaptureStdout();
  EXPECT_FALSE(run_faults(options));
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "0 passed, 0 failed\n");
}

// The table in docs/testing.md: each row of the scenarios once, with what tests it or why nothing
// does.
TEST(Coverage, EveryRowHasATestOrAReason) {
  std::ifstream table(ACTIVE_MASTER_SOURCE_DIR "/docs/testing.md");
  ASSERT_TRUE(table);
  const std::regex row(R"(S(0[1-9]|[1-5][0-9]|60)\b)");
  const std::regex line_of_table(R"(\| (S[0-9]{2}\b[^|]*) \| (\S[^|]*) \|)");
  std::multiset<std::string> covered;
  std::smatch cells;
  for (std::string line; std::getline(table, line) && !line.starts_with("<!-- lab:");) {
    if (!std::regex_match(line, cells, line_of_table)) continue;
    const std::string first = cells[1];
    for (std::sregex_iterator it(first.begin(), first.end(), row), end; it != end; ++it)
      covered.insert(it->str());
  }
  for (int number = 1; number <= 60; ++number) {
    const std::string name = (number < 10 ? "S0" : "S") + std::to_string(number);
    EXPECT_EQ(covered.count(name), 1U) << name;
  }
}

// Of those that are made by a table, one name stands for all points or phases.
std::string family(const std::string& name) {
  static const std::regex at(R"(at_([a-z]+)_.*_([a-z]+))"), in(R"(in_.*_([a-z]+_[a-z]+))");
  return std::regex_replace(std::regex_replace(name, at, "at_$1_*_$2"), in, "in_*_$1");
}

std::string rows_as_markdown() {
  std::map<std::string, std::set<std::string>> names;
  const std::regex row("S[0-9]{2}");
  for (const Scenario& scenario : scenarios()) {
    const std::string& rows = scenario.rows;
    for (std::sregex_iterator it(rows.begin(), rows.end(), row), end; it != end; ++it)
      names[it->str()].insert(family(scenario.name));
  }
  std::string text = "| row | scenarios of the lab |\n| --- | --- |\n";
  for (const auto& [id, all] : names) {
    text += "| " + id + " |";
    for (const auto& name : all) text += (name == *all.begin() ? " `" : ", `") + name + "`";
    text += " |\n";
  }
  return text;
}

TEST(Coverage, TheTableOfTheLabIsTheScenariosOwn) {
  const std::string path = ACTIVE_MASTER_SOURCE_DIR "/docs/testing.md";
  std::ifstream in(path);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  const auto begin = text.find('\n', text.find("<!-- lab:")) + 1;
  const auto end = text.find("<!-- end -->", begin);
  ASSERT_NE(end, std::string::npos);
  const std::string part = rows_as_markdown();
  if (std::getenv("ACTIVE_MASTER_UPDATE_DOCS") != nullptr) {
    std::ofstream(path) << text.replace(begin, end - begin, part);
    return;
  }
  EXPECT_EQ(text.substr(begin, end - begin), part)
      << "run lab_test with ACTIVE_MASTER_UPDATE_DOCS=1 and look at the difference";
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
