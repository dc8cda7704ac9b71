// What a simulated run is made of, besides the random latencies that its seed gives: how many
// parties, what is asked of them, and a list of faults. A list, so that a failing run can be made
// smaller by leaving faults out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plugin/core/types.h"

namespace active_master::sim {

enum class FaultKind : uint8_t {
  // at the n-th message
  kDropMessage,
  kDuplicateMessage,
  kDelayMessage,
  // at the n-th job
  kFailJob,
  kFailJobAfterEffect,  // it did its work and says that it did not
  kSlowJob,
  kHangJob,
  // before the n-th step
  kCrashNode,
  kFreezeNode,  // SIGSTOP: the server too
  kStopNode,    // UNINSTALL, and INSTALL later
  kDiskFull,    // the state file can't be written for a while
  kCutOneWay,
  kCutBothWays,
  kResetLink,  // the connection breaks and is made again
  kCrashProxy,
  kWipeProxy,  // crash, and its memory is lost
  kFreezeProxy,
  kHangProxy,  // it hears, but its handler does not answer
  kCancel,
  kAskAgain,      // the same request, at the same node
  kAskElsewhere,  // another request, for another node
  kCheckOnly,
  kReconfigure,      // a node leaves the configuration of another and comes back
  kLongTransaction,  // on the active master
  kPrivilegedWrite,  // not through a proxy, by who may write on a read_only server
  kStopReplication,
  kLag,
  kErrantTransaction,
  kMakeWritable,  // a person switches read_only off
  kFailoverCheck,
  kFailover,       // to another node, whoever is active
  kForceFailover,  // the same, but who may write is switched off first
  // of the witness, where there is one
  kCrashWitness,
  kWipeWitness,  // crash, and its disk is lost
  kFreezeWitness,
  kCutWitness,  // from one node, both ways
  // of the proxy that speaks only SQL, where there is one
  kCrashSqlProxy,
  kFreezeSqlProxy,
  kCutSqlProxy,  // from one node: its statements there fail
  kCount
};
inline constexpr int kFaultKinds = static_cast<int>(FaultKind::kCount);
const char* to_string(FaultKind kind);

struct Fault {
  FaultKind kind = FaultKind::kDropMessage;
  uint32_t at = 0;  // number of message, job or step, from the first request on
  uint8_t who = 0;
  uint8_t other = 0;
  Duration duration{0};
};

struct Schedule {
  uint64_t seed = 0;
  uint8_t nodes = 3;
  uint8_t proxies = 3;
  bool bootstrap = false;       // begin before the bootstrap; else a cluster that ran for long
  bool sparse_proxies = false;  // each proxy is connected to one node only
  bool star = false;            // standbys replicate from the active master only; else all from all
  bool kills = false;           // transactions that don't end, instead of giving up
  bool voters = false;          // every node is one, and fails over by itself
  bool witness = false;         // of two nodes; it has a vote, too
  bool sql_proxy = false;       // one more proxy, which speaks only SQL
  uint8_t asks = 1;             // switchovers one after the other
  uint8_t asked_at = 0;
  uint8_t target = 1;
  std::vector<Fault> faults;
};

// The random schedule of this seed.
[[nodiscard]] Schedule generate(uint64_t seed);

// For people, one line per fault.
[[nodiscard]] std::string to_string(const Schedule& schedule);

}  // namespace active_master::sim
