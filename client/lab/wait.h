// Waiting in the lab: by polling with a limit, and never past a Ctrl-C.
#pragma once

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>

namespace active_master::lab {

// Something in the lab itself went wrong: a server doesn't start, a wait took too long.
class LabError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Ctrl-C: unwinds, so that the destructors stop everything that was started.
class Interrupted : public std::exception {
 public:
  [[nodiscard]] const char* what() const noexcept override { return "interrupted"; }
};

// From now on SIGINT and SIGTERM are noted, for throw_if_interrupted(). The second one ends the
// program at once; the kernel then kills its child processes.
void watch_for_interrupts();
void throw_if_interrupted();

constexpr std::chrono::milliseconds kPollInterval{5};

// True as soon as `done()` is; false when it still isn't after `limit`.
template <typename Done>
[[nodiscard]] bool wait_until(std::chrono::milliseconds limit, Done done,
                              std::chrono::microseconds interval = kPollInterval) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  for (;;) {
    throw_if_interrupted();
    if (done()) return true;
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(interval);
  }
}

// Lets time pass.
inline void pass(std::chrono::milliseconds time) {
  (void)wait_until(time, [] { return false; });
}

// The same, where not getting there is an error: "node2: not ready within 30000 ms".
template <typename Done>
void require(const std::string& what, std::chrono::milliseconds limit, Done done) {
  if (!wait_until(limit, done)) {
    throw LabError(what + " within " + std::to_string(limit.count()) + " ms");
  }
}

}  // namespace active_master::lab
