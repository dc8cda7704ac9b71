// The words of the protocol as types, so that what is mixed up does not compile.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace active_master {

// One term of one active master. Only grows; 0 means that the cluster was never bootstrapped.
struct Epoch {
  uint64_t value = 0;

  auto operator<=>(const Epoch&) const = default;
  [[nodiscard]] Epoch next() const { return {value + 1}; }
};

// A failover leaps over the epochs that switchovers may have reached unheard, to one that no other
// candidate can choose: the next multiple of this, and the candidate's place among the nodes.
inline constexpr uint64_t kFailoverLeap = 100;
[[nodiscard]] inline bool is_failover(Epoch from, Epoch to) {
  return to.value / kFailoverLeap > from.value / kFailoverLeap;
}

// Names one request to move the role (or to check whether it could be moved), across all nodes.
// Drawn by the node that took the statement; 0 means none.
struct SwitchoverId {
  uint64_t value = 0;

  auto operator<=>(const SwitchoverId&) const = default;
  explicit operator bool() const { return value != 0; }
};

using NodeName = std::string;  // checked with is_valid_name() where it enters

// The longest text taken over from a peer or a server message.
inline constexpr size_t kMaxText = 512;
[[nodiscard]] inline std::string cut(const std::string& text) {
  return text.substr(0, kMaxText);
}

// Monotonic time, passed in by whoever owns the clock; never the wall clock.
using Duration = std::chrono::microseconds;
struct Time {
  Duration since_start{0};

  auto operator<=>(const Time&) const = default;
  Time operator+(Duration d) const { return {since_start + d}; }
  Duration operator-(Time other) const { return since_start - other.since_start; }
};
inline constexpr Time kNever{Duration::max()};

// Wall clock for people only, microseconds since 1970.
using WallTime = uint64_t;

enum class Role { kUnconfigured, kNew, kStandby, kActive, kWitness };

// Phases of a switchover as people see them.
enum class Phase {
  kNone,
  kCheck,
  kApproach,
  kPause,
  kDrain,
  kFence,
  kHandover,
  kCatchUp,
  kActivate,
  kResume,
  kDone,
};

// How a standby gets on with replicating from the active master. kNone: it is none.
enum class Replication { kNone, kPending, kFollowing, kFailed, kDiverged };

enum class Verdict { kOk, kWarning, kFailed };

enum class Result { kRunning, kDone, kAborted, kRefused, kUnknown };

const char* to_string(Role role);
const char* to_string(Phase phase);
const char* to_string(Replication replication);
const char* to_string(Verdict verdict);
const char* to_string(Result result);

struct CheckRow {
  NodeName node;
  std::string check;
  Verdict verdict = Verdict::kOk;
  std::string detail;
  std::string remedy;
};

struct PhaseTime {
  Phase phase = Phase::kNone;
  Duration duration{0};
};

// How a switchover or a check ended, or how far it has come.
struct SwitchoverReport {
  SwitchoverId id;
  bool check_only = false;
  bool failover = false;
  Epoch epoch;  // that it prepared; 0 when refused before that
  NodeName from;
  NodeName to;
  NodeName requested_by;
  Result result = Result::kRunning;
  uint32_t error_number = 0;  // see errors.h
  std::string error;
  std::vector<PhaseTime> phases;
  std::vector<CheckRow> checks;
  WallTime started = 0;
  std::optional<Duration> write_pause;
  std::optional<Duration> predicted_pause;  // as known in APPROACH, just before
};

// Where the role is: the highest epoch known to have been activated.
struct Activation {
  Epoch epoch;
  NodeName node;
  std::string sql_address;
  SwitchoverId switchover;

  bool operator==(const Activation&) const = default;
};

}  // namespace active_master
