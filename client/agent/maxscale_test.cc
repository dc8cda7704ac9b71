// What the driver asks of MaxScale's REST API.
#include "client/agent/maxscale.h"

#include <gmock/gmock.h>

#include "client/agent/fake_maxscale.h"

namespace active_master::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const Target kServer1{1, {"node1", {"127.0.0.1", 1}}, {{"node2", {"127.0.0.1", 2}}}};
const Target kServer2{2, {"node2", {"localhost", 2}}, {{"node1", {"127.0.0.1", 1}}}};

class MaxscaleTest : public testing::Test {
 protected:
  Maxscale::Options options() const {
    Maxscale::Options options;
    options.rest = maxscale.address();
    options.account = {"agent", "secret"};
    options.monitor = "monitor";
    options.services = {"writes"};
    options.command_timeout = std::chrono::seconds(10);
    return options;
  }
  std::string failure(auto call) {
    try {
      call();
    } catch (const Failure& error) {
      return error.what();
    }
    return "";
  }

  FakeMaxscale maxscale;
  Maxscale driver{options()};
};

TEST_F(MaxscaleTest, HoldsAndOpens) {
  driver.hold({});
  EXPECT_EQ(maxscale.state(),
            "server1=Running server2=Running,Slave monitor=Stopped listener1=Stopped "
            "listener2=Stopped other=Running");
  driver.open(kServer2);
  EXPECT_EQ(
      maxscale.state(),
      "server1=Running server2=Master,Running monitor=Running listener1=Running listener2=Running "
      "other=Running");
}

TEST_F(MaxscaleTest, SaysForWhichSwitchoverItChangesWhat) {
  driver.hold({.switchover_id = 18446744073709551615U, .epoch = 2, .deadline = {}});
  const std::string note =
      R"({"active_master":{"epoch":2,"switchover_id":"18446744073709551615"}})";
  EXPECT_THAT(maxscale.bodies(), ElementsAre(note));
  driver.open(kServer2);
  EXPECT_THAT(maxscale.bodies(), ElementsAre(note));
  driver.open(kServer1);  // by no switchover
  EXPECT_THAT(maxscale.bodies(),
              ElementsAre(R"({"active_master":{"epoch":1,"switchover_id":"0"}})"));
}

TEST_F(MaxscaleTest, OpensTheOldMasterAgainAfterAnAbort) {
  driver.hold({});
  driver.open(kServer1);
  EXPECT_THAT(maxscale.state(),
              HasSubstr("server1=Master,Running server2=Running,Slave monitor=Running"));
}

TEST_F(MaxscaleTest, MovesWhatWasNotHeld) {
  driver.open(kServer2);
  EXPECT_THAT(maxscale.state(),
              HasSubstr("server1=Running server2=Master,Running monitor=Running"));
}

TEST_F(MaxscaleTest, LeavesAloneWhatIsDone) {
  driver.open(kServer1);
  EXPECT_EQ(maxscale.changes(), 0);
  driver.hold({});
  const int so_far = maxscale.changes();
  driver.hold({});
  EXPECT_EQ(maxscale.changes(), so_far);
}

TEST_F(MaxscaleTest, AnotherAgentGoesOnWhereOneWasKilled) {
  driver.hold({});
  Maxscale(options()).open(kServer2);
  EXPECT_THAT(maxscale.state(),
              HasSubstr("server2=Master,Running monitor=Running listener1=Running"));
}

TEST_F(MaxscaleTest, CountsWhatRunsOnTheOldMaster) {
  maxscale.set_operations("server1", 3);
  maxscale.set_operations("server2", 5);
  driver.hold({});
  EXPECT_EQ(driver.running(), 3);
  maxscale.set_operations("server1", 0);
  EXPECT_EQ(driver.running(), 0);
}

