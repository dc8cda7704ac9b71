// A voter without a server: it remembers who is active, what it has promised, and to whom it gave
// the lease, so that two nodes and a third machine are a majority. Like Node a pure state machine,
// which takes the same inputs and makes the same actions, of those few kinds that concern it.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "plugin/core/actions.h"
#include "plugin/core/config.h"
#include "plugin/core/inputs.h"
#include "plugin/core/voter.h"

namespace active_master {

class Witness {
 public:
  // Of the configuration it uses: identity, peers (all nodes), voters, lease, heartbeat_interval.
  // `durable` as read at start; of another identity it is none.
  Witness(Config config, const Durable& durable);

  // The actions are to be carried out in their order. They are gone with the next input.
  [[nodiscard]] std::span<Action> handle(const Input& input, Time now);

  // When handle(Tick) has something to do at the latest.
  [[nodiscard]] Time next_wakeup() const { return heartbeat_at_; }

  [[nodiscard]] const Durable& durable() const { return durable_; }

 private:
  // A promise that is told when it is on disk.
  struct Pending {
    NodeName to;
    Ask ask;
  };

  void receive(const NodeName& from, const NodeState& message);
  void receive(const NodeName& from, const Ask& ask);
  void finish(const JobDone& done);
  void answer(const NodeName& to, const Ask& ask, std::string refusal);
  [[nodiscard]] std::string why_not(const NodeName& candidate, const Ask& ask) const;
  JobId persist();
  void log(LogLine::Level level, const std::string& text);
  [[nodiscard]] NodeState state() const;

  const Config config_;
  Durable durable_;
  Voter voter_;
  bool has_begun_ = false;
  std::map<NodeName, Promise> heard_;  // of each node since the start, while there is no vote
  std::map<JobId, Pending> pending_;
  NodeName leaseholder_;  // that was logged last
  uint64_t last_job_ = 0;
  Time now_;
  Time heartbeat_at_{};
  bool dirty_ = false;
  std::vector<Action> actions_;
};

}  // namespace active_master
