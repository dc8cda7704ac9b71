// How long a switchover will stop writes, foretold from what was measured just before.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "plugin/core/types.h"

namespace active_master {

struct Prediction {
  // Until traffic stands still: as long as the oldest running transaction has run, since one that
  // is met by chance has, on average, as much before it as behind it (none counts that ends in the
  // lull before); at least what PAUSE and DRAIN took before.
  Duration stop{0};
  Duration lag{0};   // CATCH_UP: what a probe of the candidate took
  Duration rest{0};  // FENCE, HANDOVER, ACTIVATE: what they took before

  [[nodiscard]] Duration total() const { return stop + lag + rest; }
  [[nodiscard]] std::string to_text() const;
};

// `history`, the oldest first: the medians of the last few switchovers that were done count. Before
// there is any, a probe stands for each step, as it is a message and a job there, and the way back.
[[nodiscard]] Prediction predict(
    Duration running, Duration lag,
    const std::deque<std::shared_ptr<const SwitchoverReport>>& history);

}  // namespace active_master
