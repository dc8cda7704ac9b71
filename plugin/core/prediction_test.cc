#include "plugin/core/prediction.h"

#include <gtest/gtest.h>

namespace active_master {
namespace {

using History = std::deque<std::shared_ptr<const SwitchoverReport>>;

std::shared_ptr<const SwitchoverReport> moved(int64_t pause, int64_t fence) {
  SwitchoverReport report;
  report.result = Result::kDone;
  report.phases = {{Phase::kApproach, Duration{900}}, {Phase::kPause, Duration{pause}},
                   {Phase::kDrain, Duration{1}},      {Phase::kFence, Duration{fence}},
                   {Phase::kHandover, Duration{10}},  {Phase::kCatchUp, Duration{5000}},
                   {Phase::kActivate, Duration{20}},  {Phase::kResume, Duration{700}}};
  report.write_pause = Duration{1};
  return std::make_shared<SwitchoverReport>(report);
}

TEST(PredictionTest, WithoutHistoryTheProbeStandsForEachStep) {
  EXPECT_EQ(predict(Duration{0}, Duration{500}, {}).total(), Duration{2000});
  EXPECT_EQ(predict(Duration{9000}, Duration{500}, {}).total(), Duration{10500});
}

TEST(PredictionTest, TakesTheMediansOfTheLastFive) {
  History history{moved(1'000'000, 1'000'000)};  // forgotten
  for (const int64_t pause : {300, 100, 90'000, 200, 250})
    history.push_back(moved(pause, 2 * pause));
  const auto prediction = predict(Duration{7}, Duration{40}, history);
  EXPECT_EQ(prediction.stop, Duration{251});
  EXPECT_EQ(prediction.lag, Duration{40});
  EXPECT_EQ(prediction.rest, Duration{530});
  EXPECT_EQ(predict(Duration{4000}, Duration{40}, history).stop, Duration{4000});
}

TEST(PredictionTest, WhatWasNotDoneTeachesNothing) {
  SwitchoverReport aborted = *moved(5, 5);
  aborted.result = Result::kAborted;
  SwitchoverReport failover = *moved(5, 5);
  failover.failover = true;
  SwitchoverReport check = *moved(5, 5);
  check.write_pause.reset();
  History history;
  for (const auto& report : {aborted, failover, check})
    history.push_back(std::make_shared<SwitchoverReport>(report));
  EXPECT_EQ(predict(Duration{0}, Duration{500}, history).total(), Duration{2000});
}

TEST(PredictionTest, ReadsAsText) {
  EXPECT_EQ((Prediction{Duration{1240}, Duration{60}, Duration{3000}}).to_text(),
            "writes would pause for about 4.3 ms: 1.2 until traffic stands still, 0.1 until the "
            "candidate has caught up, 3.0 for the rest");
}

}  // namespace
}  // namespace active_master
