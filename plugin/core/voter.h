// One vote in the cluster: a node's, or a witness's. For good it promises that it helps nobody
// below an epoch (core/durable.h); for a while it gives the active master a lease, and until that
// has run out it promises no other candidate a higher epoch.
#pragma once

#include <algorithm>
#include <string>

#include "plugin/core/durable.h"
#include "plugin/core/types.h"

namespace active_master {

class Voter {
 public:
  // What was given before the start is forgotten, so it counts as given just now.
  void start(Time now, Duration lease) { bind("whoever had it before this start", now + lease); }

  // Why `holder` gets no lease for this epoch; else it is given, from now on, that is from later
  // than the holder counts it.
  std::string give(const NodeName& holder, Epoch epoch, Duration lease, const Durable& known,
                   Time now);

  // Every lease that was given has run out.
  [[nodiscard]] bool is_free(Time now) const { return now >= until_; }
  [[nodiscard]] Time until() const { return until_; }
  [[nodiscard]] const NodeName& holder() const { return holder_; }

 private:
  void bind(const NodeName& holder, Time until) {
    holder_ = holder;
    until_ = std::max(until_, until);
  }

  NodeName holder_;
  Epoch epoch_;
  Time until_{};
};

}  // namespace active_master
