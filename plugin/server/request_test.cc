#include "plugin/server/request.h"

#include <gmock/gmock.h>

namespace active_master {
namespace {

using testing::AllOf;
using testing::Field;
using testing::VariantWith;

// Parses it, and gives the command.
template <typename Command>
Command parsed(const char* text) {
  const auto request = parse_request(text);
  if (!request || !std::holds_alternative<Command>(request->command)) {
    ADD_FAILURE() << "not understood: " << text;
    return {};
  }
  return std::get<Command>(request->command);
}

TEST(RequestTest, SaysWhatIsToBeDone) {
  EXPECT_EQ(parse_request("bootstrap 7")->id, SwitchoverId{7});
  EXPECT_EQ(parsed<BootstrapCommand>("bootstrap 7").id, SwitchoverId{7});
  EXPECT_EQ(parsed<RejoinCommand>("rejoin 18446744073709551615").id, SwitchoverId{UINT64_MAX});
  const auto switchover = [](bool is_check, bool is_failover, bool is_forced) {
    return AllOf(Field(&SwitchCommand::id, SwitchoverId{7}), Field(&SwitchCommand::target, "node2"),
                 Field(&SwitchCommand::check_only, is_check),
                 Field(&SwitchCommand::failover, is_failover),
                 Field(&SwitchCommand::forced, is_forced));
  };
  EXPECT_THAT(parsed<SwitchCommand>("switch 7 node2"), switchover(false, false, false));
  EXPECT_THAT(parsed<SwitchCommand>("check 7 node2"), switchover(true, false, false));
  EXPECT_THAT(parsed<SwitchCommand>("failover 7 node2"), switchover(false, true, false));
  EXPECT_THAT(parsed<SwitchCommand>("failover_check 7 node2"), switchover(true, true, false));
  EXPECT_THAT(parsed<SwitchCommand>("force_failover 7 node2"), switchover(false, true, true));
}

// The node or proxy refuses a name that can't be one, and says so.
TEST(RequestTest, TakesTheRestForTheName) {
  EXPECT_EQ(parsed<SwitchCommand>("switch 7 a b  '; DROP").target, "a b  '; DROP");
  EXPECT_EQ(parsed<SwitchCommand>("switch 7 ").target, "");
  EXPECT_EQ(parsed<RegisterProxy>("register 7 10.0.0.9 a b").proxy, "a b");
}

TEST(RequestTest, OfProxiesThatSpeakOnlySql) {
  EXPECT_EQ(parsed<RegisterProxy>("register 7 ::1 proxy1").ip, "::1");
  EXPECT_EQ(parsed<AcknowledgeProxy>("acknowledge 7 9 proxy1").switchover, SwitchoverId{9});
  const auto wait = parse_request("wait 7 12 3600000 proxy1")->wait;
  ASSERT_TRUE(wait);
  EXPECT_EQ(wait->after, 12u);
  EXPECT_EQ(wait->timeout, std::chrono::hours(1));
  EXPECT_EQ(wait->proxy, "proxy1");
  EXPECT_EQ(parse_request("wait 7 0 0 ")->wait->proxy, "");
}

TEST(RequestTest, RefusesWhatIsNone) {
  for (const char* text : {"",
                           " ",
                           "switch",
                           "switch ",
                           "switch node2",
                           "switch 0 node2",
                           "switch -1 node2",
                           "switch 7x node2",
                           "switch 18446744073709551616 node2",
                           "bootstrap",
                           "bootstrap 7 node2",
                           "rejoin 7 node2",
                           "Switch 7 node2",
                           "register 7 nowhere proxy1",
                           "register 7 10.0.0.9.9 p",
                           "acknowledge 7 0 proxy1",
                           "acknowledge 7 proxy1",
                           "wait 7 1 proxy1",
                           "wait 7 1 3600001 proxy1",
                           "stop 7 node2"}) {
    EXPECT_FALSE(parse_request(text)) << text;
  }
}

}  // namespace
}  // namespace active_master
