// The model of a MariaDB server, as far as the protocol can tell: whether clients can commit, what
// is in its binlog, how far it has applied what others committed, which jobs run on which lane.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "plugin/core/node.h"

namespace active_master::sim {

// A transaction in the one history that all servers share as long as the protocol holds.
struct Entry {
  enum class Kind : uint8_t { kClient, kHandover, kActivated };
  Kind kind = Kind::kClient;
  uint8_t server = 0;
  Epoch epoch;  // of a handover: the one that is prepared
};

struct Transaction {
  uint64_t id = 0;
  Time since;
  bool idle = false;
};

struct RunningJob {
  JobId id;
  Job job;
  bool started = false;
  bool cancelled = false;
  bool fails = false;
  bool fails_after_effect = false;
  Duration work{0};  // until it has its effect
  Duration poll{0};
  Time began;
  Time deadline = kNever;
};

// The lanes of plugin/server/job_runner, with its rule which job goes where.
enum Lane : uint8_t {
  kJournalLane,
  kRoleLane,
  kCatchUpLane,
  kProbeLane,
  kQueryLane,
  kFollowLane,
  kHistoryLane,
  kLanes
};

inline Lane lane_of(const Job& job) {
  if (std::holds_alternative<PersistJob>(job)) return kJournalLane;
  if (std::holds_alternative<CatchUpJob>(job)) return kCatchUpLane;
  if (std::holds_alternative<WaitForPositionJob>(job)) return kProbeLane;
  if (std::holds_alternative<FollowJob>(job) || std::holds_alternative<LeaveJob>(job) ||
      std::holds_alternative<StopReceivingJob>(job) || std::holds_alternative<ApplyJob>(job))
    return kFollowLane;
  if (const auto* read = std::get_if<ReadGtidsJob>(&job))
    return read->with_relay_logs ? kQueryLane : kRoleLane;
  if (std::holds_alternative<HandoverJob>(job) || std::holds_alternative<RecordActivationJob>(job))
    return kHistoryLane;
  if (std::holds_alternative<DrainJob>(job) || std::holds_alternative<FenceJob>(job) ||
      std::holds_alternative<OpenWritesJob>(job) || std::holds_alternative<StandDownJob>(job))
    return kRoleLane;
  return kQueryLane;
}

struct Server {
  bool up = false;
  // From FenceJob's or StandDownJob's success until OpenWritesJob no client commits here.
  bool fenced = true;
  bool may_record = false;     // the activation
  bool may_hand_over = false;  // once it is fenced, but not when it has stood down
  Time write_until = kNever;   // by its node's clock, whatever becomes of the plugin
  bool gate_open = true;       // while it is not, no transaction begins
  bool read_only = true;       // what @@read_only says; a person can change it
  size_t applied = 0;          // how much of the history is here
  size_t received = 0;         // by replication; relay logs are thrown away by a restart
  uint8_t sources = 0;         // servers that it replicates from, as bits
  uint8_t stopped = 0;         // of them, those that nothing is received from
  Epoch promised;              // it has told what it has for this epoch, since it started
  bool replicating = true;
  Duration may_hang{40'000'000};  // its jobs, in all
  bool apply_pending = false;
  Time errant_since{};
  bool errant = false;  // has a transaction that the others lack
  Duration lag{300};
  std::vector<Transaction> transactions;  // that are open
  std::array<std::deque<RunningJob>, kLanes> lanes;

  [[nodiscard]] bool receives_from(uint8_t server) const {
    return ((sources & ~stopped) >> server & 1) != 0;
  }
  [[nodiscard]] bool writes_a_row() const {
    return !lanes[kHistoryLane].empty() && lanes[kHistoryLane].front().started;
  }
  // Would a client's COMMIT succeed?
  [[nodiscard]] bool accepts(Time now) const { return up && !fenced && now < write_until; }
};

}  // namespace active_master::sim
