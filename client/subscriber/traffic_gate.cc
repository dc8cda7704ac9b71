#include "client/subscriber/traffic_gate.h"

#include <algorithm>

namespace active_master::client {
namespace {

// However many wait for their turns, nobody waits for longer.
constexpr std::chrono::milliseconds kLongestTurn{100};

}  // namespace

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
  if (--gate->inside_ > 0) return;
  if (gate->when_empty_) std::exchange(gate->when_empty_, nullptr)();
  if (gate->pace_.count() > 0) gate->changed_.notify_all();
}

std::optional<TrafficGate::Pass> TrafficGate::enter(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  if (!is_open_unpaced() && !wait(lock, timeout)) return std::nullopt;
  ++inside_;
  if (pace_.count() > 0) next_turn_ = Clock::now() + pace_;
  return Pass(*this, route_);
}

bool TrafficGate::wait(std::unique_lock<std::mutex>& lock, std::chrono::milliseconds timeout) {
  const auto since = Clock::now();
  const auto give_up = since + timeout;
  while (!is_open_unpaced()) {
    const auto turn =
        inside_ == 0 ? std::min(next_turn_, since + kLongestTurn) : since + kLongestTurn;
    const auto now = Clock::now();
    if (route_ && now >= turn) return true;
    if (now >= give_up) return route_ != nullptr;  // nobody is refused for a turn
    changed_.wait_until(lock, route_ ? std::min(turn, give_up) : give_up);
  }
  return true;
}

void TrafficGate::pace(std::chrono::microseconds distance) {
  const std::lock_guard lock(mutex_);
  pace_ = distance;
  changed_.notify_all();
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
  changed_.notify_all();
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
