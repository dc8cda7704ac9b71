#include "plugin/net/codec.h"

#include <gtest/gtest.h>

#include <random>

#include "client/protocol/names.h"

namespace active_master {
namespace {

using protocol::Frame;

template <typename Message>
Message round_trip(const Message& message) {
  const auto back = node_message_from_wire(to_wire(NodeMessage(message)));
  EXPECT_TRUE(back && std::holds_alternative<Message>(*back));
  return back ? std::get<Message>(*back) : Message{};
}

NodeState some_state() {
  NodeState state;
  state.node = "node1";
  state.role = Role::kActive;
  state.epoch = {7};
  state.activation = Activation{{7}, "node1", "127.0.0.1:3306", {99}};
  state.pause = PauseNotice{{100}, {8}, Duration{1'500'000}};
  state.phase = Phase::kPause;
  state.sql_address = "127.0.0.1:3306";
  state.gtid_position = "0-1-5";
  state.server_id = 3;
  state.pace = Duration{500};
  return state;
}

TEST(Codec, MessagesArriveAsTheyWereSent) {
  const auto state = round_trip(some_state());
  EXPECT_EQ(state.activation->epoch, Epoch{7});
  EXPECT_EQ(state.activation->sql_address, "127.0.0.1:3306");
  EXPECT_EQ(state.pause->epoch, Epoch{8});
  EXPECT_EQ(state.pause->remaining, Duration{1'500'000});
  EXPECT_EQ(state.phase, Phase::kPause);
  EXPECT_EQ(state.role, Role::kActive);
  EXPECT_EQ(state.pace, Duration{500});

  const auto offer = round_trip(Offer{{1}, {2}, "node2", "0-1-9", true, Duration{3'000'000}});
  EXPECT_EQ(offer.candidate, "node2");
  EXPECT_TRUE(offer.granted);
  EXPECT_EQ(offer.gtid, "0-1-9");

  SwitchoverReport report;
  report.id = {5};
  report.result = Result::kAborted;
  report.error = "why";
  report.phases = {{Phase::kDrain, Duration{12}}};
  report.checks = {{"node2", "binlog", Verdict::kWarning, "detail", "remedy"}};
  report.write_pause = Duration{4};
  report.predicted_pause = Duration{5};
  const auto back = round_trip(report);
  EXPECT_EQ(back.result, Result::kAborted);
  EXPECT_EQ(back.phases.at(0).phase, Phase::kDrain);
  EXPECT_EQ(back.checks.at(0).verdict, Verdict::kWarning);
  EXPECT_EQ(back.checks.at(0).node, "node2");
  EXPECT_EQ(back.write_pause, Duration{4});
  EXPECT_EQ(back.predicted_pause, Duration{5});

  EXPECT_EQ(round_trip(SwitchRequest{{1}, "no'de", "node1", true}).target, "no'de")
      << "the core refuses it, in words";
}

TEST(Codec, RefusesWhatNoNodeOfOursSends) {
  const auto refused = [](auto change) {
    Frame frame = to_wire(some_state());
    change(*frame.mutable_node_state());
    return !node_message_from_wire(frame);
  };
  EXPECT_FALSE(refused([](auto&) {}));
  EXPECT_TRUE(refused([](auto& s) { s.set_node("a'b"); }));
  EXPECT_TRUE(refused([](auto& s) { s.set_role(protocol::ROLE_UNKNOWN); }));
  EXPECT_TRUE(refused([](auto& s) { s.set_phase("LUNCH"); }));
  EXPECT_TRUE(refused([](auto& s) { s.set_sql_address("no port"); }));
  EXPECT_TRUE(refused([](auto& s) { s.mutable_activation()->set_node(""); }));
  EXPECT_TRUE(refused([](auto& s) { s.set_gtid_position(std::string(5000, '1')); }));
  EXPECT_FALSE(node_message_from_wire(Frame{}));
  Frame hello;
  hello.mutable_hello();
  EXPECT_FALSE(node_message_from_wire(hello));
  Frame proxy;
  proxy.mutable_proxy_state();
  EXPECT_FALSE(node_message_from_wire(proxy)) << "a proxy's message from a node";
  EXPECT_FALSE(proxy_state_from_wire(to_wire(some_state()))) << "a node's message from a proxy";
  Frame report = to_wire(NodeMessage(SwitchoverReport{}));
  EXPECT_FALSE(node_message_from_wire(report)) << "without an id";
}

// Whatever parses as a frame is either refused or gives sound values; nothing crashes.
TEST(Codec, SurvivesRandomBytes) {
  std::mt19937 random(7);
  const std::string good = to_wire(some_state()).SerializeAsString();
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = good;
    for (int change = 0; change < 4; ++change)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    Frame frame;
    if (!frame.ParseFromString(bytes)) continue;
    const auto message = node_message_from_wire(frame);
    if (message && std::holds_alternative<NodeState>(*message)) {
      const auto& state = std::get<NodeState>(*message);
      EXPECT_TRUE(state.node.empty() || is_valid_name(state.node));
    }
  }
}

}  // namespace
}  // namespace active_master
