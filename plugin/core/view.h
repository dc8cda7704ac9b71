// What a node shows of itself: an immutable snapshot that the core publishes after each change and
// that SQL threads read without waiting for anyone. docs/reference.md describes each field.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plugin/core/types.h"

namespace active_master {

struct NodeView {
  NodeName name;
  std::optional<std::string> address;
  std::string link;  // SELF, CONNECTED, CONNECTING, LOST
  Role role = Role::kUnconfigured;
  Epoch epoch;
  std::string sql_address;
  bool fenced = false;
  bool read_only = false;
  std::string gtid_position;
  uint32_t server_id = 0;
  std::string server_version;
  std::optional<WallTime> last_seen;  // absent: never heard, and only name, address, link are known
  std::string last_error;
  Replication replication = Replication::kNone;
  std::string replication_error;
  bool semi_sync = false;  // of an active master
};

struct ProxyView {
  std::string name;
  std::string ip;
  bool holding = false;
  bool connected = false;
  std::string driver;
  Epoch epoch;
  NodeName node;
  SwitchoverId switchover;
  WallTime last_seen = 0;
  std::optional<WallTime> held_at;
  std::optional<WallTime> opened_at;
  std::string last_error;
};

struct EventView {
  uint64_t seq = 0;
  WallTime time = 0;
  int rule = 0;
  std::string from_state;
  std::string to_state;
  Epoch epoch;
  SwitchoverId switchover;
  std::string message;
};

struct View {
  NodeName node;
  std::string cluster;
  Role role = Role::kUnconfigured;
  Epoch epoch;
  std::optional<Activation> activation;
  Phase phase = Phase::kNone;
  SwitchoverId switchover;
  std::string state;
  bool fenced = false;
  bool read_only = false;
  std::string sql_address;
  std::string gtid_position;
  WallTime since = 0;
  std::string last_error;
  Replication replication = Replication::kNone;

  std::vector<NodeView> nodes;
  std::vector<ProxyView> proxies;
  std::vector<std::shared_ptr<const SwitchoverReport>> switchovers;  // oldest first
  std::vector<std::shared_ptr<const EventView>> events;              // oldest first

  uint64_t switchovers_done = 0;
  uint64_t switchovers_aborted = 0;
  Duration last_write_pause{0};
};

}  // namespace active_master
