// What must hold after every step. The numbers are those of docs/protocol.md.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "client/subscriber/subscription.h"
#include "plugin/core/node.h"

namespace active_master::sim {

class World;

class Invariants {
 public:
  explicit Invariants(const World& world) : world_(world) {}

  [[nodiscard]] const std::string& violation() const { return violation_; }
  void violated(const std::string& what) {
    if (violation_.empty()) violation_ = what;
  }

  // After each input of this node.
  void check_node(uint8_t node);
  // After each change at a server.
  void check_servers();
  void node_lost(uint8_t node);  // its memory is gone, its disk is not
  void proxy_lost(uint8_t proxy, bool with_memory);

  void stored(uint8_t node, const Durable& before, const Durable& after);
  void opened_writes(uint8_t node, Epoch epoch);
  void failed_over(uint8_t node, Epoch epoch, bool is_forced);
  void committed(uint8_t server, Epoch epoch);
  void wrote_handover(uint8_t server, Epoch epoch);
  void wrote_activated(uint8_t server, Epoch epoch);
  void follows(uint8_t node, uint8_t master);
  void fencing(uint8_t node);
  void entered(uint8_t node, State state);
  void routed(uint8_t proxy, const client::Route& route);
  void opened(const std::string& proxy, const NodeName& node, Epoch epoch);
  void learned(uint8_t proxy, uint64_t epoch);
  void answered(SwitchoverId id, const SwitchoverReport& report);

 private:
  const World& world_;
  std::string violation_;
  std::map<uint64_t, uint8_t> holder_;                    // of each epoch
  std::map<uint64_t, NodeName> prepared_;                 // for whom each epoch was
  std::array<uint64_t, 8> node_epoch_{};                  // highest in this life
  std::array<uint64_t, 8> disk_epoch_{};                  // highest ever on disk
  std::array<uint64_t, 8> proxy_epoch_{};                 // highest known, or remembered
  std::array<Time, 8> paused_at_{};                       // by node
  std::optional<std::pair<uint8_t, uint64_t>> handover_;  // by whom, of its epoch; nothing after it
  uint64_t last_client_epoch_ = 0;
};

}  // namespace active_master::sim
