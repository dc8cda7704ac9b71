// The gate inside the server: knows which client sessions are in a statement or transaction, and
// can hold new ones back before they begin. It sees statements through MariaDB's audit interface.
//
// It makes the drain exact: a session counts as inside from the start of its statement until
// neither a statement nor a transaction is left, and passes the gate only if the gate is open
// *after* it was counted. So once the gate is held and the count is zero, nothing is running and
// nothing begins, with no polling and no guess from the process list.
//
// What it does not see at its start is counted when it locks a table for writing, which is soon
// enough for the drain but too late to be held: with read_only on, it gets error 1290. That is the
// second and later of several statements sent in one, and a SELECT that calls a function that
// writes.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <string_view>
#include <vector>

namespace active_master {

class Gate {
 public:
  enum class Mode {
    kOpen,     // everyone passes
    kHoldNew,  // who is in a transaction goes on, who would begin one waits
    kHoldAll,  // everyone waits
    kPassing,  // everyone passes, but not to write: read_only refuses what it must
  };

  // --- the server's threads ---

  // A statement begins in a session that is outside; from success on it is inside. Blocks while the
  // gate holds it; `is_killed` ends that, and the session stays outside.
  [[nodiscard]] bool enter(bool in_transaction, unsigned long thread_id,
                           const std::function<bool()>& is_killed);
  // A statement that was not seen at its start is about to write, in a session that is outside.
  void enter_unheld() { inside_.fetch_add(1); }
  // A session that is inside is no longer in a statement or transaction, or ends.
  void leave();

  // --- the worker that drains and fences ---

  // Open and empty, as at the start. Only while no session is told of statements.
  void reset();

  void set_mode(Mode mode);
  [[nodiscard]] Mode mode() const { return mode_; }

  // Waits until no session is inside; false when `give_up` says so first. It is asked now and then.
  bool wait_until_empty(const std::function<bool()>& give_up);
  [[nodiscard]] int inside() const { return inside_; }

  // Thread ids of the sessions that wait at the gate.
  [[nodiscard]] std::vector<unsigned long> held() const;

 private:
  [[nodiscard]] bool holds(bool in_transaction) const;

  std::atomic<Mode> mode_{Mode::kOpen};
  std::atomic<int> inside_{0};
  mutable std::mutex mutex_;  // only while the gate holds
  std::condition_variable changed_;
  std::set<unsigned long> held_;
};

// Is it CALL active_master.something?
[[nodiscard]] bool calls_our_procedure(std::string_view query);

// May a client statement outside of any transaction pass a gate that holds? True for those that
// can't write and don't begin a transaction, so that people and monitors can still look and act.
// With autocommit off, reading begins one.
[[nodiscard]] bool passes_a_held_gate(std::string_view query, bool autocommit);

}  // namespace active_master
