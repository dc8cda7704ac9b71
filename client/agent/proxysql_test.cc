// What the driver does to ProxySQL's admin tables.
#include "client/agent/proxysql.h"

#include <gmock/gmock.h>

#include "client/agent/fake_proxysql.h"
#include "client/agent/server_address.h"

namespace active_master::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int kWriter = 10;
constexpr int kReader = 20;

// --- The plan ---

ProxysqlServer server(int hostgroup, uint16_t port, const std::string& status = "ONLINE",
                      const std::string& comment = "") {
  return {hostgroup, {"127.0.0.1", port}, status, {{"comment", comment}, {"weight", "7"}}};
}

Target target(uint16_t active, const std::vector<uint16_t>& standbys) {
  Target result{2, {"active", {"127.0.0.1", active}}, {}};
  for (const auto port : standbys) result.standbys.push_back({"standby", {"127.0.0.1", port}});
  return result;
}

std::string text(const std::vector<ProxysqlServer>& servers) {
  std::vector<std::string> all;
  for (const auto& s : servers) {
    all.push_back(std::to_string(s.hostgroup) + ":" + std::to_string(s.address.port) + ":" +
                  s.status);
  }
  std::ranges::sort(all);
  std::string result;
  for (const auto& one : all) result += (result.empty() ? "" : " ") + one;
  return result;
}

constexpr Hostgroups kHostgroups{kWriter, kReader, false};
const std::string kMark = " (held by active_master)";

TEST(PlanServers, SwapsWriterAndReader) {
  const auto plan =
      plan_servers({server(kWriter, 1, "OFFLINE_SOFT", "big" + kMark), server(kReader, 2)},
                   target(2, {1}), kHostgroups, {});
  EXPECT_EQ(text(plan), "10:2:ONLINE 20:1:ONLINE");
  EXPECT_EQ(plan[1].settings.at("comment"), "big");
  EXPECT_EQ(plan[1].settings.at("weight"), "7");
}

TEST(PlanServers, FollowsWhatTheMonitorMovedAlready) {
  EXPECT_EQ(text(plan_servers(
                {server(kWriter, 2), server(kReader, 1, "OFFLINE_SOFT", kMark), server(kReader, 2)},
                target(2, {1}), kHostgroups, {})),
            "10:2:ONLINE 20:1:ONLINE");
  EXPECT_EQ(text(plan_servers({server(kWriter, 2), server(kReader, 1), server(kReader, 2)},
                              target(2, {1}), {kWriter, kReader, true}, {})),
            "10:2:ONLINE 20:1:ONLINE 20:2:ONLINE")
      << "where the writer is also a reader, it stays one";
}

TEST(PlanServers, LeavesAPersonsDecisionsAlone) {
  EXPECT_EQ(text(plan_servers({server(kWriter, 1), server(kReader, 2),
                               server(kReader, 3, "OFFLINE_SOFT"), server(kReader, 4, "SHUNNED")},
                              target(2, {1}), kHostgroups, {})),
            "10:2:ONLINE 20:1:ONLINE 20:3:OFFLINE_SOFT 20:4:SHUNNED");
}

TEST(PlanServers, KeepsTheLastReaderEvenIfItIsTheWriter) {
  EXPECT_EQ(text(plan_servers({server(kReader, 2)}, target(2, {}), kHostgroups, {})),
            "10:2:ONLINE 20:2:ONLINE");
}

TEST(PlanServers, AddsAnActiveMasterThatIsMissingLikeTheOldOne) {
  const auto plan = plan_servers({server(kWriter, 1)}, target(2, {1}), kHostgroups, {});
  EXPECT_EQ(text(plan), "10:2:ONLINE 20:1:ONLINE");
  EXPECT_EQ(plan[0].settings.at("weight"), "7");
  EXPECT_EQ(text(plan_servers({}, target(2, {1}), {kWriter, std::nullopt, false}, {})),
            "10:2:ONLINE");
}

TEST(PlanServers, GivesNoWritesToAServerThatNoNodeClaims) {
  EXPECT_EQ(
      text(plan_servers({server(kWriter, 1), server(kWriter, 9)}, target(1, {2}), kHostgroups, {})),
      "10:1:ONLINE 10:9:OFFLINE_SOFT 20:1:ONLINE");
}

TEST(PlanServers, TakesNothingOutThatMustStay) {
  EXPECT_EQ(text(plan_servers({server(kWriter, 1), server(kReader, 2)}, target(2, {1}), kHostgroups,
                              {{"127.0.0.1", 1}})),
            "10:1:OFFLINE_SOFT 10:2:ONLINE 20:1:ONLINE");
}

