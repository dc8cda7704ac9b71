#include "plugin/server/gate.h"

namespace active_master {
namespace {

// A held session looks this often whether it was killed, a drain whether it should give up.
constexpr std::chrono::milliseconds kGlance{20};

}  // namespace

Gate::Entry Gate::wait(bool in_transaction, const std::function<bool()>& is_killed) {
  using std::chrono::steady_clock;
  const auto since = steady_clock::now();
  const auto is_too_long = [&] { return steady_clock::now() - since >= hold_limit_.load(); };
  while (true) {
    std::unique_lock lock(mutex_);
    inside_.fetch_sub(1);
    changed_.notify_all();
    ++held_;
    while (holds(in_transaction) && !is_killed() && !is_too_long())
      changed_.wait_for(lock, kGlance);
    --held_;
    if (is_killed()) return Entry::kKilled;
    if (holds(in_transaction)) return Entry::kTooLong;
    lock.unlock();
    inside_.fetch_add(1);
    if (!holds(in_transaction)) return Entry::kInside;
  }
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
