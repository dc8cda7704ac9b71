// The driver with programs that do what programs do.
#include "client/agent/exec.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "client/agent/testing.h"

namespace active_master::agent {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using Json = nlohmann::json;
namespace fs = std::filesystem;

class ExecTest : public testing::Test {
 protected:
  ExecTest() {
    std::string name = fs::temp_directory_path() / "exec_test.XXXXXX";
    if (mkdtemp(name.data()) == nullptr) std::abort();
    directory = name;
  }
  ~ExecTest() override { fs::remove_all(directory); }

  // A program of which $DIR is the directory; by itself it notes what it is given, in order.
  Exec driver(const std::string& body = "", milliseconds timeout = std::chrono::seconds(60)) {
    const fs::path program = directory / "program";
    std::ofstream(program) << "#!/bin/sh\nDIR='" << directory.string()
                           << "'\n[ $# = 1 ] || exit 9\n{ cat; } >>$DIR/calls\n"
                           << body << "\n";
    fs::permissions(program, fs::perms::owner_all);
    return Exec({program, timeout, "proxy1", "shop"});
  }
  std::vector<Json> calls() const {
    std::ifstream in(directory / "calls");
    std::vector<Json> all;
    for (std::string line; std::getline(in, line);) all.push_back(Json::parse(line));
    return all;
  }
  std::vector<std::string> actions() const {
    std::vector<std::string> all;
    for (const auto& call : calls()) all.push_back(call["action"]);
    return all;
  }

  fs::path directory;
  const client::Hold hold{18446744073709551615u, 2, client::Clock::now() + std::chrono::hours(1)};
  const Target target{2, {"b", {"127.0.0.1", 2}}, {{"a", {"::1", 1}}}};
};

TEST_F(ExecTest, TellsTheProgramEverything) {
  auto exec = driver();
  exec.hold(hold);
  exec.open(target);
  const auto all = calls();
  ASSERT_EQ(all.size(), 2);
  EXPECT_EQ(all[0]["action"], "hold");
  EXPECT_EQ(all[0]["proxy"], "proxy1");
  EXPECT_EQ(all[0]["cluster"], "shop");
  EXPECT_EQ(all[0]["epoch"], 2);
  EXPECT_EQ(all[0]["switchover_id"], "18446744073709551615");
  EXPECT_GT(all[0]["remaining_ms"], 0);
  EXPECT_EQ(all[1],
            Json::parse(R"({"action": "open", "proxy": "proxy1", "cluster": "shop", "epoch": 2,
      "active": {"node": "b", "host": "127.0.0.1", "port": 2},
      "standbys": [{"node": "a", "host": "::1", "port": 1}]})"));
}

TEST_F(ExecTest, VerifiesWhatIsDoneAndDoesItAgainWhenItIsUndone) {
  auto exec = driver("[ $1 != verify ] || [ ! -e $DIR/undone ]");
  exec.open(target);
  exec.open(target);
  std::ofstream(directory / "undone").put('\n');
  exec.open(target);
  EXPECT_EQ(actions(), (std::vector<std::string>{"open", "verify", "verify", "open"}));
  EXPECT_EQ(calls()[1]["state"], "open");
}

TEST_F(ExecTest, ReportsTheProgramsReason) {
  auto exec = driver("echo first; echo the socket is gone >&2; exit 3");
  EXPECT_THAT([&] { exec.hold(hold); },
              testing::ThrowsMessage<Failure>(HasSubstr("exit status 3: the socket is gone")));
  EXPECT_THAT([&] { (void)driver("kill -9 $$").check(); },
              testing::ThrowsMessage<Failure>(HasSubstr("signal 9")));
}

TEST_F(ExecTest, KillsAProgramThatTakesTooLongWithItsChildren) {
  pid_t child = 0;
  // A busy machine may take its time to start the program.
  for (milliseconds limit(200); child == 0; limit *= 2) {
    auto exec = driver("sleep 1000 & echo $! >$DIR/pid; wait", limit);
    EXPECT_THAT([&] { exec.hold(hold); },
                testing::ThrowsMessage<Failure>(HasSubstr("killed after")));
    std::ifstream(directory / "pid") >> child;
  }
  ASSERT_GT(child, 0);
  EXPECT_TRUE(eventually([&] {
    std::ifstream in("/proc/" + std::to_string(child) + "/stat");
    std::stringstream text;
    text << in.rdbuf();
    return text.str().empty() || text.str().find(") Z") != std::string::npos;
  }));
}

TEST_F(ExecTest, DoesNotWaitForAChildThatOutlivesTheProgram) {
  auto exec = driver("sleep 3 &");
  exec.hold(hold);
  EXPECT_EQ(actions(), std::vector<std::string>{"hold"});
}

TEST_F(ExecTest, SurvivesAProgramThatReadsNothingAndWritesMuch) {
  auto exec = driver();
  std::ofstream(directory / "program")
      << "#!/bin/sh\nexec <&-\nhead -c 1000000 /dev/zero | tr '\\0' x\n";
  exec.hold(hold);
}

TEST_F(ExecTest, GivesItTheSameEnvironmentEverywhere) {
  ::setenv("SOMETHING_OF_OURS", "secret", 1);
  auto exec = driver("env >$DIR/environment");
  exec.hold(hold);
  std::ifstream in(directory / "environment");
  std::set<std::string> names;
  for (std::string line; std::getline(in, line);) names.insert(line.substr(0, line.find('=')));
  for (const char* of_the_shell : {"PWD", "OLDPWD", "SHLVL", "_"}) names.erase(of_the_shell);
  EXPECT_EQ(names, (std::set<std::string>{"LC_ALL", "PATH"}));
}

TEST_F(ExecTest, SaysThatThereIsNoSuchProgram) {
  Exec exec({directory / "nothing", std::chrono::seconds(60), "proxy1", "shop"});
  EXPECT_THAT([&] { (void)exec.check(); },
              testing::ThrowsMessage<Failure>(HasSubstr("No such file or directory")));
}

}  // namespace
}  // namespace active_master::agent