TEST(IsSameServer, KnowsNames) {
  EXPECT_TRUE(is_same_server({"localhost", 1}, {"127.0.0.1", 1}));
  EXPECT_FALSE(is_same_server({"localhost", 1}, {"127.0.0.1", 2}));
  EXPECT_FALSE(is_same_server({"no.such.name.invalid", 1}, {"127.0.0.1", 1}));
}

// --- The driver ---

class ProxysqlTest : public testing::Test {
 protected:
  ProxysqlTest() {
    proxysql.add_server(kWriter, {"127.0.0.1", 1}, "max_connections = 77");
    proxysql.add_server(kReader, {"127.0.0.1", 2});
  }
  Proxysql::Options options() const {
    Proxysql::Options options;
    options.admin = proxysql.address();
    options.account = {"agent", "secret"};
    options.writer_hostgroup = kWriter;
    options.reader_hostgroup = kReader;
    options.command_timeout = std::chrono::seconds(10);
    return options;
  }
  void statement_runs(uint16_t port, const std::string& command, const std::string& info) {
    proxysql.sql(
        "INSERT INTO stats_mysql_processlist (hostgroup, srv_host, srv_port, command, info) VALUES "
        "(10, "
        "'127.0.0.1', " +
        std::to_string(port) + ", '" + command + "', '" + info + "')");
  }
  // As the agent does it.
  static void open(Proxysql& with, const Target& to) {
    with.open(to);
    if (with.has_more()) with.open(to);
    EXPECT_FALSE(with.has_more());
  }
  void open(const Target& to) { open(driver, to); }
  std::string failure(auto call) {
    try {
      call();
    } catch (const Failure& error) {
      return error.what();
    }
    return "";
  }

  FakeProxysql proxysql;
  Proxysql driver{options()};
};

TEST_F(ProxysqlTest, HoldsTheWriterAndOpensTheNewOne) {
  driver.hold({});
  EXPECT_EQ(proxysql.servers(), "10:1:OFFLINE_SOFT 20:2:ONLINE");
  open(target(2, {1}));
  EXPECT_EQ(proxysql.servers(), "10:2:ONLINE 20:1:ONLINE");
  EXPECT_EQ(proxysql.servers("mysql_servers"), proxysql.servers());
  EXPECT_EQ(proxysql.servers("disk_mysql_servers"), proxysql.servers()) << "for the next start";
  EXPECT_EQ(
      proxysql.sql("SELECT max_connections, comment FROM runtime_mysql_servers WHERE port = 1"),
      "77|");
}

// What takes longer is left for a second call.
TEST_F(ProxysqlTest, OpensTrafficBeforeAnythingElse) {
  driver.hold({});
  driver.open(target(2, {1}));
  EXPECT_EQ(proxysql.servers(), "10:1:OFFLINE_SOFT 10:2:ONLINE 20:1:ONLINE");
  EXPECT_EQ(proxysql.servers("disk_mysql_servers"), "10:1:ONLINE 20:2:ONLINE");
  EXPECT_TRUE(driver.has_more());
  driver.open(target(2, {1}));
  EXPECT_EQ(proxysql.servers(), "10:2:ONLINE 20:1:ONLINE");
  EXPECT_EQ(proxysql.servers("disk_mysql_servers"), proxysql.servers());
  EXPECT_FALSE(driver.has_more());
}

// It is ProxySQL's own to say so, again and again.
TEST_F(ProxysqlTest, DoesNotWriteThatAServerIsShunned) {
  proxysql.add_server(kReader, {"127.0.0.1", 3});
  proxysql.sql("UPDATE runtime_mysql_servers SET status = 'SHUNNED' WHERE port = 3");
  open(target(2, {1, 3}));
  EXPECT_EQ(proxysql.servers("mysql_servers"), "10:2:ONLINE 20:1:ONLINE 20:3:ONLINE");
  const int so_far = proxysql.loads();
  proxysql.sql("UPDATE runtime_mysql_servers SET status = 'SHUNNED' WHERE port = 3");
  open(target(2, {1, 3}));
  EXPECT_EQ(proxysql.loads(), so_far);
}

TEST_F(ProxysqlTest, OpensTheOldOneAgainAfterAnAbort) {
  driver.hold({});
  open(target(1, {2}));
  EXPECT_EQ(proxysql.servers(), "10:1:ONLINE 20:2:ONLINE");
}

