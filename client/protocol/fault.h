// Named points at which a build for tests can be made to go wrong, to see what the rest makes of
// it. Only the code around the core and the drivers has them: what is decided stays what it is.
//
// Without ACTIVE_MASTER_FAULTS, that is, in everything that is installed, nothing of it is left:
// each call stands behind `if constexpr (fault::kCompiledIn)`.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#ifdef ACTIVE_MASTER_FAULTS
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#endif

namespace active_master::fault {

enum class Kind {
  kNone,
  kPause,  // stay here until the points are armed anew
  kCrash,  // as by kill -9
  kError,  // what would happen here fails
  kSkip,   // it doesn't happen, but passes for done: a job isn't run, a message isn't sent
  kLate,   // it happens later, by so many milliseconds
  kLie,    // it happens wrongly, where the point has a way to
  // For the tools that look for such things, to show that they find them.
  kOverrun,  // a byte beyond the end of an allocation is read
  kLeak,     // an allocation is lost
};

struct Fault {
  Kind kind = Kind::kNone;
  std::chrono::milliseconds time{0};

  [[nodiscard]] bool loses() const { return kind == Kind::kSkip || kind == Kind::kError; }
};

#ifndef ACTIVE_MASTER_FAULTS

inline constexpr bool kCompiledIn = false;
inline Fault at(std::string_view) {
  return {};
}
inline bool pass(std::string_view) {
  return true;
}

#else

inline constexpr bool kCompiledIn = true;

using Points = std::map<std::string, Fault, std::less<> >;

// "drain:pause,send_offer:late:200": what the variable and the environment say. Nothing if it can't
// be read.
inline std::optional<Points> parse(std::string_view text) {
  static const std::map<std::string_view, Kind> kinds = {
      {"pause", Kind::kPause}, {"crash", Kind::kCrash},     {"error", Kind::kError},
      {"skip", Kind::kSkip},   {"late", Kind::kLate},       {"lie", Kind::kLie},
      {"leak", Kind::kLeak},   {"overrun", Kind::kOverrun},
  };
  const auto take = [](std::string_view& from, char separator) {
    const auto part = from.substr(0, from.find(separator));
    from.remove_prefix(std::min(part.size() + 1, from.size()));
    return part;
  };
  Points points;
  while (!text.empty()) {
    auto item = take(text, ',');
    const auto point = take(item, ':');
    const auto kind = kinds.find(take(item, ':'));
    if (point.empty() || kind == kinds.end()) return std::nullopt;
    int64_t time = 0;
    if (kind->second == Kind::kLate) {
      const auto [end, error] = std::from_chars(item.data(), item.data() + item.size(), time);
      if (error != std::errc() || end != item.data() + item.size() || time < 0) return std::nullopt;
    } else if (!item.empty()) {
      return std::nullopt;
    }
    points[std::string(point)] = {kind->second, std::chrono::milliseconds(time)};
  }
  return points;
}

inline std::mutex mutex;
inline Points armed;                      // guarded by it
inline std::atomic<uint64_t> armings{0};  // so often they were armed
inline std::atomic<uint64_t> fired{0};    // so often one was met since they were armed

// They stay armed until the next time. Not yet readable texts are refused before.
inline void arm(std::string_view text) {
  const std::lock_guard lock(mutex);
  armed = parse(text).value_or(Points{});
  fired = 0;
  ++armings;
}

// Volatile, or the compiler would leave out what nobody needs.
[[gnu::noinline]] inline void overrun() {
  const volatile size_t size = 16;
  const std::unique_ptr<char[]> bytes(new char[size]);
  [[maybe_unused]] const volatile char beyond = bytes[size];
}
[[gnu::noinline]] inline void leak() {
  [[maybe_unused]] char* volatile lost = new char[64];
}

// What is armed at this point; what ends or stops the program happens right here.
inline Fault at(std::string_view point) {
  Fault fault;
  uint64_t arming = 0;
  {
    const std::lock_guard lock(mutex);
    const auto found = armed.find(point);
    if (found == armed.end()) return fault;
    fault = found->second;
    arming = armings;
    ++fired;
  }
  if (fault.kind == Kind::kCrash) ::kill(::getpid(), SIGKILL);
  if (fault.kind == Kind::kOverrun) overrun();
  if (fault.kind == Kind::kLeak) leak();
  while (fault.kind == Kind::kPause && armings == arming) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return fault;
}

// The same for what runs on a thread of its own: being late is waiting, and an error is thrown.
// False: it is to be skipped.
inline bool pass(std::string_view point) {
  const Fault fault = at(point);
  if (fault.kind == Kind::kError) {
    throw std::runtime_error("fault at " + std::string(point) + ", as it was asked for");
  }
  std::this_thread::sleep_for(fault.time);
  return fault.kind != Kind::kSkip;
}

#endif

}  // namespace active_master::fault
