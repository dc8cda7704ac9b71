// The proxies that a node knows: what they say, by themselves, by SQL or through other nodes.
#include <algorithm>
#include <tuple>
#include <utility>

#include "plugin/core/node.h"

namespace active_master {

namespace {

constexpr size_t kMaxProxies = 10'000;
constexpr size_t kProxiesInAMessage = 200;  // well below the limit of a frame

}  // namespace

Event Node::absorb(const ProxyConnected& input) {
  auto& proxy = proxies_[input.proxy];
  proxy.ip = input.ip;
  proxy.connected = true;
  proxy.by_sql = false;
  proxy.lost = false;
  proxy.heard_at = now_;
  proxy.heard_wall = wall_;
  proxy.state.proxy = input.proxy;
  view_changed_ = true;
  actions_.push_back(SendToProxy{input.proxy, node_state()});
  return Event::kNone;
}

Event Node::absorb(const ProxyLost& input) {
  const auto it = proxies_.find(input.proxy);
  if (it == proxies_.end()) return Event::kNone;
  it->second.connected = false;
  it->second.lost = true;
  proxy_news_.insert(input.proxy);
  view_changed_ = true;
  return Event::kNone;
}

Event Node::absorb(const ProxyState& input) {
  const auto it = proxies_.find(input.proxy);
  if (it == proxies_.end()) return Event::kNone;
  auto& proxy = it->second;
  const auto& old = proxy.state;
  if (input.incarnation == old.incarnation && input.sequence < old.sequence) return Event::kNone;
  const bool is_news = old.holding != input.holding || old.epoch != input.epoch ||
                       old.switchover != input.switchover || old.last_error != input.last_error ||
                       old.incarnation != input.incarnation || proxy.lost;
  if (is_news) proxy_news_.insert(input.proxy);
  proxies_changed_ |= is_news;
  proxy.lost = false;
  proxy.heard_at = now_;
  proxy.heard_wall = wall_;
  note(proxy, input);
  return Event::kNone;
}

void Node::note(Proxy& proxy, const ProxyState& said) const {
  if (said.holding && !proxy.state.holding) {
    proxy.held_at = wall_;
    proxy.opened_at.reset();
  } else if (!said.holding && proxy.state.holding) {
    proxy.opened_at = wall_;
  }
  proxy.state = said;
}

Event Node::absorb(const RegisterProxy& input) {
  const auto known = proxies_.find(input.proxy);
  if (!is_valid_name(input.proxy)) {
    answer_plainly(input.id,
                   make_error(ErrorCode::kBadName,
                              "'" + input.proxy.substr(0, kMaxNameLength) + "' is no proxy name"));
  } else if (known != proxies_.end() && known->second.connected && !known->second.by_sql) {
    answer_plainly(input.id,
                   make_error(ErrorCode::kProxyNameTaken,
                              "proxy " + input.proxy + " is connected from " + known->second.ip));
  } else if (role() != Role::kActive) {
    answer_plainly(input.id,
                   durable_.active_node.empty() || durable_.active_node == self()
                       ? make_error(ErrorCode::kNotBootstrapped, "no active master is known here")
                       : make_error(ErrorCode::kRegisterElsewhere,
                                    "node " + durable_.active_node + " is the active master"));
  } else {
    auto& proxy = proxies_[input.proxy];
    proxy.ip = input.ip;
    proxy.connected = proxy.by_sql = true;
    proxy.heard_at = now_;
    proxy.heard_wall = wall_;
    proxy.state.proxy = input.proxy;
    proxy.state.driver = "sql";
    // What it held for is over, unless this node directs it; that it has opened since may not be
    // known here yet.
    if (!operation_ || proxy.state.switchover != operation_->report->id) {
      proxy.state.holding = false;
      proxy.state.switchover = {};
    }
    // What other nodes still know of its registration elsewhere is older, whatever the clocks say.
    proxy.state.incarnation = std::max<uint64_t>(proxy.state.incarnation + 1, wall_);
    proxy.state.sequence = 0;
    proxy.lost = false;
    proxy_news_.insert(input.proxy);
    view_changed_ = true;
    answer_plainly(input.id, {});
  }
  return Event::kNone;
}

Event Node::absorb(const AcknowledgeProxy& input) {
  forget_expired_proxies();
  const auto known = proxies_.find(input.proxy);
  if (known == proxies_.end() || !known->second.by_sql) {
    answer_plainly(input.id, make_error(ErrorCode::kUnknownProxy,
                                        "proxy '" + cut(input.proxy) + "' is unknown"));
    return Event::kNone;
  }
  auto& proxy = known->second;
  proxy.heard_at = now_;
  proxy.heard_wall = wall_;
  ++proxy.state.sequence;  // so that it is news to the peers
  proxy_news_.insert(input.proxy);
  view_changed_ = true;
  answer_plainly(input.id,
                 input.switchover ? take_acknowledgement(proxy, input.switchover) : Error{});
  return Event::kNone;
}

// While the switchover has stopped traffic: "I hold". Afterwards: "I route to the active master".
Error Node::take_acknowledgement(Proxy& proxy, SwitchoverId switchover) const {
  const auto notice = node_state().pause;
  ProxyState said = proxy.state;
  if (notice && notice->switchover == switchover) {
    said.holding = true;
    said.switchover = switchover;
    note(proxy, said);
    return {};
  }
  const bool is_known =
      (operation_ && operation_->report->id == switchover) ||
      (activation_ && activation_->switchover == switchover) ||
      std::ranges::find(history_, switchover, &SwitchoverReport::id) != history_.end();
  if (!is_known || !activation_) {
    return make_error(ErrorCode::kUnknownSwitchover,
                      "switchover " + std::to_string(switchover.value) + " is unknown");
  }
  said.holding = false;
  said.switchover = {};
  said.epoch = activation_->epoch;
  said.node = activation_->node;
  note(proxy, said);
  return {};
}

void Node::answer_plainly(SwitchoverId statement, const Error& error) {
  auto report = std::make_shared<SwitchoverReport>();
  report->id = statement;
  report->result = error ? Result::kRefused : Result::kDone;
  report->error_number = static_cast<uint32_t>(error.code);
  report->error = error.text;
  actions_.emplace_back(Answer{std::move(report)});
}

Event Node::receive(const NodeName& from, const ProxyNews& message) {
  for (const auto& entry : message.proxies) {
    const auto& said = entry.state;
    auto it = proxies_.find(said.proxy);
    if (it == proxies_.end()) {
      if (entry.age >= config_.proxy_lease || proxies_.size() >= kMaxProxies) continue;
      it = proxies_.emplace(said.proxy, Proxy()).first;
      it->second.lost = true;  // so that whatever comes is newer
    }
    auto& proxy = it->second;
    if (entry.connected) {
      proxy.at.insert(from);
    } else {
      proxy.at.erase(from);
    }
    const auto key = [](const ProxyState& s, bool lost) {
      return std::tuple(s.incarnation, s.sequence, lost);
    };
    const bool is_first = proxy.ip.empty() && !proxy.connected;
    if (!is_first && key(said, entry.lost) <= key(proxy.state, proxy.lost)) {
      if (key(said, entry.lost) == key(proxy.state, proxy.lost)) {
        proxy.heard_at = std::max(proxy.heard_at, Time{now_ - Time{entry.age}});
      } else if (!entry.connected) {
        proxy_news_.insert(said.proxy);  // it knows less
      }
      continue;
    }
    if (proxy.connected && entry.lost) continue;  // it is here
    if (is_first || proxy.state.holding != said.holding || proxy.state.epoch != said.epoch ||
        proxy.state.switchover != said.switchover || proxy.lost != entry.lost) {
      proxy_news_.insert(said.proxy);
      proxies_changed_ = true;
    }
    note(proxy, said);
    proxy.lost = entry.lost;
    if (proxy.ip.empty()) proxy.ip = entry.ip.empty() ? "?" : entry.ip;
    proxy.heard_at = Time{now_ - Time{entry.age}};
    proxy.heard_wall = wall_ - static_cast<WallTime>(entry.age.count());
  }
  return Event::kNone;
}

bool Node::is_proxy_ready(const Proxy& proxy, bool holding) const {
  const auto& state = proxy.state;
  return holding ? is_here(proxy) && state.holding && state.switchover == operation_->report->id
                 : !is_here(proxy) || (!state.holding && state.epoch >= operation_->report->epoch);
}

// Asked with each message of each proxy: ends at the first one that isn't.
bool Node::are_proxies_ready(bool holding) const {
  return std::ranges::all_of(
      proxies_, [&](const auto& entry) { return is_proxy_ready(entry.second, holding); });
}

std::string Node::proxies_not(bool holding) const {
  std::string names;
  for (const auto& [name, proxy] : proxies_) {
    if (is_proxy_ready(proxy, holding)) continue;
    const auto& state = proxy.state;
    names += (names.empty() ? "" : ", ") + name;
    if (!state.last_error.empty()) names += " (" + cut(state.last_error) + ")";
    if (names.size() > kMaxText) return names + ", ...";
  }
  return names;
}

void Node::forget_expired_proxies() {
  view_changed_ |= std::erase_if(proxies_, [&](const auto& entry) {
                     const bool may_be_silent = entry.second.connected && !entry.second.by_sql;
                     return !may_be_silent && now_ - entry.second.heard_at > config_.proxy_lease;
                   }) != 0;
}

// --- What is passed on, so that whoever hears one node hears of everything ---

// A proxy that is connected to another node counts as long as news of it come.
bool Node::is_here(const Proxy& proxy) const {
  return proxy.connected || (!proxy.lost && now_ - proxy.heard_at < config_.peer_timeout);
}

// One that speaks only SQL has no connection that could tell whether it is alive, or bring the
// news.
ProxyEntry Node::entry_of(const Proxy& proxy) const {
  const bool is_connected = proxy.connected && !proxy.by_sql;
  return {proxy.state, proxy.ip,
          is_connected ? Duration{0} : std::max(now_ - proxy.heard_at, Duration{0}), is_connected,
          proxy.lost};
}

// In parts that fit into frames.
void Node::send_proxies(const NodeName& to, const std::vector<ProxyEntry>& entries) {
  for (size_t i = 0; i < entries.size(); i += kProxiesInAMessage) {
    const auto part =
        std::span(entries).subspan(i).first(std::min(kProxiesInAMessage, entries.size() - i));
    send(to, ProxyNews{{part.begin(), part.end()}});
  }
}

void Node::send_all_proxies(const NodeName& to) {
  std::vector<ProxyEntry> all;
  for (const auto& [name, proxy] : proxies_) all.push_back(entry_of(proxy));
  send_proxies(to, all);
}

void Node::send_proxy_news() {
  for (const auto& [peer_name, peer] : peers_) {
    if (!peer.link_up || peer.is_witness) continue;
    std::vector<ProxyEntry> news;
    for (const auto& name : proxy_news_) {
      const auto it = proxies_.find(name);
      if (it != proxies_.end() && (it->second.lost || !it->second.at.contains(peer_name)))
        news.push_back(entry_of(it->second));
    }
    send_proxies(peer_name, news);
  }
  proxy_news_.clear();
}

bool Node::awaits_proxies() const {
  return operation_ && (state_ == State::kPause || state_ == State::kResume);
}

// A proxy that this node counts as connected may be cut off from it, and nobody knows yet. So that
// the peers tell what they hear from it, they are told that it is not here.
void Node::ask_for_proxies() {
  std::vector<ProxyEntry> missing;
  for (const auto& [name, proxy] : proxies_) {
    if (is_proxy_ready(proxy, state_ == State::kPause)) continue;
    missing.push_back(entry_of(proxy));
    missing.back().connected = false;
  }
  for (const auto& [name, peer] : peers_) {
    if (peer.link_up && !peer.is_witness) send_proxies(name, missing);
  }
}

}  // namespace active_master
