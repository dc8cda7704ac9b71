// Any messages of nodes and strangers, through the codec, to a witness, between finished and failed
// writes of its state, restarts and the passing of time: its epoch never falls, and it never
// promises less than it has promised.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "plugin/core/witness.h"
#include "plugin/net/codec.h"

using namespace active_master;

namespace {

Config config() {
  Config result;
  result.identity = {"cluster", "w", 0};
  result.peers = {{"node1", {"127.0.0.1", 1}}, {"node2", {"127.0.0.1", 2}}};
  result.voters = {"node1", "node2", "w"};
  return result;
}

class Play {
 public:
  explicit Play(FuzzedDataProvider& input) : input_(input) { restart(); }

  void run() {
    for (int step = 0; step < 64 && input_.remaining_bytes() > 0; ++step) this->step();
  }

 private:
  void restart() {
    jobs_.clear();
    witness_.emplace(config(), disk_);
    epoch_ = disk_.epoch;
    handle(Tick{});
  }

  void step() {
    switch (input_.ConsumeIntegralInRange(0, 5)) {
      case 0:
        now_ = now_ + Duration(input_.ConsumeIntegralInRange(0, 5'000'000));
        return handle(Tick{});
      case 1:
        return store();
      case 2:
        return restart();
      default:
        return hear();
    }
  }

  void hear() {
    const std::string from = input_.PickValueInArray({"node1", "node2", "node3"});
    protocol::Frame frame;
    if (!frame.ParseFromString(input_.ConsumeRandomLengthString())) return;
    if (auto message = node_message_from_wire(frame)) handle(FromNode{from, std::move(*message)});
  }

  void store() {
    if (jobs_.empty()) return;
    const RunJob job = jobs_.front();
    jobs_.erase(jobs_.begin());
    JobDone done;
    done.id = job.id;
    if (input_.ConsumeIntegralInRange(0, 3) == 0) {
      done.error = "failed";
    } else {
      disk_ = std::get<PersistJob>(job.job).durable;
    }
    handle(done);
  }

  void handle(const Input& input) {
    for (const auto& action : witness_->handle(input, now_)) {
      if (const auto* job = std::get_if<RunJob>(&action)) jobs_.push_back(*job);
      const auto* to = std::get_if<SendToNode>(&action);
      if (to == nullptr) continue;
      (void)to_wire(to->message);
      const auto* reply = std::get_if<AskReply>(&to->message);
      if (reply == nullptr || !reply->id || !reply->promised) continue;
      if (reply->promise < promised_) std::abort();
      promised_ = reply->promise;
    }
    if (witness_->durable().epoch < epoch_) std::abort();
    epoch_ = witness_->durable().epoch;
  }

  FuzzedDataProvider& input_;
  Durable disk_;
  std::optional<Witness> witness_;
  Time now_{Duration(1'000'000)};
  Epoch epoch_;
  Epoch promised_;
  std::vector<RunJob> jobs_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  Play(input).run();
  return 0;
}
