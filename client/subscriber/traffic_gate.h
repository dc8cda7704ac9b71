// The door in front of the transactions of a proxy or a connection pool: each one enters with a
// Pass, which says where to run it, and leaves by destroying the Pass. While the gate is held
// nobody enters.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "client/subscriber/subscription.h"

namespace active_master::client {

class TrafficGate {
 public:
  // One transaction inside the gate. It must not outlive the gate.
  class Pass {
   public:
    Pass(Pass&& other) noexcept
        : gate_(std::exchange(other.gate_, nullptr)), route_(std::move(other.route_)) {}
    Pass& operator=(Pass&& other) noexcept;
    ~Pass() { leave(); }

    // Where the transaction belongs; a connection to anywhere else is to be replaced.
    [[nodiscard]] const Route& route() const { return *route_; }

   private:
    friend class TrafficGate;
    Pass(TrafficGate& gate, std::shared_ptr<const Route> route)
        : gate_(&gate), route_(std::move(route)) {}
    void leave() noexcept;

    TrafficGate* gate_;
    std::shared_ptr<const Route> route_;
  };

  TrafficGate() = default;  // held: open() says where to go
  TrafficGate(const TrafficGate&) = delete;
  TrafficGate& operator=(const TrafficGate&) = delete;

  // Waits while the gate is held, and for its turn when it is paced, for `timeout` at most; nothing
  // if it is held then.
  [[nodiscard]] std::optional<Pass> enter(std::chrono::milliseconds timeout);

  // From now on nobody enters. `when_empty` is called once nobody is inside: by this thread if
  // nobody is, else by the one that leaves last. A newer hold() or an open() replaces it; it is
  // then not called. It may not call the gate.
  void hold(std::function<void()> when_empty);

  void open(Route route);

  // From now on one enters when nobody is inside, and so long at least after the one before, but
  // waits for 100 ms at most; zero: they enter as they come.
  void pace(std::chrono::microseconds distance);

  [[nodiscard]] bool is_open() const;
  [[nodiscard]] uint64_t inside() const;

 private:
  [[nodiscard]] bool is_open_unpaced() const { return route_ && pace_.count() == 0; }
  // False: it is held, and the timeout is over.
  [[nodiscard]] bool wait(std::unique_lock<std::mutex>& lock, std::chrono::milliseconds timeout);

  mutable std::mutex mutex_;
  std::condition_variable changed_;     // opened, or paced otherwise
  std::shared_ptr<const Route> route_;  // null while held
  uint64_t inside_ = 0;
  std::chrono::microseconds pace_{0};
  Clock::time_point next_turn_;
  std::function<void()> when_empty_;
};

}  // namespace active_master::client
