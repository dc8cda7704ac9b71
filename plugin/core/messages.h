// What nodes and proxies tell each other, as the core sees it: checked and typed. The wire form is
// client/protocol/active_master.proto, which also says what each message means; plugin/net/codec
// translates and refuses what is malformed.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "plugin/core/types.h"

namespace active_master {

struct PauseNotice {
  SwitchoverId switchover;
  Epoch epoch;  // that is being prepared
  Duration remaining{0};
};

struct NodeState {
  NodeName node;
  Role role = Role::kNew;
  Epoch epoch;
  std::optional<Activation> activation;
  std::optional<PauseNotice> pause;
  Phase phase = Phase::kNone;
  std::string sql_address;
  bool fenced = false;
  bool read_only = false;
  std::string gtid_position;
  uint32_t server_id = 0;
  std::string server_version;
  bool confirmed = false;  // the active node says so to the sender
  Replication replication = Replication::kNone;
  std::string replication_error{};
  Epoch promise{};  // no lower one is activated with the sender's help
  // Of an active master: it tells no client of a commit before a standby has it.
  bool semi_sync = false;
  // Transactions shall begin so far apart at each proxy, as the candidate lags; 0: as they come.
  Duration pace{0};
};

struct ProxyState {
  std::string proxy;
  bool holding = false;
  SwitchoverId switchover;
  Epoch epoch;
  NodeName node;
  std::string driver;
  std::string last_error;
  uint64_t incarnation = 0;
  uint64_t sequence = 0;
};

struct ProxyEntry {
  ProxyState state;
  std::string ip;
  Duration age{0};         // since a node heard this from the proxy itself
  bool connected = false;  // to the sender
  bool lost = false;       // after this state its connection was lost
};

// What proxies said, passed on from node to node.
struct ProxyNews {
  std::vector<ProxyEntry> proxies;
};

struct SwitchRequest {
  SwitchoverId id;
  NodeName target;
  NodeName requested_by;
  bool check_only = false;
  bool failover = false;  // `target` shall take the role by itself
  bool forced = false;    // nodes that are not connected are off, what is missing is given up
};

struct CancelRequest {
  SwitchoverId id;
};

struct CheckRequest {
  SwitchoverId id;
  uint32_t server_id = 0;
  std::string server_version;
  std::string gtid_binlog_state;
  Epoch newest_event;
};

struct CheckReply {
  SwitchoverId id;
  std::vector<CheckRow> rows;
};

struct Probe {
  SwitchoverId id;
  uint32_t number = 0;
  std::string gtid_position;
  Duration timeout{0};
};

struct ProbeReply {
  SwitchoverId id;
  uint32_t number = 0;
  bool reached = false;
  std::string error;
};

struct Offer {
  SwitchoverId id;
  Epoch epoch;
  NodeName candidate;
  std::string gtid;
  bool granted = false;
  Duration remaining{0};
};

// From a standby to the active master: is there anything here that you don't have?
struct FollowRequest {
  uint64_t number = 0;
  std::string gtids;  // of the sender's binlog, read before this was sent
};

struct FollowReply {
  uint64_t number = 0;
  std::string error;
  std::string errant;      // transactions that only the standby has, as text
  std::string position{};  // of the sender's binlog
};

struct GrantRequest {
  SwitchoverId id;
  Epoch epoch;
};

struct Decline {
  SwitchoverId id;
  Epoch epoch;
  std::string error;
};

// Two questions. From the candidate of a failover: would you let me have the role, and with
// `binding`, from now on you won't help anybody to a lower epoch. Without an id, from a restarted
// active master: is anybody active in a higher epoch than mine, or about to be? Without an id and
// binding, from the active master: give me the lease, that is promise nobody a higher epoch for so
// long.
struct Ask {
  SwitchoverId id;
  uint64_t round = 0;
  Epoch epoch;
  bool binding = false;
  Duration lease{0};
  std::string voters{};  // as the sender is configured
};

struct AskReply {
  SwitchoverId id;
  uint64_t round = 0;
  bool promised = false;
  std::string refusal;  // why the sender does not promise
  Epoch epoch;          // highest activation known to the sender
  Epoch promise;
  bool bids = false;   // it is about to take the role by a failover
  bool alive = false;  // the sender is the active master, or hears it
  std::string gtids;   // in its binlog and its relay logs
  // It restarted as a standby, which throws relay logs away, and has not caught up since: what it
  // acknowledged it may lack.
  bool may_lack = false;
};

using NodeMessage = std::variant<NodeState, SwitchRequest, CancelRequest, CheckRequest, CheckReply,
                                 Probe, ProbeReply, Offer, GrantRequest, Decline, SwitchoverReport,
                                 ProxyNews, FollowRequest, FollowReply, Ask, AskReply>;

}  // namespace active_master
