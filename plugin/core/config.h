// What a node is told by its settings.
#pragma once

#include <string>
#include <vector>

#include "client/protocol/names.h"
#include "client/protocol/proxy_heartbeat.h"
#include "plugin/core/durable.h"
#include "plugin/core/types.h"

namespace active_master {

struct Config {
  Identity identity;
  std::vector<NamedAddress> peers;
  std::vector<NamedAddress> witnesses;  // have a vote, and no server
  std::string sql_address;              // of this node, as proxies shall route to it
  std::string server_version;

  Duration switchover_timeout{30'000'000};
  Duration approach_timeout{10'000'000};
  Duration approach_max_lag{100'000};
  Duration approach_max_pace{5'000};  // between two transactions at most; 0: never slowed
  Duration pause_timeout{3'000'000};
  Duration catch_up_timeout{3'000'000};
  Duration resume_timeout{3'000'000};
  Duration heartbeat_interval{1'000'000};
  Duration proxy_heartbeat = protocol::kProxyHeartbeat;
  Duration peer_timeout{5'000'000};
  Duration proxy_lease{10'000'000};

  // Transactions that have lasted for longer than kLongTransaction are waited for before traffic is
  // stopped: so long for one that runs a statement, so long for one that idles. 0: not then, only
  // in the drain.
  Duration active_transaction_limit{10'000'000};
  Duration idle_transaction_limit{1'000'000};
  std::string hook = {};  // path of the operator's program; empty: none
  Duration hook_timeout{10'000'000};
  bool repoint = true;             // a standby may change what its server replicates from
  bool kill_transactions = false;  // at the limit, instead of giving the switchover up

  // The same on every node. None: no leases, and nothing happens by itself.
  std::vector<NodeName> voters;
  Duration lease{3'000'000};
  bool auto_failover = false;
  uint32_t priority = 100;                // who stands first; 0: never by itself
  Duration cooldown{60'000'000};          // after a failover none begins by itself
  uint32_t max_failovers = 3;             // in an hour; then none begins by itself
  Duration max_failover_lag{30'000'000};  // to apply what was received, of who stands by itself
};

// Shorter ones end within the drain, and are no news.
inline constexpr Duration kLongTransaction{100'000};

}  // namespace active_master
