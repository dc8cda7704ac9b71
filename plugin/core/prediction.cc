#include "plugin/core/prediction.h"

#include <algorithm>
#include <vector>

namespace active_master {
namespace {

constexpr size_t kRemembered = 5;

Duration took(const SwitchoverReport& report, std::initializer_list<Phase> phases) {
  Duration sum{0};
  for (const auto& row : report.phases) {
    if (std::ranges::find(phases, row.phase) != phases.end()) sum += row.duration;
  }
  return sum;
}

Duration median(std::vector<Duration> times) {
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::ranges::nth_element(times, middle);
  return *middle;
}

std::string ms(Duration duration) {
  const auto tenths = (duration.count() + 50) / 100;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10);
}

}  // namespace

std::string Prediction::to_text() const {
  return "writes would pause for about " + ms(total()) + " ms: " + ms(stop) +
         " until traffic stands still, " + ms(lag) + " until the candidate has caught up, " +
         ms(rest) + " for the rest";
}

Prediction predict(Duration running, Duration lag,
                   const std::deque<std::shared_ptr<const SwitchoverReport>>& history) {
  std::vector<Duration> stops;
  std::vector<Duration> rests;
  for (auto it = history.rbegin(); it != history.rend() && stops.size() < kRemembered; ++it) {
    const auto& report = **it;
    if (report.result != Result::kDone || report.failover || !report.write_pause) continue;
    stops.push_back(took(report, {Phase::kPause, Phase::kDrain}));
    rests.push_back(took(report, {Phase::kFence, Phase::kHandover, Phase::kActivate}));
  }
  if (stops.empty()) return {std::max(running, lag), lag, 2 * lag};
  return {std::max(running, median(std::move(stops))), lag, median(std::move(rests))};
}

}  // namespace active_master
