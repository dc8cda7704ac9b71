// What is asked of the cluster, when a run is over, and what must hold then.
#include <algorithm>
#include <utility>

#include "plugin/core/sim/note.h"
#include "plugin/core/sim/world.h"

namespace active_master::sim {

// --- operators ---

void World::ask(uint8_t number, uint8_t target, bool check_only, bool failover, bool forced) {
  auto& n = nodes_[number];
  if (!n.node || n.stopping) return;
  Request request;
  request.id = SwitchoverId{requests_.size() + 1};
  request.node = number;
  request.incarnation = n.incarnation;
  request.target = target;
  request.check_only = check_only;
  request.forced = forced;
  request.asked_at = now_;
  request.deadline =
      now_ + n.config.switchover_timeout + n.config.resume_timeout + Duration{2'000'000} + kSecond;
  requests_.push_back(request);
  note(n.name, " is asked for ", nodes_[target].name, failover ? " by failover" : "",
       forced ? ", forced" : "", check_only ? " (check)" : "", ": ", request.id.value);
  give(number, SwitchCommand{request.id, nodes_[target].name, check_only, failover, forced});
}

// What the operator does first who forces a failover: whoever might take writes is switched off,
// and stays off until it is over.
void World::hold_off_who_may_write(uint8_t candidate) {
  constexpr States kHarmlessHere{State::kStart, State::kNew, State::kStandby};
  is_forcing_ = true;
  for (uint8_t i = 0; i < nodes_.size(); ++i) {
    auto& n = nodes_[i];
    const bool may_write =
        n.disk.role == Role::kActive || (n.node && !kHarmlessHere.contains(n.node->state()));
    if (i == candidate || !may_write) continue;
    crash(i);
    n.is_held_off = true;
  }
}

// Then whoever the candidate shows as not connected is switched off, too: that is what is vouched
// for. Only a candidate that knows of the newest epoch is chosen.
void World::force_failover(uint8_t candidate) {
  auto& n = nodes_[candidate];
  const bool is_outdated = std::ranges::any_of(
      nodes_, [&](const SimNode& m) { return n.node && m.disk.epoch > n.node->durable().epoch; });
  if (!n.node || n.stopping || is_outdated) return switch_on_again();
  hold_off_who_may_write(candidate);
  const auto view = n.node->view();
  for (const auto& row : view->nodes) {
    const auto other = node_number(row.name);
    if (!other || *other == candidate || row.link == "CONNECTED") continue;
    crash(*other);
    nodes_[*other].is_held_off = true;
  }
  forced_ = SwitchoverId{requests_.size() + 1};
  ask(candidate, candidate, false, true, true);
}

void World::switch_on_again() {
  forced_.reset();
  is_forcing_ = false;
  for (uint8_t i = 0; i < nodes_.size(); ++i) {
    if (!std::exchange(nodes_[i].is_held_off, false)) continue;
    if (!nodes_[i].server.up) restart(i);
  }
}

// A promise whose candidate died may need a person's word: then one asks for a failover, here and
// there, until somebody is active.
void World::help_out() {
  const bool is_promised = std::ranges::any_of(
      nodes_, [](const SimNode& n) { return n.node && n.node->durable().promise; });
  if (!is_promised || active_server() || !is_answered()) return;
  const auto at = static_cast<uint8_t>(requests_.size() % nodes_.size());
  if (nodes_[at].node) ask(at, at, false, true);
}

// The first comes when the cluster is at rest, and begins the count of the faults; the later ones
// when the one before is over.
void World::ask_next() {
  if (!asked_) {
    if (!active_server()) {
      const bool can_bootstrap =
          schedule_.bootstrap && nodes_[0].node && nodes_[0].node->state() == State::kNew;
      if (can_bootstrap) give(0, BootstrapCommand{{999}});
    } else if (is_converged()) {
      asked_ = true;
      for (auto& proxy : proxies_) proxy.client_pause = Duration{2'000};
      note("--- the cluster is at rest");
    }
    if (!asked_) {
      if (now_ > Time{20 * kSecond})
        return invariants_.violated("a cluster without faults does not start: " +
                                    why_not_converged());
      return push(20 * kMillisecond, Kind::kAsk, 0, 0, 0);
    }
  }
  if (asks_left_ == 0) return;
  if (!is_answered()) return push(100 * kMillisecond, Kind::kAsk, 0, 0, 0);
  const auto active = active_server();
  uint8_t at = static_cast<uint8_t>((schedule_.asked_at + asks_left_) % nodes_.size());
  if (active && next_target_ == *active)
    next_target_ = static_cast<uint8_t>((next_target_ + 1) % nodes_.size());
  if (!nodes_[at].node || nodes_[at].stopping) {
    if (now_ > Time{60 * kSecond}) asks_left_ = 0;
    return push(100 * kMillisecond, Kind::kAsk, 0, 0, 0);
  }
  --asks_left_;
  ask(at, next_target_, false);
  next_target_ = static_cast<uint8_t>((next_target_ + 1) % nodes_.size());
  if (asks_left_ > 0) push(100 * kMillisecond, Kind::kAsk, 0, 0, 0);
}

// --- the end ---

bool World::is_answered() const {
  if (asks_left_ > 0 && asked_ && !requests_.empty() && requests_.back().answers > 0) {
    // the next ask is on its way
    if (!healed_) return requests_.back().answers > 0;
  }
  return std::ranges::all_of(requests_, [&](const Request& r) {
    return r.answers > 0 || nodes_[r.node].incarnation != r.incarnation;
  });
}

bool World::is_converged() const {
  return find_unconverged(nullptr);
}

std::string World::why_not_converged() const {
  std::string why;
  (void)find_unconverged(&why);
  return why;
}

// True: there is nothing. Asked after every step, so it is told in words only if somebody listens.
bool World::find_unconverged(std::string* why) const {
  const auto no = [why](const auto&... words) {
    if (why) *why = (to_text(words) + ...);
    return false;
  };
  std::optional<uint8_t> active;
  for (uint8_t i = 0; i < nodes_.size(); ++i) {
    const auto& n = nodes_[i];
    if (!n.node) return no(n.name, " is down");
    if (n.node->state() == State::kActive) {
      if (active) return no("two active nodes");
      active = i;
    } else if (n.node->state() != State::kStandby) {
      return no(n.name, " is in ", to_string(n.node->state()));
    }
  }
  if (!active) return no("no active node");
  const auto epoch = nodes_[*active].node->durable().epoch;
  if (!nodes_[*active].server.accepts(clock_of(*active)))
    return no(nodes_[*active].name, " takes no writes");
  for (uint8_t i = 0; i < nodes_.size(); ++i) {
    const auto& n = nodes_[i];
    if (n.node->durable().epoch != epoch) return no(n.name, " does not know the epoch");
    if (i == *active) continue;
    if (n.server.accepts(clock_of(i))) return no(n.name, " takes writes");
    if (n.node->replication() != Replication::kFollowing || !n.server.receives_from(*active))
      return no(n.name, " does not follow: ", to_string(n.node->replication()));
  }
  for (const auto& proxy : proxies_) {
    if (!proxy.subscription) return no(proxy.name, " is down");
    const auto state = proxy.subscription->state();
    if (state != client::State::kOpen) return no(proxy.name, " is ", client::to_string(state));
    if (proxy.pace > Duration{0}) return no(proxy.name, " is slowed for good");
    if (proxy.open_at != active) return no(proxy.name, " is open to another node");
    if (proxy.subscription->highest()->epoch != epoch.value)
      return no(proxy.name, " does not know the epoch");
  }
  if (sql_proxy_ && (sql_proxy_->open_at != active || sql_proxy_->highest != epoch))
    return no(sql_proxy_->name, " is not open to the active node");
  if (witness_ && !witness_->witness) return no("the witness is down");
  if (witness_ && (!witness_->disk.votes || witness_->disk.epoch != epoch))
    return no("the witness knows of epoch ", witness_->disk.epoch.value);
  if (!healed_) return true;
  for (const auto& request : requests_) {
    if (request.answers == 0 && nodes_[request.node].incarnation == request.incarnation)
      return no("a statement has no answer");
  }
  for (const auto& n : nodes_) {
    if (n.server.applied < history_.size()) return no(n.name, " does not follow");
  }
  // What every node shows of every proxy, wherever it is connected.
  for (const auto& n : nodes_) {
    const auto view = n.node->view();
    const auto shows = [&](const std::string& name, bool its_epoch) {
      const auto it = std::ranges::find(view->proxies, name, &ProxyView::name);
      return it != view->proxies.end() && it->connected && !it->holding &&
             (!its_epoch || it->epoch == epoch);
    };
    for (const auto& proxy : proxies_) {
      if (!shows(proxy.name, true)) return no(n.name, " shows ", proxy.name, " as it is not");
    }
    if (sql_proxy_ && !shows(sql_proxy_->name, false))
      return no(n.name, " shows ", sql_proxy_->name, " as it is not");
  }
  return true;
}

void World::check_the_end() {
  if (!schedule_.faults.empty()) return;
  for (const auto& request : requests_) {
    if (request.result != Result::kDone)
      invariants_.violated("without a fault the answer is " +
                           std::string(to_string(request.result)) + ": " + request.error);
  }
}

// What an operator does who has mended a node.
void World::rejoin_the_diverged() {
  for (uint8_t i = 0; i < nodes_.size(); ++i) {
    if (!nodes_[i].node || nodes_[i].node->replication() != Replication::kDiverged) continue;
    nodes_[i].server.errant = false;
    give(i, RejoinCommand{{888}});
  }
}

// All faults end. What is still under way arrives.
void World::heal() {
  healed_ = true;
  healed_at_ = now_;
  note("--- faults end");
  cut_until_ = {};
  for (uint8_t i = 0; i < nodes_.size(); ++i) {
    auto& n = nodes_[i];
    n.frozen_until = n.disk_full_until = {};
    n.server.replicating = true;
    n.server.errant = false;
    n.server.lag = Duration{300};
    const auto config = config_of(i, schedule_);
    if (config.peers.size() != n.config.peers.size()) {
      n.config = config;
      if (n.node) give(i, Reconfigured{config});
    }
    for (auto& lane : n.server.lanes) {
      if (!lane.empty()) lane.front().fails = lane.front().fails_after_effect = false;
    }
  }
  for (auto& proxy : proxies_) proxy.frozen_until = proxy.hung_until = {};
  if (witness_) {
    witness_->frozen_until = {};
    restart_witness();
  }
  if (sql_proxy_) {
    sql_proxy_->frozen_until = {};
    sql_proxy_->cut_until = {};
    restart_sql_proxy();
  }
  for (auto& event : heap_) {
    if (event.at - now_ > 10 * kMillisecond && event.kind != Kind::kProxyTick &&
        event.kind != Kind::kClient && event.kind != Kind::kAsk)
      event.at = now_ + Duration{random_.between(100, 10'000)};
  }
  std::make_heap(heap_.begin(), heap_.end());
  for (uint8_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].node) dial_all(i);
  }
}

}  // namespace active_master::sim
