// Everything that reaches a Node.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "plugin/core/config.h"
#include "plugin/core/jobs.h"
#include "plugin/core/messages.h"
#include "plugin/core/types.h"

namespace active_master {

struct ServerStarted {};  // SQL that opens tables can run from now on
struct LinkUp {           // messages to this peer can be sent
  NodeName node;
};
struct LinkDown {
  NodeName node;
  std::string error;
};
struct ProxyConnected {
  std::string proxy;
  std::string ip;
};
struct ProxyLost {
  std::string proxy;
};
struct FromNode {
  NodeName from;  // authenticated by the session, whatever the message says
  NodeMessage message;
};
struct JobDone {
  JobId id;
  std::string error;  // empty: it succeeded
  std::string text;
  std::vector<CheckRow> rows;
  CheckRequest facts;
  Duration running{0};  // since the oldest transaction here began that is no long one
};
struct BootstrapCommand {
  SwitchoverId id;
};
struct SwitchCommand {  // a statement given on this node
  SwitchoverId id;
  NodeName target;
  bool check_only = false;
  bool failover = false;
  bool forced = false;  // nodes that are not connected are off, what is missing is given up
};
struct CancelCommand {
  SwitchoverId id;
};
struct RejoinCommand {  // compare again with the active master, and follow it
  SwitchoverId id;
};
// A statement of a proxy that speaks only SQL. Each renews its lease, for
// active_master_proxy_lease; afterwards it is forgotten.
struct RegisterProxy {
  SwitchoverId id;  // of the statement
  std::string proxy;
  std::string ip;
};
struct AcknowledgeProxy {
  SwitchoverId id;
  std::string proxy;
  SwitchoverId switchover;  // 0: only the lease is renewed
};
// A replication connection of this server.
struct Source {
  std::string address;     // HOST:PORT of its master
  uint32_t server_id = 0;  // of its master; 0: it isn't connected
  std::string error{};     // why it does not run; empty: it does
};
struct ServerStatus {  // read from the server now and then
  bool read_only = false;
  std::string gtid_position;
  std::string own_gtids{};  // the newest in the binlog that this very server wrote, one per domain
  std::optional<std::vector<Source>> sources{};  // none: not looked at
  bool semi_sync = false;  // no client is told of a commit before a standby has it
};
struct Reconfigured {
  Config config;  // of the same identity
};
struct Tick {};
struct StopCommand {};  // stopped() becomes true as soon as nothing is left half done

using Input =
    std::variant<ServerStarted, LinkUp, LinkDown, ProxyConnected, ProxyLost, FromNode, ProxyState,
                 JobDone, BootstrapCommand, SwitchCommand, CancelCommand, RejoinCommand,
                 RegisterProxy, AcknowledgeProxy, ServerStatus, Reconfigured, Tick, StopCommand>;

}  // namespace active_master
