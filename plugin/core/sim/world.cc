// Parties, time and the network.
#include "plugin/core/sim/world.h"

#include <algorithm>

#include "plugin/core/sim/note.h"
#include "plugin/core/sim/trace.h"
#include "plugin/net/codec.h"

namespace active_master::sim {
namespace {

constexpr Duration kMillisecond{1'000};
constexpr Duration kSecond{1'000'000};

// Shorter than the product's, in about the same proportion, so that a run has fewer heartbeats.
Config config_of(uint8_t number, uint8_t nodes) {
  Config config;
  config.identity = {"sim", std::string("n") + std::to_string(number + 1), number + 1U};
  config.sql_address = config.identity.node + ":3306";
  for (uint8_t i = 0; i < nodes; ++i) {
    if (i == number) continue;
    const std::string name = std::string("n") + std::to_string(i + 1);
    config.peers.push_back({name, {name, 33307}});
  }
  config.switchover_timeout = Duration{8'000'000};
  config.approach_timeout = Duration{1'500'000};
  config.pause_timeout = Duration{1'000'000};
  config.catch_up_timeout = Duration{1'000'000};
  config.resume_timeout = Duration{1'000'000};
  config.heartbeat_interval = Duration{700'000};
  config.peer_timeout = Duration{2'000'000};
  config.proxy_lease = Duration{3'000'000};
  return config;
}

client::Clock::time_point to_clock(Time time) {
  return client::Clock::time_point(
      std::chrono::duration_cast<client::Clock::duration>(time.since_start));
}

bool later(const auto& a, const auto& b) {
  return a.at != b.at ? a.at > b.at : a.order > b.order;
}

constexpr uint64_t kMaxSteps = 60'000;

}  // namespace

World::World(const Schedule& schedule, const Mutant* mutant, std::string* trace)
    : schedule_(schedule),
      mutant_(mutant),
      trace_(trace),
      random_(schedule.seed ^ 0x5eed),
      invariants_(*this),
      table_(mutant && !mutant->table.empty() ? std::span<const Rule>(mutant->table) : rules()),
      asks_left_(schedule.asks),
      next_target_(schedule.target),
      done_faults_(schedule.faults.size()),
      fired_(1000),
      subscriber_fired_(64) {
  heap_.reserve(256);
  history_.reserve(256);
  build();
}

void World::build() {
  const uint8_t count = schedule_.nodes;
  nodes_.resize(count);
  for (uint8_t i = 0; i < count; ++i) {
    auto& n = nodes_[i];
    n.config = config_of(i, count);
    n.name = n.config.identity.node;
    n.disk.identity = n.config.identity;
    if (!schedule_.bootstrap) {
      n.disk.role = i == 0 ? Role::kActive : Role::kStandby;
      n.disk.epoch = Epoch{5};
      n.disk.active_node = "n1";
      n.disk.active_address = "n1:3306";
    }
    invariants_.stored(i, n.disk, n.disk);
    // Every server replicates from every other.
    n.server.sources = static_cast<uint8_t>(((1U << count) - 1) & ~(1U << i));
  }
  proxies_.resize(schedule_.proxies);
  for (uint8_t p = 0; p < schedule_.proxies; ++p) {
    auto& proxy = proxies_[p];
    proxy.name = "p" + std::to_string(p + 1);
    restart_proxy(p);
    push(Duration{random_.between(1'000, 20'000)}, Kind::kClient, p, 0, 0);
  }
  for (uint8_t i = 0; i < count; ++i) restart(i);
  push(30 * kMillisecond, Kind::kAsk, 0, 0, 0);
}

// --- time -------------------------------------------------------------------------------------

void World::push(Duration after, Kind kind, uint8_t a, uint8_t b, uint32_t incarnation,
                 uint64_t value) {
  heap_.push_back({now_ + after, ++order_, kind, a, b, incarnation, value});
  std::push_heap(heap_.begin(), heap_.end(),
                 [](const Event& x, const Event& y) { return later(x, y); });
}

bool World::is_frozen(uint8_t party) const {
  return now_ < (party < nodes_.size() ? nodes_[party].frozen_until
                                       : proxies_[party - nodes_.size()].frozen_until);
}

void World::run() {
  while (invariants_.violation().empty() && step()) {
  }
}

bool World::step() {
  if (asked_) {
    if (!healed_) fault_before_step();
    if (!invariants_.violation().empty()) return false;
    if (!healed_ && is_answered() && !active_fault_) heal();
    if (healed_ && is_converged()) {
      check_the_end();
      return false;
    }
    if (healed_ && now_ - healed_at_ > 60 * kSecond) {
      invariants_.violated("I6/I16: not converged a minute after the faults ended: " +
                           why_not_converged());
      return false;
    }
    ++steps_;
  }
  if (++all_steps_ > kMaxSteps) {
    invariants_.violated("it goes on and on: " + why_not_converged());
    return false;
  }
  // A node's own timer, or the next event?
  Time next = heap_.empty() ? kNever : heap_.front().at;
  std::optional<uint8_t> ticks;
  for (uint8_t i = 0; i < nodes_.size(); ++i) {
    if (!nodes_[i].node) continue;
    const Time wakeup = std::max(nodes_[i].node->next_wakeup(), nodes_[i].frozen_until);
    if (wakeup < next) {
      next = wakeup;
      ticks = i;
    }
  }
  if (next == kNever) return false;
  now_ = std::max(now_, next);
  if (ticks) {
    give(*ticks, Tick{});
    return true;
  }
  std::pop_heap(heap_.begin(), heap_.end(),
                [](const Event& x, const Event& y) { return later(x, y); });
  const Event event = heap_.back();
  heap_.pop_back();
  dispatch(event);
  return true;
}

void World::dispatch(const Event& event) {
  const auto postpone = [&](uint8_t party) {
    const Time until = party < nodes_.size() ? nodes_[party].frozen_until
                                             : proxies_[party - nodes_.size()].frozen_until;
    push(until - now_, event.kind, event.a, event.b, event.incarnation, event.value);
  };
  const bool of_node = event.kind != Kind::kMail && event.a < nodes_.size();
  switch (event.kind) {
    case Kind::kMail:
      if (is_frozen(event.b)) return postpone(event.b);
      return deliver(event);
    case Kind::kLinkUp:
      return link_up(event.a, event.b);
    case Kind::kLinkDown:
      if (is_frozen(event.a)) return postpone(event.a);
      if (nodes_[event.a].node && !link_[event.a][event.b])
        give(event.a, LinkDown{nodes_[event.b].name, "lost"});
      return;
    case Kind::kProxyUp:
      return proxy_up(event.a, event.b);
    case Kind::kProxyDown: {
      if (is_frozen(event.b)) return postpone(event.b);
      if (nodes_[event.b].node && !link_[proxy_party(event.a)][event.b])
        give(event.b, ProxyLost{proxies_[event.a].name});
      return;
    }
    case Kind::kServerStarted:
      if (event.incarnation != nodes_[event.a].incarnation) return;
      if (is_frozen(event.a)) return postpone(event.a);
      give(event.a, ServerStarted{});
      dial_all(event.a);
      return;
    case Kind::kJobEffect:
      if (event.incarnation != nodes_[event.a].incarnation) return;
      if (is_frozen(event.a)) return postpone(event.a);
      return job_effect(event.a, event.b);
    case Kind::kJobAnswer: {
      const auto slot = static_cast<uint32_t>(event.value);
      if (event.incarnation == nodes_[event.a].incarnation) {
        if (is_frozen(event.a)) return postpone(event.a);
        const JobDone done = std::move(answers_[slot]);
        free_answers_.push_back(slot);
        note(nodes_[event.a].name, " job ", done.id.value,
             done.error.empty() ? " done" : " failed: ", done.error);
        return give(event.a, done);
      }
      free_answers_.push_back(slot);
      return;
    }
    case Kind::kRestartNode:
      if (event.incarnation != nodes_[event.a].incarnation) return;
      return load_plugin(event.a);
    case Kind::kRestartProxy:
      if (event.incarnation == proxies_[event.a].incarnation) restart_proxy(event.a);
      return;
    case Kind::kHandler:
      if (is_frozen(proxy_party(event.a))) return postpone(proxy_party(event.a));
      return handler_acts(event.a, static_cast<uint32_t>(event.value));
    case Kind::kProxyTick: {
      auto& proxy = proxies_[event.a];
      if (event.incarnation != proxy.incarnation || !proxy.subscription) return;
      if (is_frozen(proxy_party(event.a))) return postpone(proxy_party(event.a));
      proxy.subscription->tick(to_clock(now_));
      settle(event.a);
      announce(event.a);
      push(700 * kMillisecond, Kind::kProxyTick, event.a, 0, event.incarnation);
      return;
    }
    case Kind::kClient:
      client(event.a);
      return;
    case Kind::kCommit:
      if (event.incarnation != nodes_[event.a].incarnation && !nodes_[event.a].server.up) return;
      if (is_frozen(event.a)) return postpone(event.a);
      return commit(event.a, event.value);
    case Kind::kApply:
      return apply(event.a);
    case Kind::kStatus:
      if (nodes_[event.a].node && of_node)
        give(event.a, ServerStatus{nodes_[event.a].server.read_only, {}});
      return;
    case Kind::kStopPatience:
      if (event.incarnation == nodes_[event.a].incarnation && nodes_[event.a].node)
        unload_plugin(event.a);
      return;
    case Kind::kReconfigured:
    case Kind::kRestore:
      return end_fault(schedule_.faults[event.value]);
    case Kind::kAsk:
      return ask_next();
  }
}

// --- nodes ------------------------------------------------------------------------------------

std::optional<uint8_t> World::node_number(const NodeName& name) const {
  for (uint8_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].name == name) return i;
  }
  return std::nullopt;
}

void World::give(uint8_t number, const Input& input) {
  auto& n = nodes_[number];
  if (!n.node) return;
  const State before = n.node->state();
  auto actions = n.node->handle(input, now_, wall());
  for (const int rule : n.node->fired()) {
    fired_[static_cast<size_t>(rule)] = true;
    if (trace_ && rule != 0)
      note(n.name, " rule ", rule, ": ", to_string(before), " -> ", to_string(n.node->state()));
  }
  if (n.node->state() != before) invariants_.entered(number, n.node->state());
  invariants_.check_node(number);
  carry_out(number, std::move(actions));
  if (n.node && n.node->stopped() && n.stopping) unload_plugin(number);
}

void World::carry_out(uint8_t number, std::vector<Action> actions) {
  for (auto& action : actions) {
    if (auto* send = std::get_if<SendToNode>(&action)) {
      if (mutant_ && mutant_->drops_proxy_news && std::holds_alternative<ProxyNews>(send->message))
        continue;
      if (const auto to = node_number(send->node); to && link_[number][*to])
        post(number, *to, std::move(send->message));
    } else if (auto* to_proxy = std::get_if<SendToProxy>(&action)) {
      const auto p = static_cast<uint8_t>(to_proxy->proxy.back() - '1');
      auto state = std::make_shared<Broadcast>();
      state->state = std::move(to_proxy->state);
      if (link_[proxy_party(p)][number]) post(number, proxy_party(p), std::move(state));
    } else if (auto* all = std::get_if<SendToAll>(&action)) {
      auto state = std::make_shared<Broadcast>();
      state->state = std::move(all->state);
      for (uint8_t p = 0; p < proxies_.size(); ++p) {
        if (link_[proxy_party(p)][number]) post(number, proxy_party(p), state);
      }
      for (uint8_t i = 0; i < nodes_.size(); ++i) {
        if (link_[number][i]) post(number, i, state);
      }
    } else if (auto* job = std::get_if<RunJob>(&action)) {
      start_job(number, job->id, std::move(job->job));
    } else if (auto* cancel = std::get_if<CancelJob>(&action)) {
      cancel_job(number, cancel->id);
    } else if (auto* answer = std::get_if<Answer>(&action)) {
      const auto& report = *answer->report;
      note(nodes_[number].name, " answers ", report.id.value % 1000, ": ", to_string(report.result),
           " ", report.error);
      for (auto& request : requests_) {
        if (request.id != report.id) continue;
        ++request.answers;
        request.result = report.result;
        request.error = report.error;
      }
      invariants_.answered(report.id, report);
    }
  }
}

void World::restart(uint8_t number) {
  auto& n = nodes_[number];
  note(n.name, " starts");
  auto& server = n.server;
  server.up = true;
  // As plugin.cc does before the first connection is accepted.
  server.fenced = server.read_only = n.disk.epoch > Epoch{};
  if (mutant_ && mutant_->starts_open) server.fenced = false;
  server.gate_open = true;
  invariants_.check_servers();
  if (!server.apply_pending) {
    server.apply_pending = true;
    push(latency(), Kind::kApply, number, 0, 0);
  }
  load_plugin(number);
}

void World::load_plugin(uint8_t number) {
  auto& n = nodes_[number];
  n.stopping = false;
  Durable durable = n.disk;
  if (mutant_ && mutant_->forgets_grant && durable.grant) {
    durable.grant.reset();
    durable.role = Role::kActive;
  }
  n.node = std::make_unique<Node>(n.config, durable, table_);
  push(Duration{random_.between(100, 2'000)}, Kind::kServerStarted, number, 0, n.incarnation);
}

void World::dial_all(uint8_t number) {
  for (uint8_t i = 0; i < nodes_.size(); ++i) {
    if (i == number) continue;
    push(latency(), Kind::kLinkUp, number, i, 0);
    push(latency(), Kind::kLinkUp, i, number, 0);
  }
  for (uint8_t p = 0; p < proxies_.size(); ++p) push(latency(), Kind::kProxyUp, p, number, 0);
}

void World::link_up(uint8_t from, uint8_t to) {
  if (link_[from][to] || !nodes_[from].node || !nodes_[to].node) return;
  const auto& peers = nodes_[from].config.peers;
  if (std::ranges::none_of(peers, [&](const auto& p) { return p.name == nodes_[to].name; })) return;
  if (is_cut(from, to) || is_cut(to, from) || is_frozen(from) || is_frozen(to)) {
    // Dialled again until it works, as the network does.
    return push(200 * kMillisecond, Kind::kLinkUp, from, to, 0);
  }
  link_[from][to] = true;
  give(from, LinkUp{nodes_[to].name});
}

void World::drop_links(uint8_t number) {
  for (uint8_t i = 0; i < nodes_.size(); ++i) {
    if (link_[i][number]) push(latency(), Kind::kLinkDown, i, number, 0);
    link_[i][number] = link_[number][i] = false;
  }
  for (uint8_t p = 0; p < proxies_.size(); ++p) {
    if (std::exchange(link_[proxy_party(p)][number], false) && proxies_[p].subscription) {
      proxies_[p].subscription->lost(nodes_[number].name);
      settle(p);
    }
  }
}

void World::crash(uint8_t number) {
  auto& n = nodes_[number];
  if (!n.server.up) return;
  note(n.name, " crashes");
  n.node.reset();
  ++n.incarnation;
  n.server.up = false;
  n.server.transactions.clear();
  for (auto& lane : n.server.lanes) lane.clear();
  n.frozen_until = {};
  drop_links(number);
  invariants_.node_lost(number);
}

// The server goes on as it is. A job that runs may still have its effect: its thread is joined.
void World::unload_plugin(uint8_t number) {
  auto& n = nodes_[number];
  note(n.name, " plugin unloaded");
  const bool stopped = n.node->stopped();
  n.node.reset();
  for (uint8_t lane = 0; lane < kLanes; ++lane) {
    auto& queue = n.server.lanes[lane];
    if (queue.empty()) continue;
    RunningJob job = std::move(queue.front());
    queue.clear();
    JobDone done;
    if (job.started && !job.fails && random_.one_in(2)) attempt(number, job, done);
  }
  ++n.incarnation;
  drop_links(number);
  push(n.absence, Kind::kRestartNode, number, 0, n.incarnation);
  invariants_.node_lost(number);
  for (auto& request : requests_) {
    if (request.node != number || request.incarnation + 1 != n.incarnation) continue;
    if (stopped && request.answers == 0)
      invariants_.violated("I6: " + n.name + " stopped and left a statement without an answer");
  }
}

// --- messages ---------------------------------------------------------------------------------

void World::post(uint8_t from, uint8_t to, Mail mail) {
  const uint64_t number = asked_ ? ++messages_ : 0;
  Duration delay = latency();
  if (is_cut(from, to)) return;
  bool twice = false;
  if (asked_ && !healed_) {
    for (size_t i = 0; i < schedule_.faults.size(); ++i) {
      const auto& fault = schedule_.faults[i];
      if (fault.kind > FaultKind::kDelayMessage || fault.at != number) continue;
      note("fault: ", to_string(fault.kind), " ", number);
      if (fault.kind == FaultKind::kDropMessage) return;
      if (fault.kind == FaultKind::kDuplicateMessage) twice = true;
      delay += fault.duration;
      if (twice) {
        const auto slot = static_cast<uint32_t>(mails_.size());
        mails_.push_back(mail);
        push(latency(), Kind::kMail, from, to, 0, slot);
      }
    }
  }
  uint32_t slot;
  if (free_mails_.empty()) {
    slot = static_cast<uint32_t>(mails_.size());
    mails_.push_back(std::move(mail));
  } else {
    slot = free_mails_.back();
    free_mails_.pop_back();
    mails_[slot] = std::move(mail);
  }
  push(delay, Kind::kMail, from, to, 0, slot);
}

void World::deliver(const Event& event) {
  const auto slot = static_cast<uint32_t>(event.value);
  Mail mail = std::move(mails_[slot]);
  mails_[slot] = {};
  free_mails_.push_back(slot);
  const uint8_t from = event.a, to = event.b;
  if (to >= nodes_.size()) {
    deliver_to_proxy(static_cast<uint8_t>(to - nodes_.size()), from, mail);
    return;
  }
  if (!nodes_[to].node) return;
  if (auto* state = std::get_if<std::shared_ptr<Broadcast>>(&mail)) {
    if (trace_) note(nodes_[to].name, " <- ", nodes_[from].name, " ", describe((*state)->state));
    give(to, FromNode{nodes_[from].name, (*state)->state});
  } else if (auto* message = std::get_if<NodeMessage>(&mail)) {
    if (trace_) note(nodes_[to].name, " <- ", nodes_[from].name, " ", describe(*message));
    give(to, FromNode{nodes_[from].name, std::move(*message)});
  } else if (auto* state_of_proxy = std::get_if<ProxyState>(&mail)) {
    if (trace_) note(nodes_[to].name, " <- ", describe(*state_of_proxy));
    give(to, *state_of_proxy);
  }
}

// --- proxies ----------------------------------------------------------------------------------

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

void World::deliver_to_proxy(uint8_t number, uint8_t from, Mail& mail) {
  auto& proxy = proxies_[number];
  if (!proxy.subscription || !link_[proxy_party(number)][from]) return;
  auto& broadcast = *std::get<std::shared_ptr<Broadcast>>(mail);
  if (!broadcast.wire) broadcast.wire = to_wire(broadcast.state).node_state();
  if (trace_) note(proxy.name, " <- ", nodes_[from].name, " ", describe(broadcast.state));
  if (!proxy.subscription->heard(*broadcast.wire, to_clock(now_)))
    invariants_.violated(proxy.name + " refuses what " + nodes_[from].name + " says");
  settle(number);
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
  const auto state = proxy_state_from_wire(frame);
  for (uint8_t i = 0; i < nodes_.size(); ++i) {
    if (link_[proxy_party(number)][i]) post(proxy_party(number), i, *state);
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

// --- operators --------------------------------------------------------------------------------

void World::ask(uint8_t number, uint8_t target, bool check_only) {
  auto& n = nodes_[number];
  if (!n.node || n.stopping) return;
  Request request;
  request.id = SwitchoverId{requests_.size() + 1};
  request.node = number;
  request.incarnation = n.incarnation;
  request.target = target;
  request.check_only = check_only;
  request.asked_at = now_;
  request.deadline =
      now_ + n.config.switchover_timeout + n.config.resume_timeout + Duration{2'000'000} + kSecond;
  requests_.push_back(request);
  note(n.name, " is asked for ", nodes_[target].name, check_only ? " (check)" : "", ": ",
       request.id.value);
  give(number, SwitchCommand{request.id, nodes_[target].name, check_only});
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

// --- the end ----------------------------------------------------------------------------------

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
  return why_not_converged().empty();
}

std::string World::why_not_converged() const {
  std::optional<uint8_t> active;
  for (uint8_t i = 0; i < nodes_.size(); ++i) {
    const auto& n = nodes_[i];
    if (!n.node) return n.name + " is down";
    if (n.node->state() == State::kActive) {
      if (active) return "two active nodes";
      active = i;
    } else if (n.node->state() != State::kStandby) {
      return n.name + " is in " + to_string(n.node->state());
    }
  }
  if (!active) return "no active node";
  const auto epoch = nodes_[*active].node->durable().epoch;
  if (!nodes_[*active].server.accepts()) return nodes_[*active].name + " takes no writes";
  for (uint8_t i = 0; i < nodes_.size(); ++i) {
    const auto& n = nodes_[i];
    if (n.node->durable().epoch != epoch) return n.name + " does not know the epoch";
    if (i == *active) continue;
    if (n.server.accepts()) return n.name + " takes writes";
  }
  for (uint8_t p = 0; p < proxies_.size(); ++p) {
    const auto& proxy = proxies_[p];
    if (!proxy.subscription) return proxy.name + " is down";
    const auto state = proxy.subscription->state();
    if (state != client::State::kOpen)
      return proxy.name + " is " + std::string(client::to_string(state));
    if (proxy.open_at != active) return proxy.name + " is open to another node";
    if (proxy.subscription->highest()->epoch != epoch.value)
      return proxy.name + " does not know the epoch";
  }
  if (healed_) {
    for (const auto& request : requests_) {
      if (request.answers == 0 && nodes_[request.node].incarnation == request.incarnation)
        return "a statement has no answer";
    }
    for (const auto& n : nodes_) {
      if (n.server.applied < history_.size()) return n.name + " does not follow";
    }
  }
  return {};
}

void World::check_the_end() {
  if (!schedule_.faults.empty()) return;
  for (const auto& request : requests_) {
    if (request.result != Result::kDone)
      invariants_.violated("without a fault the answer is " +
                           std::string(to_string(request.result)) + ": " + request.error);
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
    const auto config = config_of(i, schedule_.nodes);
    if (config.peers.size() != n.config.peers.size()) {
      n.config = config;
      if (n.node) give(i, Reconfigured{config});
    }
    for (auto& lane : n.server.lanes) {
      if (!lane.empty()) lane.front().fails = lane.front().fails_after_effect = false;
    }
  }
  for (auto& proxy : proxies_) proxy.frozen_until = proxy.hung_until = {};
  for (auto& event : heap_) {
    if (event.at - now_ > 10 * kMillisecond && event.kind != Kind::kProxyTick &&
        event.kind != Kind::kClient && event.kind != Kind::kAsk)
      event.at = now_ + Duration{random_.between(100, 10'000)};
  }
  std::make_heap(heap_.begin(), heap_.end(),
                 [](const Event& x, const Event& y) { return later(x, y); });
  for (uint8_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].node) dial_all(i);
  }
}

void World::write_note(const std::string& text) {
  char head[48];
  std::snprintf(head, sizeof head, "%9.3f ms %5llu  ",
                static_cast<double>((now_.since_start - kSecond).count()) / 1000.0,
                static_cast<unsigned long long>(steps_));
  *trace_ += head + text + "\n";
}

}  // namespace active_master::sim
