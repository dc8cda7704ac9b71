#include "client/subscriber/traffic_gate.h"

namespace active_master::client {

TrafficGate::Pass& TrafficGate::Pass::operator=(Pass&& other) noexcept {
  if (this != &other) {
    leave();
    gate_ = std::exchange(other.gate_, nullptr);
    route_ = std::move(other.route_);
  }
  return *this;
}

void TrafficGate::Pass::leave() noexcept {
  TrafficGate* gate = std::exchange(gate_, nullptr);
  if (gate == nullptr) return;
  // Called under the lock: an open() in between would let others in before "empty" is reported.
  const std::lock_guard lock(gate->mutex_);
  if (--gate->inside_ == 0 && gate->when_empty_) std::exchange(gate->when_empty_, nullptr)();
}

std::optional<TrafficGate::Pass> TrafficGate::enter(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  if (!route_ && !opened_.wait_for(lock, timeout, [this] { return route_ != nullptr; })) {
    return std::nullopt;
  }
  ++inside_;
  return Pass(*this, route_);
}

void TrafficGate::hold(std::function<void()> when_empty) {
  const std::lock_guard lock(mutex_);
  route_ = nullptr;
  when_empty_ = std::move(when_empty);
  if (inside_ == 0 && when_empty_) std::exchange(when_empty_, nullptr)();
}

void TrafficGate::open(Route route) {
  const std::lock_guard lock(mutex_);
  route_ = std::make_shared<const Route>(std::move(route));
  when_empty_ = nullptr;
  opened_.notify_all();
}

bool TrafficGate::is_open() const {
  const std::lock_guard lock(mutex_);
  return route_ != nullptr;
}

uint64_t TrafficGate::inside() const {
  const std::lock_guard lock(mutex_);
  return inside_;
}

}  // namespace active_master::client
