// Any messages of a peer and a proxy, through the codec, to a node in any state, between finished
// jobs and the passing of time: it goes on, and its epoch never falls.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstdlib>

#include "plugin/core/node.h"
#include "plugin/net/codec.h"

using namespace active_master;

namespace {

Config config(bool votes = false) {
  Config result;
  result.identity.cluster = "cluster";
  result.identity.node = "node1";
  result.identity.server_id = 1;
  result.peers = {{"node2", {"127.0.0.1", 2}}, {"node3", {"127.0.0.1", 3}}};
  result.sql_address = "127.0.0.1:3306";
  result.server_version = "10.11.0";
  if (votes) {
    result.witnesses = {{"w", {"127.0.0.1", 4}}};
    result.voters = {"node1", "node2", "w"};
    result.auto_failover = true;
  }
  return result;
}

Durable durable(FuzzedDataProvider& input) {
  Durable result;
  if (input.ConsumeBool()) return result;
  result.identity = config().identity;
  result.epoch = {5};
  result.role = input.ConsumeBool() ? Role::kActive : Role::kStandby;
  result.active_node = result.role == Role::kActive ? "node1" : "node2";
  result.active_address = "127.0.0.1:3306";
  return result;
}

class Play {
 public:
  explicit Play(FuzzedDataProvider& input)
      : input_(input), node_(config(input.ConsumeBool()), durable(input)) {}

  void run() {
    handle(ServerStarted{});
    handle(LinkUp{"node2"});
    handle(ProxyConnected{"proxy1", "127.0.0.1"});
    for (int step = 0; step < 64 && input_.remaining_bytes() > 0; ++step) this->step();
  }

 private:
  void step() {
    switch (input_.ConsumeIntegralInRange(0, 7)) {
      case 0:
      case 1:
      case 2:
        return hear();
      case 3:
        return finish_job();
      case 4:
        now_ = now_ + Duration(input_.ConsumeIntegralInRange(0, 5'000'000));
        return handle(Tick{});
      case 5:
        return handle(SwitchCommand{{++last_id_}, "node2", input_.ConsumeBool()});
      case 6:
        return handle(input_.ConsumeBool() ? Input(LinkDown{"node2", "gone"})
                                           : Input(LinkUp{"node2"}));
      default:
        return handle(BootstrapCommand{{++last_id_}});
    }
  }

  void hear() {
    const std::string from = input_.PickValueInArray({"node2", "node3", "w"});
    protocol::Frame frame;
    if (!frame.ParseFromString(input_.ConsumeRandomLengthString())) return;
    if (auto state = proxy_state_from_wire(frame)) {
      state->proxy = "proxy1";
      return handle(*state);
    }
    if (auto message = node_message_from_wire(frame)) handle(FromNode{from, std::move(*message)});
  }

  void finish_job() {
    if (jobs_.empty()) return;
    JobDone done{jobs_.back(), {}, "0-1-1", {}, {}};
    jobs_.pop_back();
    if (input_.ConsumeIntegralInRange(0, 3) == 0) done.error = "failed";
    handle(done);
  }

  void handle(const Input& input) {
    for (const auto& action : node_.handle(input, now_, 1)) {
      if (const auto* job = std::get_if<RunJob>(&action)) jobs_.push_back(job->id);
      if (const auto* to = std::get_if<SendToNode>(&action)) (void)to_wire(to->message);
    }
    const Epoch epoch = node_.durable().epoch;
    if (epoch < epoch_) std::abort();
    epoch_ = epoch;
    if (!node_.view()) std::abort();
  }

  FuzzedDataProvider& input_;
  Node node_;
  Time now_{Duration(1'000'000)};
  Epoch epoch_;
  uint64_t last_id_ = 0;
  std::vector<JobId> jobs_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  Play(input).run();
  return 0;
}
