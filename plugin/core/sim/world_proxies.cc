// Proxies: their subscription, its handler, what they are told and say.
#include "plugin/core/sim/note.h"
#include "plugin/core/sim/trace.h"
#include "plugin/core/sim/world.h"
#include "plugin/net/codec.h"

namespace active_master::sim {

void World::restart_proxy(uint8_t number) {
  auto& proxy = proxies_[number];
  note(proxy.name, " starts");
  ++proxy.incarnation;
  client::Subscription::Options options;
  options.proxy = proxy.name;
  options.driver = "sim";
  for (const auto& node : nodes_) options.nodes.push_back(node.config.identity.node);
  options.startup_wait = std::chrono::seconds(1);
  options.incarnation = proxy.incarnation;
  if (!mutant_ || !mutant_->proxy_forgets) options.remembered = proxy.memory;
  proxy.subscription = std::make_unique<client::Subscription>(options);
  proxy.subscription->start(to_clock(now_));
  proxy.wanted = {};
  proxy.enacted = true;
  push(Duration{random_.between(1'000, 500'000)}, Kind::kProxyTick, number, 0, proxy.incarnation);
  for (uint8_t i = 0; i < nodes_.size(); ++i) push(latency(), Kind::kProxyUp, number, i, 0);
}

void World::crash_proxy(uint8_t number) {
  auto& proxy = proxies_[number];
  if (!proxy.subscription) return;
  note(proxy.name, " crashes");
  proxy.subscription.reset();
  proxy.pace = {};
  ++proxy.incarnation;
  proxy.frozen_until = {};
  // A library dies with its proxy; an agent leaves its proxy as it is.
  if (random_.one_in(2)) {
    proxy.is_orphaned = true;
  } else {
    proxy.open_at.reset();
    proxy.transactions.clear();
  }
  for (uint8_t i = 0; i < nodes_.size(); ++i) {
    if (std::exchange(link_[proxy_party(number)][i], false))
      push(latency(), Kind::kProxyDown, number, i, 0);
  }
}

void World::proxy_up(uint8_t number, uint8_t node) {
  auto& proxy = proxies_[number];
  const uint8_t party = proxy_party(number);
  if (!proxy.subscription || !nodes_[node].node || link_[party][node]) return;
  if (schedule_.sparse_proxies && (node + number) % nodes_.size() != 0) return;
  if (is_cut(party, node) || is_cut(node, party) || is_frozen(party) || is_frozen(node))
    return push(200 * kMillisecond, Kind::kProxyUp, number, node, 0);
  link_[party][node] = true;
  proxy.connected_at[node] = now_;
  give(node, ProxyConnected{proxy.name, "10.0.0.1"});
  announce(number);
}

void World::deliver_to_proxy(uint8_t number, uint8_t from, Letter& letter) {
  auto& proxy = proxies_[number];
  if (!proxy.subscription || !link_[proxy_party(number)][from]) return;
  if (!letter.wire)
    letter.wire = to_wire(std::get<NodeState>(std::get<FromNode>(letter.input).message));
  if (trace_) note(proxy.name, " <- ", describe(letter.input));
  if (!proxy.subscription->heard(letter.wire->node_state(), to_clock(now_)))
    invariants_.violated(proxy.name + " refuses what " + nodes_[from].name + " says");
  settle(number);
}

void World::tick_proxy(uint8_t number) {
  auto& proxy = proxies_[number];
  if (!proxy.subscription) return;
  proxy.subscription->tick(to_clock(now_));
  settle(number);
  announce(number);
  push(700 * kMillisecond, Kind::kProxyTick, number, 0, proxy.incarnation);
}

void World::settle(uint8_t number) {
  auto& proxy = proxies_[number];
  auto& subscription = *proxy.subscription;
  for (const auto* rule : subscription.take_fired()) {
    subscriber_fired_[static_cast<size_t>(rule->number)] = true;
    note(proxy.name, " rule ", rule->number, ": ", client::to_string(rule->from), " -> ",
         client::to_string(rule->to));
  }
  if (subscription.highest()) invariants_.learned(number, subscription.highest()->epoch);
  for (auto& action : subscription.take_actions()) {
    if (std::holds_alternative<client::Announce>(action)) {
      announce(number);
      continue;
    }
    if (const auto* remember = std::get_if<client::Remember>(&action)) {
      proxy.memory = remember->route;
      continue;
    }
    if (const auto* pace = std::get_if<client::Pace>(&action)) {
      proxy.pace = pace->distance;
      continue;
    }
    if (const auto* route = std::get_if<client::Route>(&action)) {
      proxy.wanted = *route;
    } else {
      proxy.wanted = std::get<client::Hold>(action);
    }
    ++proxy.asked;
    proxy.enacted = false;
    push(std::max(Duration{random_.between(20, 400)}, proxy.hung_until - now_), Kind::kHandler,
         number, 0, 0, proxy.asked);
  }
}

void World::announce(uint8_t number) {
  protocol::Frame frame;
  *frame.mutable_proxy_state() = proxies_[number].subscription->announcement();
  const auto letter = std::make_shared<Letter>(*proxy_state_from_wire(frame));
  for (uint8_t i = 0; i < nodes_.size(); ++i) {
    if (link_[proxy_party(number)][i]) post(proxy_party(number), i, letter);
  }
}

// The handler carries out what it was asked last.
void World::handler_acts(uint8_t number, uint32_t asked) {
  auto& proxy = proxies_[number];
  if (!proxy.subscription || asked != proxy.asked) return;
  if (now_ < proxy.hung_until)
    return push(proxy.hung_until - now_, Kind::kHandler, number, 0, 0, asked);
  const bool is_new = !std::exchange(proxy.enacted, true);
  if (const auto* hold = std::get_if<client::Hold>(&proxy.wanted)) {
    const bool lies = mutant_ && mutant_->proxy_lies;
    if (is_new && !lies) {
      note(proxy.name, " holds for ", hold->epoch);
      proxy.open_at.reset();
      proxy.is_orphaned = false;
    }
    if (!lies && !proxy.transactions.empty())
      return push(kMillisecond, Kind::kHandler, number, 0, 0, asked);  // it drains
    proxy.subscription->held(hold->epoch);
    settle(number);
  } else if (const auto* route = std::get_if<client::Route>(&proxy.wanted)) {
    note(proxy.name, " opens to ", route->node, " in ", route->epoch);
    proxy.open_at = node_number(route->node);
    proxy.is_orphaned = false;
    invariants_.routed(number, *route);
    proxy.client_pause = Duration{2'000};
    proxy.subscription->opened(route->epoch);
    settle(number);
  }
}

}  // namespace active_master::sim
