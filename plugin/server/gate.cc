#include "plugin/server/gate.h"

#include <algorithm>
#include <optional>

namespace active_master {
namespace {

using std::chrono::steady_clock;

// A held session looks this often whether it was killed, a drain whether it should give up.
constexpr std::chrono::milliseconds kGlance{20};
// However many wait for their turns, nobody waits for longer.
constexpr std::chrono::milliseconds kLongestTurn{100};

}  // namespace

Gate::Entry Gate::wait(bool in_transaction, const std::function<bool()>& is_killed) {
  const auto since = steady_clock::now();
  std::optional<steady_clock::time_point> turn;
  // The mode changes under this mutex only, so whoever is counted under it is seen by the drain.
  std::unique_lock lock(mutex_);
  inside_.fetch_sub(1);
  changed_.notify_all();
  ++held_;
  std::optional<Entry> entry;
  while (!entry) {
    const auto now = steady_clock::now();
    if (is_killed()) {
      entry = Entry::kKilled;
    } else if (!holds(in_transaction) || (turn && now >= *turn && mode_ == Mode::kPaced)) {
      entry = Entry::kInside;
    } else if (mode_ == Mode::kPaced) {
      if (!turn) turn = take_turn();
      changed_.wait_until(lock, std::min(*turn, now + kGlance));
    } else if (now - since >= hold_limit_.load()) {
      entry = Entry::kTooLong;
    } else {
      changed_.wait_for(lock, kGlance);
    }
  }
  --held_;
  if (entry == Entry::kInside) inside_.fetch_add(1);
  return *entry;
}

steady_clock::time_point Gate::take_turn() {
  const auto now = steady_clock::now();
  const auto turn = std::clamp(next_turn_, now, now + kLongestTurn);
  next_turn_ = turn + pace_;
  return turn;
}

void Gate::set_pace(std::chrono::microseconds distance) {
  const std::lock_guard lock(mutex_);
  if (mode_ != Mode::kOpen && mode_ != Mode::kPaced) return;
  mode_ = distance.count() > 0 ? Mode::kPaced : Mode::kOpen;
  pace_ = distance;
  changed_.notify_all();
}

void Gate::set_write_until(std::chrono::microseconds until) {
  const std::lock_guard lock(mutex_);
  write_until_ = until;
  changed_.notify_all();
}

void Gate::await_lease(const std::function<bool()>& give_up) {
  std::unique_lock lock(mutex_);
  ++held_;
  while (is_lease_over() && !give_up()) changed_.wait_for(lock, kGlance);
  --held_;
}

void Gate::tell_drain() {
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void Gate::set_mode(Mode mode) {
  const std::lock_guard lock(mutex_);
  if (mode == Mode::kFenced && mode_ != Mode::kFenced) ++term_;
  mode_ = mode;
  changed_.notify_all();
}

bool Gate::wait_until_empty(const std::function<bool()>& give_up) {
  std::unique_lock lock(mutex_);
  while (inside_.load() != 0) {
    if (give_up()) return false;
    changed_.wait_for(lock, kGlance);
  }
  return true;
}

}  // namespace active_master
