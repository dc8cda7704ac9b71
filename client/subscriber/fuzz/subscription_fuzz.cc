// Anything that nodes can say to a proxy, in any order, between the answers of its handler: it
// never routes to a lower epoch than before.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstdlib>

#include "client/protocol/frame.h"
#include "client/subscriber/subscription.h"

using namespace active_master;
using namespace active_master::client;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  Subscription subscription({"proxy1", "gate", {"a", "b"}});
  Clock::time_point now{};
  subscription.start(now);
  uint64_t opened = 0;
  uint64_t held = 0;
  uint64_t highest = 0;
  for (int step = 0; step < 64 && input.remaining_bytes() > 0; ++step) {
    switch (input.ConsumeIntegralInRange(0, 5)) {
      case 0:
      case 1: {
        protocol::Frame frame;
        if (!frame.ParseFromString(input.ConsumeRandomLengthString())) break;
        frame.mutable_node_state()->set_node(input.ConsumeBool() ? "a" : "b");
        (void)subscription.heard(frame.node_state(), now);
        break;
      }
      case 2:
        now += std::chrono::milliseconds(input.ConsumeIntegralInRange(0, 5000));
        subscription.tick(now);
        break;
      case 3:
        subscription.opened(opened);
        break;
      case 4:
        subscription.held(held);
        break;
      default:
        subscription.lost(input.ConsumeBool() ? "a" : "b");
    }
    for (const auto& action : subscription.take_actions()) {
      if (const auto* route = std::get_if<Route>(&action)) {
        if (route->epoch < highest) std::abort();
        highest = opened = route->epoch;
      } else if (const auto* hold = std::get_if<Hold>(&action)) {
        held = hold->epoch;
      }
    }
    (void)subscription.take_fired();
    (void)subscription.last_error();
  }
  return 0;
}