TEST_F(ProxysqlTest, LeavesAloneWhatIsDone) {
  open(target(1, {2}));
  EXPECT_EQ(proxysql.loads(), 0);
  driver.hold({});
  driver.hold({});
  EXPECT_EQ(proxysql.loads(), 1);
  open(target(2, {1}));
  EXPECT_EQ(proxysql.loads(), 3) << "the new one in, the old one out";
  open(target(2, {1}));
  EXPECT_EQ(proxysql.loads(), 3);
}

// The monitor changes what runs, not the admin's table: a plain LOAD would undo it.
TEST_F(ProxysqlTest, KeepsWhatTheMonitorMoved) {
  proxysql.sql(
      "INSERT INTO runtime_mysql_servers (hostgroup_id, hostname, port) VALUES (20, '127.0.0.1', "
      "3)");
  driver.hold({});
  EXPECT_EQ(proxysql.servers(), "10:1:OFFLINE_SOFT 20:2:ONLINE 20:3:ONLINE");
  proxysql.sql("UPDATE runtime_mysql_servers SET hostgroup_id = 20 WHERE port = 1");
  open(target(2, {1, 3}));
  EXPECT_EQ(proxysql.servers(), "10:2:ONLINE 20:1:ONLINE 20:3:ONLINE");
}

TEST_F(ProxysqlTest, NoWriterThatServesIsTakenOut) {
  statement_runs(1, "Query", "INSERT INTO t VALUES (1)");
  open(target(2, {1}));  // a failover: nothing was held before
  EXPECT_EQ(proxysql.servers(), "10:1:OFFLINE_SOFT 10:2:ONLINE 20:1:ONLINE");
  proxysql.sql("DELETE FROM stats_mysql_processlist");
  open(target(2, {1}));
  EXPECT_EQ(proxysql.servers(), "10:2:ONLINE 20:1:ONLINE");
  EXPECT_EQ(proxysql.cut(), 0);
}

TEST_F(ProxysqlTest, DoesNotCutTheCallThatItWorksFor) {
  driver.hold({});
  statement_runs(1, "Query", "CALL active_master.set_active_master(''node2'')");
  open(target(2, {1}));
  EXPECT_EQ(proxysql.servers(), "10:1:OFFLINE_SOFT 10:2:ONLINE 20:1:ONLINE");
  EXPECT_EQ(proxysql.cut(), 0);
  proxysql.sql("DELETE FROM stats_mysql_processlist");
  open(target(2, {1}));
  EXPECT_EQ(proxysql.servers(), "10:2:ONLINE 20:1:ONLINE");
}

TEST_F(ProxysqlTest, AnAgentThatStartsAnewKnowsWhatWasHeld) {
  driver.hold({});
  Proxysql again(options());
  open(again, target(1, {2}));
  EXPECT_EQ(proxysql.servers(), "10:1:ONLINE 20:2:ONLINE");
  EXPECT_EQ(proxysql.sql("SELECT COUNT(*) FROM mysql_servers WHERE comment <> ''"), "0");
}

TEST_F(ProxysqlTest, RepairsARestartedProxysql) {
  driver.hold({});
  open(target(2, {1}));
  proxysql.sql(
      "DELETE FROM disk_mysql_servers; INSERT INTO disk_mysql_servers (hostgroup_id, hostname, "
      "port) "
      "VALUES (10, '127.0.0.1', 1)");
  proxysql.restart();
  EXPECT_NE(failure([&] { open(target(2, {1})); }), "") << "the connection is gone";
  open(target(2, {1}));
  EXPECT_EQ(proxysql.servers(), "10:2:ONLINE 20:1:ONLINE");
}

TEST_F(ProxysqlTest, NamesAWriterThatNoNodeClaimsAsLongAsItIsThere) {
  proxysql.add_server(kWriter, {"127.0.0.1", 9});
  open(target(1, {2}));
  EXPECT_EQ(proxysql.servers(), "10:1:ONLINE 10:9:OFFLINE_SOFT 20:2:ONLINE");
  open(target(1, {2}));
  EXPECT_THAT(driver.warning(), HasSubstr("127.0.0.1:9 in hostgroup 10 is no node"));
  open(target(1, {2, 9}));
  EXPECT_EQ(driver.warning(), "") << "it was heard";
}

TEST_F(ProxysqlTest, NoticesAnotherHandInTheTables) {
  proxysql.after_load("UPDATE runtime_mysql_servers SET status = 'ONLINE'");
  EXPECT_THAT(failure([&] { driver.hold({}); }), HasSubstr("still serves"));
  proxysql.after_load("UPDATE runtime_mysql_servers SET status = 'OFFLINE_SOFT'");
  EXPECT_THAT(failure([&] { open(target(2, {1})); }), HasSubstr("aren't as they were written"));
}

