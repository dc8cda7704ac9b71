#include <errmsg.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "client/cli/chart.h"
#include "client/cli/commands.h"
#include "client/cli/connect_options.h"
#include "client/cli/render.h"
#include "client/cli/trace.h"
#include "client/protocol/test_credentials.h"

namespace active_master::cli {
namespace {

using sql::Error;
using sql::Setting;
using testing::ElementsAre;

sql::ResultSet phases() {
  return {{{"PHASE", false}, {"DURATION_US", true}, {"DETAIL", false}},
          {{"CHECK", "1234", std::nullopt}, {"CATCH_UP", "86000", "node2 applied 0-1-42"}}};
}

TEST(Table, AlignsColumnsAndShowsMicrosecondsAsMilliseconds) {
  EXPECT_EQ(table(phases()),
            "PHASE     DURATION_MS  DETAIL\n"
            "CHECK            1.23  -\n"
            "CATCH_UP        86.00  node2 applied 0-1-42\n");
}

TEST(Table, CountsCharactersNotBytes) {
  EXPECT_EQ(table({{{"A", false}, {"B", false}}, {{"\xC3\xA4", "x"}, {"b", "y"}}}),
            "A  B\n\xC3\xA4  x\nb  y\n");
}

TEST(Table, WithoutRows) {
  EXPECT_EQ(table({{{"A", false}}, {}}), "(none)\n");
}

TEST(Record, OneLineForEachColumn) {
  EXPECT_EQ(record({{{"NODE", false}, {"EPOCH", true}}, {{"node1", "7"}}}),
            " NODE: node1\nEPOCH: 7\n");
}

TEST(Select, KeepsTheGivenOrderAndSkipsUnknownColumns) {
  EXPECT_EQ(table(select(phases(), {"DETAIL", "NO_SUCH", "PHASE"})),
            "DETAIL                PHASE\n"
            "-                     CHECK\n"
            "node2 applied 0-1-42  CATCH_UP\n");
}

TEST(JsonRows, NumbersNullsAndLowerCaseKeys) {
  EXPECT_EQ(json_rows(phases()).dump(),
            R"([{"phase":"CHECK","duration_us":1234,"detail":null},)"
            R"({"phase":"CATCH_UP","duration_us":86000,"detail":"node2 applied 0-1-42"}])");
}

TEST(JsonRows, AnUnsignedValueBeyondInt64StaysExact) {
  EXPECT_EQ(json_rows({{{"ID", true}}, {{"18446744073709551615"}}}).dump(),
            R"([{"id":18446744073709551615}])");
}

TEST(JsonError, HoldsWhatTheServerSaid) {
  EXPECT_EQ(json_error(Error(Error::Stage::kStatement, 4301, "HY000", "refused")).dump(),
            R"({"number":4301,"sqlstate":"HY000","text":"refused"})");
}

TEST(ExitCodes, FollowWhatIsKnownAboutTheOutcome) {
  const Error no_server(Error::Stage::kConnect, CR_CONN_HOST_ERROR, "HY000", "");
  const Error lost(Error::Stage::kStatement, CR_SERVER_LOST, "HY000", "");
  const Error gone(Error::Stage::kStatement, CR_SERVER_GONE_ERROR, "HY000", "");
  const Error refused(Error::Stage::kStatement, 1644, "45000", "");
  EXPECT_EQ(exit_code(no_server, Action::kRead), ExitCode::kNoServer);
  EXPECT_EQ(exit_code(no_server, Action::kSwitch), ExitCode::kNoServer);
  EXPECT_EQ(exit_code(lost, Action::kRead), ExitCode::kNoServer);
  EXPECT_EQ(exit_code(lost, Action::kSwitch), ExitCode::kUnknown);
  EXPECT_EQ(exit_code(gone, Action::kSwitch), ExitCode::kUnknown);
  EXPECT_EQ(exit_code(refused, Action::kRead), ExitCode::kRefused);
  EXPECT_EQ(exit_code(refused, Action::kSwitch), ExitCode::kRefused);
}

TEST(ExitCodes, TheServerItselfMayNotKnowTheOutcome) {
  const Error unknown(Error::Stage::kStatement, 33318, "AM000", "");
  EXPECT_EQ(exit_code(unknown, Action::kSwitch), ExitCode::kUnknown);
}

TEST(ExitCodes, ALostConnectionWhileConnectingChangedNothing) {
  const Error error(Error::Stage::kConnect, CR_SERVER_LOST, "HY000", "");
  EXPECT_EQ(exit_code(error, Action::kSwitch), ExitCode::kNoServer);
}

TEST(Password, IsTakenAsTheUsualClientsDo) {
  std::vector<std::string> arguments = {"status", "--password=a=b", "--port=1"};
  PasswordArgument password = take_password(arguments);
  EXPECT_TRUE(password.given);
  EXPECT_EQ(password.value, "a=b");
  EXPECT_THAT(arguments, ElementsAre("status", "--port=1"));

  arguments = {"-psecret", "status"};
  password = take_password(arguments);
  EXPECT_EQ(password.value, "secret");

  arguments = {"--password", "status"};
  password = take_password(arguments);
  EXPECT_TRUE(password.ask);
  EXPECT_FALSE(password.given);
  EXPECT_THAT(arguments, ElementsAre("status"));

  arguments = {"--password=", "status"};
  password = take_password(arguments);
  EXPECT_TRUE(password.given);
  EXPECT_EQ(password.value, "");
}

TEST(Settings, AreAppliedByName) {
  sql::Options options;
  EXPECT_TRUE(apply({"host", "db1"}, options));
  EXPECT_TRUE(apply({"port", "3307"}, options));
  EXPECT_TRUE(apply({"ssl", ""}, options));
  EXPECT_FALSE(apply({"prompt", "x"}, options));
  EXPECT_EQ(options.host, "db1");
  EXPECT_EQ(options.port, 3307);
  EXPECT_TRUE(options.tls.required);
  EXPECT_TRUE(apply({"skip_ssl", ""}, options));
  EXPECT_FALSE(options.tls.required);
  EXPECT_THROW(apply({"port", "65536"}, options), OptionError);
  EXPECT_THROW(apply({"port", ""}, options), OptionError);
}

class OptionFileTest : public testing::Test {
 protected:
  OptionFileTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "cli_test.XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
  }
  ~OptionFileTest() override { std::filesystem::remove_all(directory_); }

