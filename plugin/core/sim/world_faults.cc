// What goes wrong, when, and for how long.
#include <algorithm>

#include "plugin/core/sim/note.h"
#include "plugin/core/sim/world.h"

namespace active_master::sim {
namespace {

// A fault that begins long after everything has settled would only make the run longer.
constexpr uint64_t kPatience = 120;

bool at_a_step(const Fault& fault) {
  return fault.kind >= FaultKind::kCrashNode;
}

}  // namespace

std::optional<uint8_t> World::active_server() const {
  for (uint8_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].server.accepts(clock_of(i)) && epoch_of(i) > Epoch{}) return i;
  }
  return std::nullopt;
}

void World::fault_before_step() {
  active_fault_ = asks_left_ > 0;
  for (size_t i = 0; i < schedule_.faults.size(); ++i) {
    const auto& fault = schedule_.faults[i];
    if (!at_a_step(fault) || done_faults_[i]) continue;
    if (fault.at <= steps_) {
      done_faults_[i] = true;
      begin_fault(fault);
      if (fault.kind != FaultKind::kLongTransaction)
        push(fault.duration, Kind::kRestore, 0, 0, 0, i);
    } else if (fault.at <= steps_ + kPatience) {
      active_fault_ = true;
    }
  }
}

void World::begin_fault(const Fault& fault) {
  const auto count = static_cast<uint8_t>(nodes_.size());
  const auto parties = static_cast<uint8_t>(count + proxies_.size());
  const auto who = static_cast<uint8_t>(fault.who % count);
  const auto party = static_cast<uint8_t>(fault.who % parties);
  auto other = static_cast<uint8_t>(fault.other % count);
  if (other == party) other = static_cast<uint8_t>((other + 1) % count);
  const auto proxy =
      proxies_.empty() ? uint8_t{0} : static_cast<uint8_t>(fault.who % proxies_.size());
  auto& n = nodes_[who];
  note("fault: ", to_string(fault.kind), " ", who + 1, "/", other + 1, " party ", party + 1,
       " proxy ", proxy + 1, " for ", fault.duration.count());
  switch (fault.kind) {
    case FaultKind::kCrashNode:
      return crash(who);
    case FaultKind::kFreezeNode:
      n.frozen_until = now_ + fault.duration;
      // What it was told before it fell asleep, it does when it wakes up.
      n.server.errant_since = std::max(n.server.errant_since, n.frozen_until);
      return;
    case FaultKind::kStopNode:
      if (!n.node || n.stopping) return;
      n.stopping = true;
      n.absence = fault.duration;
      push(Duration{5'000'000}, Kind::kStopPatience, who, 0, n.incarnation);
      return give(who, StopCommand{});
    case FaultKind::kDiskFull:
      n.disk_full_until = now_ + fault.duration;
      return;
    case FaultKind::kCutBothWays:
      cut_until_[other][party] = now_ + fault.duration;
      [[fallthrough]];
    case FaultKind::kCutOneWay:
      cut_until_[party][other] = now_ + fault.duration;
      return;
    case FaultKind::kResetLink:
      if (!std::exchange(link_[party][other], false)) return;
      if (party < count) {
        push(Duration{1}, Kind::kLinkDown, party, other, 0);
      } else {
        const auto p = static_cast<uint8_t>(party - count);
        push(latency(), Kind::kProxyDown, p, other, 0);
        if (!proxies_[p].subscription) return;
        proxies_[p].subscription->lost(nodes_[other].name);
        settle(p);
      }
      return;
    case FaultKind::kCrashProxy:
      if (!proxies_.empty()) crash_proxy(proxy);
      return;
    case FaultKind::kWipeProxy:
      if (proxies_.empty()) return;
      crash_proxy(proxy);
      proxies_[proxy].memory.reset();
      invariants_.proxy_lost(proxy, false);
      return;
    case FaultKind::kFreezeProxy:
      if (!proxies_.empty()) proxies_[proxy].frozen_until = now_ + fault.duration;
      return;
    case FaultKind::kHangProxy:
      if (!proxies_.empty()) proxies_[proxy].hung_until = now_ + fault.duration;
      return;
    case FaultKind::kCancel: {
      if (requests_.empty()) return;
      const auto& request = requests_[fault.other % requests_.size()];
      if (nodes_[request.node].incarnation == request.incarnation)
        give(request.node, CancelCommand{request.id});
      return;
    }
    case FaultKind::kAskAgain:
      if (!requests_.empty()) ask(who, requests_.front().target, false);
      return;
    case FaultKind::kAskElsewhere:
      return ask(who, static_cast<uint8_t>(fault.other % count), false);
    case FaultKind::kCheckOnly:
      return ask(who, static_cast<uint8_t>(fault.other % count), true);
    case FaultKind::kFailoverCheck:
      return ask(who, static_cast<uint8_t>(fault.other % count), true, true);
    case FaultKind::kFailover:
      return ask(who, static_cast<uint8_t>(fault.other % count), false, true);
    case FaultKind::kForceFailover:
      if (is_forcing_) return;
      hold_off_who_may_write(who);
      return push(kSecond, Kind::kForce, who, 0, 0);
    case FaultKind::kReconfigure: {
      if (other == who) return;
      std::erase_if(n.config.peers,
                    [&](const auto& peer) { return peer.name == nodes_[other].name; });
      link_[who][other] = false;
      give(who, LinkDown{nodes_[other].name, "not configured"});
      give(who, Reconfigured{n.config});
      return;
    }
    case FaultKind::kLongTransaction:
      if (const auto active = active_server())
        begin_transaction(*active, std::nullopt, fault.duration);
      return;
    case FaultKind::kPrivilegedWrite:
      begin_transaction(who, std::nullopt, Duration{1});
      return;
    case FaultKind::kStopReplication:
      n.server.replicating = false;
      return;
    case FaultKind::kLag:
      n.server.lag = fault.duration;
      return;
    case FaultKind::kErrantTransaction:
      n.server.errant = true;
      n.server.errant_since = std::max(now_, n.frozen_until);
      return;
    case FaultKind::kWipeWitness:
    case FaultKind::kCrashWitness:
      if (!witness_) return;
      crash_witness();
      if (fault.kind == FaultKind::kWipeWitness && !(mutant_ && mutant_->wiped_witness_votes))
        witness_->disk = {};
      if (fault.kind == FaultKind::kWipeWitness && mutant_ && mutant_->wiped_witness_votes)
        witness_->disk.promise.reset();
      return;
    case FaultKind::kFreezeWitness:
      if (witness_) witness_->frozen_until = now_ + fault.duration;
      return;
    case FaultKind::kCutWitness:
      if (!witness_) return;
      cut_until_[witness_party()][who] = cut_until_[who][witness_party()] = now_ + fault.duration;
      return;
    case FaultKind::kCrashSqlProxy:
      if (sql_proxy_) crash_sql_proxy();
      return;
    case FaultKind::kFreezeSqlProxy:
      if (sql_proxy_) sql_proxy_->frozen_until = now_ + fault.duration;
      return;
    case FaultKind::kCutSqlProxy:
      if (sql_proxy_) sql_proxy_->cut_until[who] = now_ + fault.duration;
      return;
    case FaultKind::kMakeWritable:
      n.server.read_only = false;
      push(Duration{1'000'000}, Kind::kStatus, who, 0, 0);
      return;
    default:
      return;
  }
}