// --- The statement ---

TEST_F(ProxysqlTest, InstallsTheStatementOnceAndOnRequestOnly) {
  open(target(1, {2}));
  EXPECT_EQ(proxysql.sql("SELECT COUNT(*) FROM mysql_query_rules"), "0");
  auto with = options();
  with.install_statement = true;
  for (int i = 0; i < 2; ++i) {
    Proxysql again(with);
    open(again, target(1, {2}));
  }
  EXPECT_EQ(
      proxysql.sql(
          "SELECT rule_id, active, re_modifiers, destination_hostgroup, apply, replace_pattern "
          "FROM runtime_mysql_query_rules"),
      "1|1|CASELESS|10|1|CALL active_master.set_active_master('\\1\\2\\3\\4')");
}

TEST_F(ProxysqlTest, DoesNotOverwriteAnotherRule) {
  proxysql.sql("INSERT INTO mysql_query_rules (rule_id, match_pattern) VALUES (1, '^SELECT')");
  auto with = options();
  with.install_statement = true;
  EXPECT_THAT(failure([&] { Proxysql(with).open(target(1, {2})); }),
              HasSubstr("--proxysql-statement-rule"));
  EXPECT_EQ(proxysql.sql("SELECT match_pattern FROM mysql_query_rules"), "^SELECT");
}

// --- What ProxySQL must be ---

TEST_F(ProxysqlTest, HasNoAdviceForAGoodOne) {
  EXPECT_THAT(driver.check(), IsEmpty());
}

TEST_F(ProxysqlTest, GivesAdvice) {
  proxysql.sql(
      "UPDATE runtime_global_variables SET variable_value = '10000' WHERE variable_name LIKE "
      "'%server_max'");
  proxysql.sql(
      "UPDATE runtime_global_variables SET variable_value = '5' WHERE variable_name LIKE "
      "'%multiplex'");
  proxysql.sql(
      "UPDATE runtime_global_variables SET variable_value = '0' WHERE variable_name LIKE "
      "'%failure'");
  proxysql.sql("INSERT INTO runtime_proxysql_servers VALUES ('127.0.0.1', 6032, 0, '')");
  EXPECT_THAT(
      driver.check(),
      ElementsAre(HasSubstr("set it to 30000"), HasSubstr("auto_increment_delay_multiplex=0"),
                  HasSubstr("query_retries_on_failure=1"), HasSubstr("diffs_before_sync=0")));
}

TEST_F(ProxysqlTest, AgreesWithReplicationHostgroups) {
  proxysql.sql("INSERT INTO runtime_mysql_replication_hostgroups VALUES (10, 20, 'read_only', '')");
  EXPECT_THAT(driver.check(), IsEmpty());
  proxysql.sql("UPDATE runtime_mysql_replication_hostgroups SET reader_hostgroup = 30");
  EXPECT_THAT(failure([&] { (void)driver.check(); }), HasSubstr("writer 10 and reader 30"));
  EXPECT_THAT(failure([&] { open(target(1, {2})); }), HasSubstr("--proxysql-reader"));
}

TEST_F(ProxysqlTest, SaysWhatIsWrongWithTheConnection) {
  auto wrong = options();
  wrong.account.password = "guess";
  const std::string denied = failure([&] { Proxysql(wrong).hold({}); });
  EXPECT_THAT(denied, HasSubstr("Access denied"));
  EXPECT_THAT(denied, HasSubstr("admin-admin_credentials"));
  EXPECT_EQ(denied.find("guess"), std::string::npos);
  proxysql.stop();
  EXPECT_THAT(failure([&] { driver.hold({}); }), HasSubstr(options().admin.to_string()));
}

TEST_F(ProxysqlTest, SurvivesGarbageAndSilence) {
  proxysql.behave(FakeProxysql::Manner::kGarbage);
  EXPECT_THAT(failure([&] { driver.hold({}); }), HasSubstr("is this its admin port"));
  proxysql.behave(FakeProxysql::Manner::kHangs);
  auto impatient = options();
  impatient.command_timeout = std::chrono::seconds(3);
  EXPECT_NE(failure([&] { Proxysql(impatient).hold({}); }), "");
  proxysql.behave(FakeProxysql::Manner::kWell);
  Proxysql in_the_middle(impatient);
  (void)in_the_middle.check();
  proxysql.behave(FakeProxysql::Manner::kHangs);
  EXPECT_NE(failure([&] { in_the_middle.hold({}); }), "");
}

}  // namespace
}  // namespace active_master::agent