  std::filesystem::path write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / name) << text;
    return directory_ / name;
  }

  std::filesystem::path directory_;
};

TEST_F(OptionFileTest, ReadsTheWantedGroupsOnly) {
  const auto file = write("a.cnf",
                          "# comment\n; another\nuser=outside\n[mysqld]\nport=1\n"
                          "[client]\nhost = db1\nssl-ca=/x # why\n[ active-master ]\n"
                          "loose-connect-timeout=5\nssl\n");
  EXPECT_THAT(sql::read_option_file(file, option_groups()),
              ElementsAre(Setting{"host", "db1"}, Setting{"ssl_ca", "/x"},
                          Setting{"connect_timeout", "5"}, Setting{"ssl", ""}));
}

TEST_F(OptionFileTest, ValuesMayBeQuotedAndEscaped) {
  const auto file = write("a.cnf",
                          "[client]\npassword=\"a # b\" # c\nuser='x'\nhost=a\\sb\nsocket=/x#y\n"
                          "ssl_key=a\\qb\n");
  EXPECT_THAT(
      sql::read_option_file(file, option_groups()),
      ElementsAre(Setting{"password", "a # b"}, Setting{"user", "x"}, Setting{"host", "a b"},
                  Setting{"socket", "/x#y"}, Setting{"ssl_key", "a\\qb"}));
}

TEST_F(OptionFileTest, FollowsIncludes) {
  std::filesystem::create_directory(directory_ / "d");
  write("d/2.cnf", "[client]\nport=2\n");
  write("d/1.cnf", "[client]\nport=1\n");
  write("d/3.txt", "[client]\nport=3\n");
  write("one", "[client]\nuser=u\n");
  const auto file = write("a.cnf", "!include " + (directory_ / "one").string() + "\n!includedir " +
                                       (directory_ / "d").string() + "\n!include /no/such/file\n");
  EXPECT_THAT(sql::read_option_file(file, option_groups()),
              ElementsAre(Setting{"user", "u"}, Setting{"port", "1"}, Setting{"port", "2"}));
}

TEST_F(OptionFileTest, AFileThatIncludesItselfEnds) {
  const auto file = write("a.cnf", "!include " + (directory_ / "a.cnf").string() + "\n");
  EXPECT_TRUE(sql::read_option_file(file, option_groups()).empty());
}

TEST_F(OptionFileTest, AMissingFileThatWasAskedForIsAnError) {
  EXPECT_THROW((void)sql::read_option_files({.none = false, .only = directory_ / "x", .extra = {}},
                                            option_groups()),
               sql::OptionFileError);
}

