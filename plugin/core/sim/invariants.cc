#include "plugin/core/sim/invariants.h"

#include "plugin/core/sim/world.h"

namespace active_master::sim {

void Invariants::check_node(uint8_t number) {
  const auto& n = world_.nodes_[number];
  const auto epoch = n.node->durable().epoch.value;
  if (epoch < node_epoch_[number])
    violated("I4/1: " + n.name + " went back from epoch " + std::to_string(node_epoch_[number]) +
             " to " + std::to_string(epoch));
  node_epoch_[number] = epoch;
}

void Invariants::check_servers() {
  // A server that was never bootstrapped is as its owner left it; nothing routes to it.
  std::optional<uint8_t> accepting;
  for (uint8_t i = 0; i < world_.nodes_.size(); ++i) {
    if (!world_.nodes_[i].server.accepts(world_.clock_of(i)) || world_.epoch_of(i) == Epoch{})
      continue;
    if (world_.schedule_.bootstrap && !world_.asked_) continue;
    if (accepting)
      violated("I1/2: " + world_.nodes_[*accepting].name + " and " + world_.nodes_[i].name +
               " take writes at the same time");
    accepting = i;
  }
}

void Invariants::node_lost(uint8_t number) {
  node_epoch_[number] = 0;
  paused_at_[number] = kNever;
}

void Invariants::proxy_lost(uint8_t proxy, bool with_memory) {
  if (!with_memory) proxy_epoch_[proxy] = 0;
}

void Invariants::stored(uint8_t number, const Durable& before, const Durable& after) {
  if (after.intent && after.intent != before.intent)
    prepared_[after.intent->epoch.value] = after.intent->candidate;
  if (after.epoch.value < disk_epoch_[number])
    violated("I4/1: " + world_.nodes_[number].name + " stores epoch " +
             std::to_string(after.epoch.value) + " over " + std::to_string(disk_epoch_[number]));
  disk_epoch_[number] = after.epoch.value;
}

void Invariants::opened_writes(uint8_t number, Epoch epoch) {
  const auto [holder, is_new] = holder_.emplace(epoch.value, number);
  if (!is_new && holder->second != number)
    violated("I1: epoch " + std::to_string(epoch.value) + " is held by " +
             world_.nodes_[holder->second].name + " and " + world_.nodes_[number].name);
  const auto prepared = prepared_.find(epoch.value);
  if (prepared != prepared_.end() && prepared->second != world_.nodes_[number].name)
    violated("I4: " + world_.nodes_[number].name + " opens in epoch " +
             std::to_string(epoch.value) + ", which was prepared for " + prepared->second);
  // It may have been closed after its handover; it is a new term then.
  if (handover_ && handover_->first == number && epoch.value < handover_->second)
    violated("I8: " + world_.nodes_[number].name + " opens again in epoch " +
             std::to_string(epoch.value) + ", after its handover for " +
             std::to_string(handover_->second));
  if (handover_ && epoch.value >= handover_->second) handover_.reset();
  check_servers();
}

// Nothing that reached the candidate is lost; if it was not forced, nothing at all.
void Invariants::failed_over(uint8_t number, Epoch epoch, bool is_forced) {
  const auto& n = world_.nodes_[number];
  const auto& server = n.server;
  const auto what = n.name + " opens in epoch " + std::to_string(epoch.value);
  // What it has received it has acknowledged (seed 1000310).
  if (server.applied < server.received)
    violated("failover: " + what + " before it has applied all");
  if (is_forced) return;
  // By a majority of voters what only the old active master has is given up.
  if (!world_.schedule_.voters && server.applied < world_.history_.size())
    violated("failover: " + what + " without what others have, though not forced");
  // What a voter has received since is told to a client, too.
  for (const auto& other : world_.nodes_) {
    if (other.server.promised == epoch && other.server.received > server.applied)
      violated("failover: " + what + " without what " + other.name + " received after its promise");
  }
  if (server.applied < world_.acknowledged_)
    violated("failover: " + what + " without what clients were told of");
}

void Invariants::committed(uint8_t server, Epoch epoch) {
  const auto& name = world_.nodes_[server].name;
  if (handover_) violated("handover: " + name + " takes a client's write after the handover row");
  if (epoch.value < last_client_epoch_)
    violated("I3: " + name + " takes a write in epoch " + std::to_string(epoch.value) +
             " after one in " + std::to_string(last_client_epoch_));
  last_client_epoch_ = epoch.value;
}

void Invariants::wrote_handover(uint8_t server, Epoch epoch) {
  if (world_.nodes_[server].server.accepts(world_.clock_of(server)))
    violated("handover: " + world_.nodes_[server].name + " writes it while clients can write");
  handover_ = {server, epoch.value};
}

void Invariants::wrote_activated(uint8_t server, Epoch epoch) {
  if (handover_ && handover_->first == server)
    violated("handover: " + world_.nodes_[server].name + " records epoch " +
             std::to_string(epoch.value) + " after the handover row");
}

void Invariants::follows(uint8_t node, uint8_t master) {
  const auto& server = world_.nodes_[node].server;
  if (node == master || master >= world_.nodes_.size())
    violated("follow: " + world_.nodes_[node].name + " follows no other node");
  else if (server.errant && server.errant_since + Duration{5'000'000} < world_.now_)
    violated("follow: " + world_.nodes_[node].name + " follows although it has diverged");
}

void Invariants::entered(uint8_t node, State state) {
  if (state == State::kPause) paused_at_[node] = world_.now_;
}

// When writes are stopped no proxy that could be asked sends any.
void Invariants::fencing(uint8_t node) {
  for (uint8_t p = 0; p < world_.proxies_.size(); ++p) {
    const auto& proxy = world_.proxies_[p];
    if (!proxy.subscription || proxy.is_orphaned || !proxy.open_at) continue;
    // Another may have been elected meanwhile.
    if (world_.schedule_.voters && proxy.open_at != node) continue;
    if (world_.schedule_.faults.empty())  // wherever it is connected
      violated("pause: " + world_.nodes_[node].name + " does not wait for " + proxy.name);
    if (!world_.link_[world_.proxy_party(p)][node]) continue;
    if (proxy.connected_at[node] >= paused_at_[node]) continue;
    violated("pause: " + world_.nodes_[node].name + " fences while " + proxy.name + " is open");
  }
  const auto& sql = world_.sql_proxy_;
  if (!sql || sql->is_orphaned || sql->open_at != node || sql->at != node) return;
  const auto& n = world_.nodes_[node];
  // The node's clock may be fast.
  const bool has_lease =
      sql->life == n.incarnation && world_.now_ - sql->renewed_at < n.config.proxy_lease * 98 / 100;
  if (has_lease && sql->registered_at < paused_at_[node])
    violated("pause: " + n.name + " fences while " + sql->name + " is open");
}

void Invariants::routed(uint8_t number, const client::Route& route) {
  const auto& proxy = world_.proxies_[number];
  if (route.epoch < proxy_epoch_[number])
    violated("I5/4: " + proxy.name + " opens to epoch " + std::to_string(route.epoch) +
             ", but it knew of " + std::to_string(proxy_epoch_[number]));
  opened(proxy.name, route.node, {route.epoch});
}

void Invariants::opened(const std::string& proxy, const NodeName& node, Epoch epoch) {
  const auto holder = holder_.find(epoch.value);
  if (holder == holder_.end() || world_.nodes_[holder->second].name != node)
    violated("4: " + proxy + " opens to " + node + ", which does not hold epoch " +
             std::to_string(epoch.value));
}

void Invariants::learned(uint8_t proxy, uint64_t epoch) {
  if (epoch < proxy_epoch_[proxy])
    violated("I5: " + world_.proxies_[proxy].name + " went back from epoch " +
             std::to_string(proxy_epoch_[proxy]) + " to " + std::to_string(epoch));
  proxy_epoch_[proxy] = epoch;
}

void Invariants::answered(SwitchoverId id, const SwitchoverReport& report) {
  for (const auto& request : world_.requests_) {
    if (request.id != id) continue;
    if (request.answers > 1) violated("I6: a statement was answered twice");
    if (request.check_only || report.result != Result::kDone) continue;
    const auto holder = holder_.find(report.epoch.value);
    if (holder == holder_.end() || holder->second != request.target)
      violated("I9: success was reported, but " + world_.nodes_[request.target].name +
               " was not activated in epoch " + std::to_string(report.epoch.value));
  }
}

}  // namespace active_master::sim