void World::end_fault(const Fault& fault) {
  const auto count = static_cast<uint8_t>(nodes_.size());
  const auto parties = static_cast<uint8_t>(count + proxies_.size());
  const auto who = static_cast<uint8_t>(fault.who % count);
  const auto party = static_cast<uint8_t>(fault.who % parties);
  auto other = static_cast<uint8_t>(fault.other % count);
  if (other == party) other = static_cast<uint8_t>((other + 1) % count);
  auto& n = nodes_[who];
  switch (fault.kind) {
    case FaultKind::kCrashNode:
      if (!n.server.up && !n.is_held_off) restart(who);
      return;
    case FaultKind::kResetLink:
      if (party < count) return push(latency(), Kind::kLinkUp, party, other, 0);
      return push(latency(), Kind::kProxyUp, static_cast<uint8_t>(party - count), other, 0);
    case FaultKind::kCrashProxy:
    case FaultKind::kWipeProxy: {
      if (proxies_.empty()) return;
      const auto proxy = static_cast<uint8_t>(fault.who % proxies_.size());
      if (!proxies_[proxy].subscription) restart_proxy(proxy);
      return;
    }
    case FaultKind::kReconfigure: {
      if (other == who) return;
      const auto name = nodes_[other].name;
      if (std::ranges::any_of(n.config.peers, [&](const auto& p) { return p.name == name; }))
        return;
      n.config.peers.push_back({name, {name, 33307}});
      give(who, Reconfigured{n.config});
      return push(latency(), Kind::kLinkUp, who, other, 0);
    }
    case FaultKind::kCrashWitness:
    case FaultKind::kWipeWitness:
      if (witness_) restart_witness();
      return;
    case FaultKind::kCrashSqlProxy:
      if (sql_proxy_) restart_sql_proxy();
      return;
    case FaultKind::kStopReplication:
      n.server.replicating = true;
      return;
    case FaultKind::kLag:
      n.server.lag = Duration{300};
      return;
    case FaultKind::kErrantTransaction:
      n.server.errant = false;
      return;
    default:
      return;
  }
}

}  // namespace active_master::sim