TEST_F(MaxscaleTest, NoticesAMonitorThatTakesAnotherMaster) {
  maxscale.on_monitor_start("server1");
  EXPECT_THAT(failure([&] { driver.open(kServer2); }),
              HasSubstr("take another server for the master"));
  maxscale.on_monitor_start("server2");
  driver.open(kServer2);
}

TEST_F(MaxscaleTest, RefusesAMonitorThatMovesTheRoleItself) {
  for (const char* rival :
       {"auto_failover", "auto_rejoin", "enforce_read_only_slaves", "enforce_writable_master"}) {
    maxscale.set_parameter("monitor", rival, true);
    EXPECT_THAT(failure([&] { driver.hold({}); }),
                HasSubstr("alter monitor monitor " + std::string(rival) + " false"));
    maxscale.set_parameter("monitor", rival, false);
  }
  maxscale.set_parameter("monitor", "auto_failover", "safe");
  EXPECT_THAT(failure([&] { (void)driver.check(); }), HasSubstr("auto_failover"));
  EXPECT_EQ(maxscale.changes(), 0);
}

TEST_F(MaxscaleTest, GivesAdvice) {
  EXPECT_THAT(driver.check(), IsEmpty());
  maxscale.set_parameter("service", "transaction_replay", false);
  EXPECT_THAT(driver.check(), ElementsAre(HasSubstr("transaction_replay true")));
  maxscale.set_router("readconnroute");
  EXPECT_THAT(driver.check(), ElementsAre(HasSubstr("readconnroute")));
}

TEST_F(MaxscaleTest, NamesWhatIsMissing) {
  Target elsewhere = kServer1;
  elsewhere.active = {"node3", {"127.0.0.1", 3}};
  EXPECT_THAT(failure([&] { driver.open(elsewhere); }),
              HasSubstr("maxctrl create server node3 127.0.0.1 3"));
  auto wrong = options();
  wrong.monitor = "nothing";
  EXPECT_THAT(failure([&] { Maxscale(wrong).hold({}); }),
              HasSubstr("/v1/monitors/nothing was answered by 404"));
}

TEST_F(MaxscaleTest, InstallsTheStatementOnceBeforeOtherFilters) {
  maxscale.have_filter("log");
  auto with = options();
  with.install_statement = true;
  Maxscale(with).open(kServer1);
  const int so_far = maxscale.changes();
  Maxscale(with).open(kServer1);
  EXPECT_EQ(maxscale.changes(), so_far);
  ASSERT_EQ(maxscale.filters().size(), 2);
  EXPECT_EQ(maxscale.filters()[1]["attributes"]["module"], "regexfilter");
  EXPECT_EQ(maxscale.filters()[1]["attributes"]["parameters"]["options"], "ignorecase");
  ASSERT_EQ(maxscale.service_filters().size(), 2);
  EXPECT_EQ(maxscale.service_filters()[0]["id"], "active-master-statement");
  EXPECT_EQ(maxscale.service_filters()[1]["id"], "log");
}

TEST_F(MaxscaleTest, SaysWhatIsWrongWithTheConnection) {
  auto wrong = options();
  wrong.account.password = "guess";
  const std::string denied = failure([&] { Maxscale(wrong).hold({}); });
  EXPECT_THAT(denied, HasSubstr("maxctrl create user"));
  EXPECT_EQ(denied.find("guess"), std::string::npos);
  maxscale.behave(FakeMaxscale::Manner::kGarbage);
  EXPECT_THAT(failure([&] { driver.hold({}); }), HasSubstr("no JSON"));
  maxscale.behave(FakeMaxscale::Manner::kHangs);
  auto impatient = options();
  impatient.command_timeout = std::chrono::milliseconds(200);
  EXPECT_THAT(failure([&] { Maxscale(impatient).hold({}); }), HasSubstr("no answer"));
  maxscale.stop();
  EXPECT_THAT(failure([&] { driver.hold({}); }), HasSubstr("is it running"));
}

}  // namespace
}  // namespace active_master::agent
