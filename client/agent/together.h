// Several drivers as one: all of them hold, all of them open.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/agent/driver.h"

namespace active_master::agent {

class Together : public Driver {
 public:
  explicit Together(std::vector<std::unique_ptr<Driver>> drivers) : drivers_(std::move(drivers)) {}

  void hold(const client::Hold& hold) override {
    each([&](Driver& driver) { driver.hold(hold); });
  }
  [[nodiscard]] uint64_t running() override {
    uint64_t sum = 0;
    each([&](Driver& driver) { sum += driver.running(); });
    return sum;
  }
  void open(const Target& target) override {
    each([&](Driver& driver) { driver.open(target); });
  }
  [[nodiscard]] bool has_more() const override {
    return std::ranges::any_of(drivers_, [](const auto& driver) { return driver->has_more(); });
  }
  [[nodiscard]] std::string warning() const override {
    std::string all;
    for (const auto& driver : drivers_) {
      const std::string one = driver->warning();
      if (!one.empty()) all += (all.empty() ? "" : "; ") + one;
    }
    return all;
  }
  [[nodiscard]] std::vector<std::string> check() override {
    std::vector<std::string> all;
    each([&](Driver& driver) {
      for (auto& advice : driver.check()) all.push_back(std::move(advice));
    });
    return all;
  }

 private:
  // One that fails must not keep the others from their work: each is asked, then all failures are
  // told.
  template <typename Call>
  void each(Call call) {
    std::string failures;
    for (const auto& driver : drivers_) {
      try {
        call(*driver);
      } catch (const std::exception& failure) {
        failures += (failures.empty() ? "" : "; ") + std::string(failure.what());
      }
    }
    if (!failures.empty()) throw Failure(failures);
  }

  const std::vector<std::unique_ptr<Driver>> drivers_;
};

}  // namespace active_master::agent