TEST(SqlClient, AServerThatIsNotThereIsAConnectError) {
  sql::Options options;
  options.socket = "/nonexistent/socket";
  try {
    const sql::Connection connection(options);
    FAIL() << "connected";
  } catch (const Error& error) {
    EXPECT_EQ(error.stage(), Error::Stage::kConnect);
    EXPECT_EQ(error.number(), static_cast<unsigned>(CR_CONNECTION_ERROR));
    EXPECT_FALSE(error.connection_lost());
  }
}

// What is printed is a secret file for that proxy; the secret itself is not in it.
TEST(ProxyKey, IsALineForEachSecret) {
  const protocol::TestDirectory directory;
  const auto file = directory.write("secret", "the-secret-of-the-cluster\n");
  testing::internal::CaptureStdout();
  EXPECT_EQ(proxy_key(file, "shop", "proxy1"), ExitCode::kDone);
  const auto printed = testing::internal::GetCapturedStdout();
  const auto own = protocol::must_load({.secret = directory.write("own", printed)});
  const auto secret = protocol::must_load({.secret = file});
  ASSERT_EQ(own->secrets().size(), 1);
  EXPECT_TRUE(own->has_proxy_key());
  EXPECT_EQ(own->secrets()[0].key, protocol::proxy_key(secret->secrets()[0].key, "shop", "proxy1"));

  EXPECT_EQ(proxy_key(directory.path("missing"), "shop", "proxy1"), ExitCode::kUsage);
  EXPECT_EQ(proxy_key(directory.path("own"), "shop", "proxy1"), ExitCode::kUsage)
      << "a key can't be derived from a key";
}

TEST(BarChart, IsWellFormedAndKeepsTheProportions) {
  const std::string svg =
      bar_chart("a < b", "ms",
                {{"whole", {{"x", 30}, {"y", 10}}}, {"half", {{"", 5}, {"x", 20}}}, {"none", {}}});
  EXPECT_NE(svg.find("a &lt; b"), std::string::npos);
  const auto width_of = [&svg](const std::string& title) {
    const auto end = svg.find("><title>" + title);
    const auto start = svg.rfind("width=\"", end) + 7;
    return std::stod(svg.substr(start, svg.find('"', start) - start));
  };
  EXPECT_DOUBLE_EQ(width_of("x: 30.0 ms"), 3 * width_of("y: 10.0 ms"));
  EXPECT_DOUBLE_EQ(width_of("x: 30.0 ms"), 1.5 * width_of("x: 20.0 ms"));
  EXPECT_NE(svg.find(">40.0 ms<"), std::string::npos);
  EXPECT_NE(svg.find(">20.0 ms<"), std::string::npos) << "a gap is not counted";
}

TEST(Trace, TheClockIsReadHalfWayBetweenQuestionAndAnswer) {
  const auto offset = clock_offset(1000, 5030, 1060);
  EXPECT_EQ(offset.ahead, 4000);
  EXPECT_EQ(offset.uncertainty, 30);
}

TEST(Trace, StatesAreWhatLiesBetweenTwoChangesOnOurClock) {
  const sql::ResultSet events{{{"TIME_US", true}, {"FROM_STATE", false}, {"TO_STATE", false}},
                              {{"1100", "CHECK", "APPROACH"},
                               {"1200", "APPROACH", "APPROACH"},
                               {"1300", "APPROACH", "INTENT"},
                               {"1350", "INTENT", "PAUSE"}}};
  const auto spans = states("node1", events, 100);
  ASSERT_EQ(spans.size(), 2U);
  EXPECT_EQ(spans[0].what, "APPROACH");
  EXPECT_EQ(spans[0].from, 1000);
  EXPECT_EQ(spans[0].to, 1200);
  EXPECT_EQ(spans[1].what, "INTENT");
  EXPECT_EQ(spans[1].to, 1250);
}

TEST(Trace, CountsFromThePauseAndLeavesOutWhatWasBefore) {
  const Trace trace{7,
                    "SWITCHOVER 7",
                    {{"node1", "APPROACH", 1'000'000, 9'000'000},
                     {"node1", "PAUSE", 9'000'000, 9'002'000},
                     {"proxy1", "holds", 9'001'000, 9'006'000}},
                    {"the clock of node1 is exact"}};
  const auto text = trace_text(trace);
  EXPECT_THAT(text, testing::HasSubstr("-8000.00"));
  EXPECT_THAT(text, testing::HasSubstr("Note: the clock of node1 is exact.\n"));
  const auto svg = trace_svg(trace);
  EXPECT_THAT(svg, testing::Not(testing::HasSubstr("APPROACH")));
  EXPECT_THAT(svg, testing::HasSubstr(">proxy1 holds<"));
  EXPECT_THAT(svg, testing::HasSubstr(">5.0 ms<"));
}

}  // namespace
}  // namespace active_master::cli
