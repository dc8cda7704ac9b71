// A driver with fault points around it, for tests. Armed once, by ACTIVE_MASTER_FAULT in the
// environment.
#pragma once

#include <cstdlib>
#include <memory>
#include <optional>

#include "client/agent/driver.h"
#include "client/protocol/fault.h"

namespace active_master::agent {

class Faulty : public Driver {
 public:
  explicit Faulty(std::unique_ptr<Driver> driver) : driver_(std::move(driver)) {}

  // A lie at hold_done is to let traffic go on to where it went before, and to say that it is held.
  void hold(const client::Hold& hold) override {
    if (fault::pass("hold")) driver_->hold(hold);
    if (fault::at("hold_done").kind == fault::Kind::kLie && opened_) driver_->open(*opened_);
    (void)fault::pass("hold_done");
  }
  [[nodiscard]] uint64_t running() override { return driver_->running(); }
  void open(const Target& target) override {
    if (fault::pass("open")) driver_->open(target);
    opened_ = target;
    (void)fault::pass("open_done");
  }
  [[nodiscard]] bool has_more() const override { return driver_->has_more(); }
  [[nodiscard]] std::string warning() const override { return driver_->warning(); }
  [[nodiscard]] std::vector<std::string> check() override { return driver_->check(); }

 private:
  const std::unique_ptr<Driver> driver_;
  std::optional<Target> opened_;
};

// What the agent drives: in a build with fault points, the driver with them around it.
inline std::unique_ptr<Driver> with_fault_points(std::unique_ptr<Driver> driver) {
#ifdef ACTIVE_MASTER_FAULTS
  if (const char* points = std::getenv("ACTIVE_MASTER_FAULT")) {
    if (!fault::parse(points)) throw Failure("ACTIVE_MASTER_FAULT can't be read");
    fault::arm(points);
  }
  return std::make_unique<Faulty>(std::move(driver));
#else
  return driver;
#endif
}

}  // namespace active_master::agent
