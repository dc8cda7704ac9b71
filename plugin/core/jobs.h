// What the core asks of the server that it runs in. Each job ends in one JobDone.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "plugin/core/durable.h"
#include "plugin/core/messages.h"
#include "plugin/core/types.h"

namespace active_master {

struct JobId {
  uint64_t value = 0;
  auto operator<=>(const JobId&) const = default;
};

// Write the state file and wait until it is on disk.
struct PersistJob {
  Durable durable;
};
// Is this server fit to hand the role over? Gives JobDone::rows and JobDone::facts.
struct CheckLocalJob {
  uint32_t candidate_server_id = 0;    // 0: none
  std::vector<uint32_t> members = {};  // server ids of the cluster's nodes
  bool may_change = true;              // what this server replicates from
  bool may_be_replaced = false;        // by a failover that nobody asked for
};
// Wait until no long transaction runs, for so long; then fail, or kill what is left. 0: don't wait.
struct AwaitTransactionsJob {
  Duration active_limit{0};
  Duration idle_limit{0};
  bool kill = false;
};
// Is this server fit to take the role from the one described? Gives JobDone::rows.
struct CheckCandidateJob {
  CheckRequest request;
};
// Gives the binlog's GTID position as JobDone::text, and JobDone::running.
struct ReadPositionJob {};
// Wait for a moment in which no session is in a transaction, so that little is to be waited for
// when traffic stops then. There may be none: it is done after `patience` all the same.
struct AwaitLullJob {
  Duration patience{0};
};
// Wait until the position is applied here.
struct WaitForPositionJob {
  std::string gtid_position;
  Duration timeout{0};
};
// Let no session begin a transaction, wait until none is in one.
struct DrainJob {
  Duration timeout{0};
  bool kill = false;  // what is left then
};
// Stop every client's writes. From its success until OpenWritesJob no client commits here.
struct FenceJob {
  Duration timeout{0};
};
// Write the handover row. Gives its GTID as JobDone::text.
struct HandoverJob {
  SwitchoverId id;
  Epoch epoch;
  NodeName from;
  NodeName to;
  Duration timeout{0};
};
// Wait until the handover row's transaction is applied, and see the row itself.
struct CatchUpJob {
  Epoch epoch;
  std::string gtid;
  Duration timeout{0};
};
// Lift the fence; sessions held by it go on as if nothing had happened.
struct OpenWritesJob {};
// Be fenced, for good; sessions still held can't go on here and are closed.
struct StandDownJob {
  bool close_sessions = false;  // of all clients in a transaction: it was active until now
};
// Record an activation in the event table: history, nothing waits for it.
struct RecordActivationJob {
  SwitchoverId id;
  Epoch epoch;
  NodeName node;
};

// What this server's binlog holds, as JobDone::text.
struct ReadGtidsJob {
  bool with_relay_logs = false;  // and what it has received
};
// The position of this server's binlog as JobDone::facts.gtid_binlog_state, and what of a standby's
// transactions is not here, as JobDone::text; of these servers only: what a retired one wrote long
// ago may be in no binlog any more.
struct CompareGtidsJob {
  std::string gtids;
  std::vector<uint32_t> servers;
};
// How many these transactions of this server's binlog are, and what they have changed, as
// JobDone::text.
struct DescribeJob {
  std::string gtids;
};
// Replicate from the active master; nothing is changed if this server does already.
struct FollowJob {
  std::string address;
  uint32_t server_id = 0;
  std::vector<uint32_t> members;  // server ids of the cluster's nodes
  bool may_change = true;
  // A node that was not heard since the start is missing there: a connection may lead to it.
  bool all_members_are_known = true;
  // And from no other member: an old master that returns may have what was lost by the failover.
  bool alone = false;
};
// Don't replicate from the active master, nor from any other member of the cluster.
struct LeaveJob {
  std::string address;
  std::vector<uint32_t> members;
};

// Receive nothing more from any member of the cluster. Gives what this server has, its relay logs
// included, as JobDone::text.
struct StopReceivingJob {
  std::string address;  // of the active master
  std::vector<uint32_t> members;
};

// Apply all that this server has received, and receive no more; then compare what it has with what
// others have, one of JobDone::rows for each.
struct ApplyJob {
  struct Other {
    NodeName node;
    std::string gtids;
    bool answered = true;  // else this is what was last heard of it
  };
  std::vector<Other> others;
  std::string address;            // of the active master
  std::vector<uint32_t> servers;  // of the cluster's nodes
  Duration timeout{0};            // 0: compare only, what was received counts as applied
  Duration patience{0};           // until what is missing has come
};

// What the operator's program is told of.
enum class Hook {
  kSwitchoverStart,
  kSwitchoverDone,
  kSwitchoverAborted,
  kFailover,  // just before activation: it fails if the program does
  kFailoverDone,
  kFailoverAborted,
  kConflict,
  kDiverged,
  kFenceClosed,
  kFenceOpened,
};
const char* to_string(Hook hook);

// Run the operator's program, and wait until it has ended.
struct HookJob {
  std::string program;
  Duration timeout{0};
  Hook hook = Hook::kSwitchoverStart;
  Identity identity;  // of this node
  Epoch epoch;
  SwitchoverId id;  // 0: none
  NodeName from;
  NodeName to;
  std::string text;
};

using Job = std::variant<PersistJob, CheckLocalJob, CheckCandidateJob, AwaitTransactionsJob,
                         ReadPositionJob, AwaitLullJob, WaitForPositionJob, DrainJob, FenceJob,
                         HandoverJob, CatchUpJob, OpenWritesJob, StandDownJob, RecordActivationJob,
                         ReadGtidsJob, CompareGtidsJob, DescribeJob, FollowJob, LeaveJob,
                         StopReceivingJob, ApplyJob, HookJob>;
const char* to_string(const Job& job);

}  // namespace active_master
