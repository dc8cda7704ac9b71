// The gate inside the server: knows which client sessions are in a statement or transaction, and
// can hold new ones back before they begin. It sees statements through MariaDB's audit interface.
//
// It makes the drain exact: a session counts as inside from the start of its statement until
// neither a statement nor a transaction is left, and passes the gate only if the gate is open
// *after* it was counted. So once the gate is held and the count is zero, nothing is running and
// nothing begins, with no polling and no guess from the process list.
//
// What it does not see at its start is counted when it locks a table for writing, which is soon
// enough for the drain but too late to be held: the fence refuses it. That is the second and later
// of several statements sent in one, and a SELECT that calls a function that writes.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string_view>

namespace active_master {

class Gate {
 public:
  enum class Mode {
    kOpen,     // everyone passes
    kPaced,    // who is in a transaction goes on, others begin one by one at a distance
    kHoldNew,  // who is in a transaction goes on, who would begin one waits
    kHoldAll,  // everyone waits
    kFenced,   // everyone passes, for the fence to refuse what writes
  };

  // What becomes of a statement at the gate.
  enum class Entry {
    kInside,   // it may run, and is counted
    kKilled,   // its session was killed while it waited
    kTooLong,  // it was held for the hold limit
  };

  // --- the server's threads ---

  // A statement begins in a session that is outside. Blocks while the gate holds it; `is_killed`
  // ends that. Only when kInside is returned the session is inside.
  template <typename Condition>
  [[nodiscard]] Entry enter(bool in_transaction, Condition is_killed) {
    // Counted first, then the mode is read; the drain sets the mode first, then reads the count. So
    // at least one of the two sees the other.
    inside_.fetch_add(1);
    return holds(in_transaction) ? wait(in_transaction, is_killed) : Entry::kInside;
  }
  // A statement that was not seen at its start is about to write, in a session that is outside.
  void enter_unheld() { inside_.fetch_add(1); }
  // A session that is inside is no longer in a statement or transaction, or ends.
  void leave() {
    if (inside_.fetch_sub(1) == 1 && mode_.load() != Mode::kOpen) tell_drain();
  }
  // Tells sessions that connected before the role left this node from those that came after.
  [[nodiscard]] uint64_t term() const { return term_; }
  // Is a session that connected in that term at the wrong server by now?
  [[nodiscard]] bool is_left(uint64_t born) const {
    return mode_ == Mode::kFenced && born != term_;
  }

  // The lease has run out, and read_only is not set yet: maybe the process has just woken up.
  [[nodiscard]] bool is_lease_over() const {
    const auto until = write_until_.load(std::memory_order_relaxed);
    return until != kNoLease && std::chrono::steady_clock::now().time_since_epoch() >= until &&
           !is_refusing_.load();
  }
  // A statement that might write or commit waits until the lease is renewed or this server fenced,
  // even if its session is killed: a COMMIT would go on nevertheless.
  void await_lease(const std::function<bool()>& give_up);

  // --- the daemon ---

  // By the monotonic clock; kNoLease: always.
  static constexpr std::chrono::microseconds kNoLease = std::chrono::microseconds::max();
  void set_write_until(std::chrono::microseconds until);
  [[nodiscard]] bool needs_lease() const { return write_until_.load() != kNoLease; }
  // For how long writes are let through yet without a renewal; 0 also without leases.
  [[nodiscard]] std::chrono::microseconds lease_left() const {
    using std::chrono::microseconds;
    const auto now = std::chrono::duration_cast<microseconds>(
        std::chrono::steady_clock::now().time_since_epoch());
    return needs_lease() ? std::max(write_until_.load() - now, microseconds{0}) : microseconds{0};
  }
  // read_only refuses what writes, so nobody need wait for a lease.
  void set_refusing(bool is_refusing) { is_refusing_ = is_refusing; }

  // From kOpen on, and as long as nothing is held: so long at least from one transaction's begin to
  // the next one's. 0: kOpen again.
  void set_pace(std::chrono::microseconds distance);

  // --- the worker that drains and fences ---

  // Nobody is inside. Only while no session is told of statements.
  void forget_everyone() { inside_ = 0; }

  // kFenced, unless it is so already, begins a new term.
  void set_mode(Mode mode);
  [[nodiscard]] Mode mode() const { return mode_; }

  // How long a statement is held at most; 0: not at all.
  void set_hold_limit(std::chrono::milliseconds limit) { hold_limit_ = limit; }

  // Waits until no session is inside; false when `give_up` says so first. It is asked now and then.
  bool wait_until_empty(const std::function<bool()>& give_up);
  [[nodiscard]] int inside() const { return inside_; }
  // How many statements wait at the gate.
  [[nodiscard]] int held() const { return held_; }

 private:
  [[nodiscard]] bool holds(bool in_transaction) const {
    const Mode mode = mode_.load();
    return mode == Mode::kHoldAll ||
           ((mode == Mode::kHoldNew || mode == Mode::kPaced) && !in_transaction);
  }
  [[nodiscard]] std::chrono::steady_clock::time_point take_turn();
  // For a session that was counted, and is again when it is let in.
  [[nodiscard]] Entry wait(bool in_transaction, const std::function<bool()>& is_killed);
  void tell_drain();

  std::atomic<Mode> mode_{Mode::kOpen};
  std::atomic<int> inside_{0};
  std::atomic<int> held_{0};
  std::atomic<uint64_t> term_{0};
  std::atomic<std::chrono::milliseconds> hold_limit_{std::chrono::minutes(1)};
  std::atomic<std::chrono::microseconds> write_until_{kNoLease};
  std::atomic<bool> is_refusing_{false};
  std::mutex mutex_;  // only while the gate holds or paces
  std::chrono::microseconds pace_{0};
  std::chrono::steady_clock::time_point next_turn_;
  std::condition_variable changed_;
};

}  // namespace active_master
