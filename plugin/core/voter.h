// One vote in the cluster: a node's, or a witness's. For good it promises that it helps nobody
// below an epoch (core/durable.h); for a while it gives the active master a lease, and until that
// has run out it promises no other candidate a higher epoch.
//
// Whoever has lost its state file may have promised what it does not know any more. So without one
// it has no vote, until it has heard all nodes: who got its promise has made the same one itself.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "plugin/core/durable.h"
#include "plugin/core/messages.h"
#include "plugin/core/types.h"

namespace active_master {

class Voter {
 public:
  // What was given before the start, or by another configuration, is forgotten, so it counts as
  // given just now.
  void start(Time now, const std::vector<NodeName>& voters, Duration lease);

  // Why `holder` gets no lease; else it is given, from now on, that is from later than the holder
  // counts it.
  std::string give(const NodeName& holder, const Ask& ask, const Durable& known, Time now);

  // The same as what is told to the holder.
  AskReply answer(const NodeName& holder, const Ask& ask, const Durable& known, Time now);

  // Why it promises nobody anything now.
  [[nodiscard]] std::string why_bound(const Durable& known, Time now) const;

  // Every lease that was given has run out.
  [[nodiscard]] bool is_free(Time now) const { return now >= until_; }
  [[nodiscard]] Time until() const { return until_; }
  [[nodiscard]] const NodeName& holder() const { return holder_; }
  // As all who vote together must be configured.
  [[nodiscard]] const std::string& voters() const { return voters_; }

 private:
  [[nodiscard]] std::string refusal(const NodeName& holder, const Ask& ask, const Durable& known,
                                    Time now) const;
  void bind(const NodeName& holder, Time until) {
    holder_ = holder;
    until_ = std::max(until_, until);
  }

  std::string voters_;
  Duration lease_{0};
  NodeName holder_;
  Epoch epoch_;
  Time until_{};
};

// Why what is known and was promised keeps anybody from promising `candidate` this epoch.
[[nodiscard]] std::string why_no_promise(Epoch epoch, const NodeName& candidate,
                                         const Durable& known);

// What a voter that remembers nothing takes over from a node that it hears: a promise, or an epoch
// that the node has taken and not opened yet.
[[nodiscard]] Promise promise_of(const NodeState& node);

// All nodes were heard, and that is the highest of theirs: now it has a vote.
void gain_vote(Durable& durable, const Promise& highest);

}  // namespace active_master
