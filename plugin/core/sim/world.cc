// Parties, time and the network.
#include "plugin/core/sim/world.h"

#include <algorithm>

#include "plugin/core/sim/note.h"
#include "plugin/core/sim/trace.h"
#include "plugin/net/codec.h"

namespace active_master::sim {
namespace {

constexpr uint64_t kMaxSteps = 60'000;

}  // namespace

// Shorter than the product's, in about the same proportion, so that a run has fewer heartbeats.
Config config_of(uint8_t number, const Schedule& schedule) {
  Config config;
  config.identity = {"sim", std::string("n") + std::to_string(number + 1), number + 1U};
  config.sql_address = config.identity.node + ":3306";
  for (uint8_t i = 0; i < schedule.nodes; ++i) {
    if (i == number) continue;
    const std::string name = std::string("n") + std::to_string(i + 1);
    config.peers.push_back({name, {name, 33307}});
  }
  config.switchover_timeout = Duration{8'000'000};
  config.approach_timeout = Duration{1'500'000};
  config.active_transaction_limit = Duration{1'000'000};
  config.idle_transaction_limit = Duration{300'000};
  config.kill_transactions = schedule.kills;
  config.pause_timeout = Duration{1'000'000};
  config.catch_up_timeout = Duration{1'000'000};
  config.resume_timeout = Duration{1'000'000};
  config.heartbeat_interval = Duration{700'000};
  config.peer_timeout = Duration{2'000'000};
  config.proxy_lease = Duration{3'000'000};
  if (schedule.voters) {
    for (uint8_t i = 0; i < schedule.nodes; ++i)
      config.voters.push_back("n" + std::to_string(i + 1));
    if (schedule.witness) {
      config.voters.push_back("w");
      config.witnesses = {{"w", {"w", 33308}}};
    }
    config.lease = Duration{600'000};
    config.auto_failover = true;
    config.cooldown = Duration{1'000'000};
    config.max_failovers = 0;
  }
  return config;
}

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
    n.config = config_of(i, schedule_);
    n.name = n.config.identity.node;
    n.disk.identity = n.config.identity;
    if (!schedule_.bootstrap) {
      n.disk.role = i == 0 ? Role::kActive : Role::kStandby;
      n.disk.epoch = Epoch{5};
      n.disk.active_node = "n1";
      n.disk.active_address = "n1:3306";
      n.disk.votes = schedule_.voters;
    }
    if (schedule_.voters) n.drift = static_cast<int>(random_.between(0, 18'000)) - 9'000;
    invariants_.stored(i, n.disk, n.disk);
    const unsigned others = ((1U << count) - 1) & ~(1U << i);
    n.server.sources = static_cast<uint8_t>(schedule_.star ? others & 1U : others);
  }
  proxies_.resize(schedule_.proxies);
  for (uint8_t p = 0; p < schedule_.proxies; ++p) {
    auto& proxy = proxies_[p];
    proxy.name = "p" + std::to_string(p + 1);
    restart_proxy(p);
    push(Duration{random_.between(1'000, 20'000)}, Kind::kClient, p, 0, 0);
  }
  if (schedule_.witness) build_witness();
  if (schedule_.sql_proxy) build_sql_proxy();
  for (uint8_t i = 0; i < count; ++i) restart(i);
  push(30 * kMillisecond, Kind::kAsk, 0, 0, 0);
}

// --- time ---

void World::push(Duration after, Kind kind, uint8_t a, uint8_t b, uint32_t incarnation,
                 uint64_t value) {
  heap_.push_back({now_ + after, ++order_, kind, a, b, incarnation, value});
  std::push_heap(heap_.begin(), heap_.end());
}

Time World::frozen_until(uint8_t party) const {
  if (is_witness(party)) return witness_->frozen_until;
  return party < nodes_.size() ? nodes_[party].frozen_until
                               : proxies_[party - nodes_.size()].frozen_until;
}

bool World::is_up(uint8_t party) const {
  return is_witness(party) ? witness_->witness != nullptr : nodes_[party].node != nullptr;
}

void World::run() {
  while (invariants_.violation().empty() && step()) {
  }
}

bool World::step() {
  if (asked_) {
    if (!healed_) fault_before_step();
    if (!invariants_.violation().empty()) return false;
    if (!healed_ && is_answered() && !active_fault_ && !is_forcing_) heal();
    if (forced_) {
      const auto& request = requests_.at(forced_->value - 1);
      if (request.answers > 0 || nodes_[request.node].incarnation != request.incarnation)
        switch_on_again();
    }
    if (healed_) rejoin_the_diverged();
    if (healed_ && now_ >= help_at_) {
      help_at_ = now_ + Duration{3'000'000};
      help_out();
    }
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
    const Time wakeup = std::max(nodes_[i].wakeup, nodes_[i].frozen_until);
    if (wakeup < next) {
      next = wakeup;
      ticks = i;
    }
  }
  bool witness_ticks = false;
  if (witness_ && witness_->witness) {
    const Time wakeup = std::max(witness_->wakeup, witness_->frozen_until);
    witness_ticks = wakeup < next;
    next = std::min(next, wakeup);
  }
  if (next == kNever) return false;
  now_ = std::max(now_, next);
  if (witness_ticks) {
    give_witness(Tick{});
    return true;
  }
  if (ticks) {
    give(*ticks, Tick{});
    return true;
  }
  std::pop_heap(heap_.begin(), heap_.end());
  const Event event = heap_.back();
  heap_.pop_back();
  dispatch(event);
  return true;
}

void World::dispatch(const Event& event) {
  const auto postpone = [&](uint8_t party) {
    push(frozen_until(party) - now_, event.kind, event.a, event.b, event.incarnation, event.value);
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
      if (!is_up(event.a) || link_[event.a][event.b]) return;
      if (is_witness(event.a)) return;  // it would do nothing
      return give(event.a, LinkDown{is_witness(event.b) ? "w" : nodes_[event.b].name, "lost"});
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
    case Kind::kProxyTick:
      if (event.incarnation != proxies_[event.a].incarnation) return;
      if (is_frozen(proxy_party(event.a))) return postpone(proxy_party(event.a));
      return tick_proxy(event.a);
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
      if (nodes_[event.a].node && of_node) give(event.a, status_of(event.a));
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
    case Kind::kForce:
      return force_failover(event.a);
    case Kind::kWitnessStored:
      if (is_frozen(witness_party())) return postpone(witness_party());
      return witness_stored(event);
    case Kind::kRestartWitness:
      return restart_witness();
    case Kind::kSqlProxy:
      return poll_sql_proxy(event.value);
  }
}

// --- nodes ---

std::optional<uint8_t> World::node_number(const NodeName& name) const {
  for (uint8_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].name == name) return i;
  }
  return std::nullopt;
}

Time World::when_clock_says(int drift, Time time) const {
  if (drift == 0 || time == kNever) return time;
  const Time now = clock_with(drift);
  if (time <= now) return now_;
  return now_ + Duration{(time - now).count() * 1'000'000 / (1'000'000 + drift) + 2'000};
}

void World::give(uint8_t number, const Input& input) {
  auto& n = nodes_[number];
  if (!n.node) return;
  const State before = n.node->state();
  const auto actions = n.node->handle(input, clock_of(number), wall());
  n.wakeup = when_clock_says(n.drift, n.node->next_wakeup());
  for (const int rule : n.node->fired()) {
    fired_[static_cast<size_t>(rule)] = true;
    if (trace_ && rule != 0)
      note(n.name, " rule ", rule, ": ", to_string(before), " -> ", to_string(n.node->state()));
  }
  if (n.node->state() != before) {
    invariants_.entered(number, n.node->state());
    if (sql_proxy_ && sql_proxy_->at == number) wake_sql_proxy(latency());
  }
  invariants_.check_node(number);
  carry_out(number, actions);
  if (n.node && n.node->stopped() && n.stopping) unload_plugin(number);
}

void World::carry_out(uint8_t number, std::span<Action> actions) {
  const auto write = [&](NodeMessage message) {
    return std::make_shared<Letter>(FromNode{nodes_[number].name, std::move(message)});
  };
  for (auto& action : actions) {
    if (auto* send = std::get_if<SendToNode>(&action)) {
      if (mutant_ && mutant_->drops_proxy_news && std::holds_alternative<ProxyNews>(send->message))
        continue;
      auto to = node_number(send->node);
      if (!to && witness_) to = witness_party();
      if (to && link_[number][*to]) post(number, *to, write(std::move(send->message)));
    } else if (auto* to_proxy = std::get_if<SendToProxy>(&action)) {
      const auto p = static_cast<uint8_t>(to_proxy->proxy.back() - '1');
      if (link_[proxy_party(p)][number])
        post(number, proxy_party(p), write(std::move(to_proxy->state)));
    } else if (auto* all = std::get_if<SendToAll>(&action)) {
      const Mail state = write(std::move(all->state));
      for (uint8_t p = 0; all->to_proxies && p < proxies_.size(); ++p) {
        if (link_[proxy_party(p)][number]) post(number, proxy_party(p), state);
      }
      for (uint8_t i = 0; i < nodes_.size(); ++i) {
        if (link_[number][i]) post(number, i, state);
      }
      if (witness_ && link_[number][witness_party()]) post(number, witness_party(), state);
    } else if (const auto* lease = std::get_if<WriteUntil>(&action)) {
      if (!mutant_ || !mutant_->gate_ignores_lease)
        nodes_[number].server.write_until = lease->until;
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
      if (sql_proxy_ && report.id.value == kFirstStatement + sql_proxy_->statements)
        sql_proxy_->error = report.error_number;
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
  server.may_record = server.may_hand_over = false;
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
  if (mutant_ && mutant_->forgets_lease) forget_lease(*n.node);
  n.wakeup = when_clock_says(n.drift, n.node->next_wakeup());
  push(Duration{random_.between(100, 2'000)}, Kind::kServerStarted, number, 0, n.incarnation);
}

void World::dial_all(uint8_t number) {
  for (uint8_t i = 0; i < nodes_.size(); ++i) {
    if (i == number) continue;
    push(latency(), Kind::kLinkUp, number, i, 0);
    push(latency(), Kind::kLinkUp, i, number, 0);
  }
  for (uint8_t p = 0; p < proxies_.size(); ++p) push(latency(), Kind::kProxyUp, p, number, 0);
  if (!witness_) return;
  push(latency(), Kind::kLinkUp, number, witness_party(), 0);
  push(latency(), Kind::kLinkUp, witness_party(), number, 0);
}

void World::link_up(uint8_t from, uint8_t to) {
  if (link_[from][to] || !is_up(from) || !is_up(to)) return;
  const bool with_witness = is_witness(from) || is_witness(to);
  const auto is_peer = [&] {
    return std::ranges::any_of(nodes_[from].config.peers,
                               [&](const auto& p) { return p.name == nodes_[to].name; });
  };
  if (!with_witness && !is_peer()) return;
  if (is_cut(from, to) || is_cut(to, from) || is_frozen(from) || is_frozen(to)) {
    // Dialled again until it works, as the network does.
    return push(200 * kMillisecond, Kind::kLinkUp, from, to, 0);
  }
  link_[from][to] = true;
  if (is_witness(from)) return give_witness(LinkUp{nodes_[to].name});
  give(from, LinkUp{is_witness(to) ? "w" : nodes_[to].name});
}

void World::drop_links(uint8_t number) {
  for (uint8_t i = 0; i < nodes_.size(); ++i) {
    if (link_[i][number]) push(latency(), Kind::kLinkDown, i, number, 0);
    link_[i][number] = link_[number][i] = false;
  }
  if (witness_) link_[number][witness_party()] = link_[witness_party()][number] = false;
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
  n.server.received = std::min(n.server.received, n.server.applied);
  n.server.stopped = 0;
  n.server.promised = {};
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

// --- messages ---

void World::post(uint8_t from, uint8_t to, Mail mail) {
  const uint64_t number = asked_ ? ++messages_ : 0;
  Duration delay = latency();
  if (is_cut(from, to)) return;
  // What is on its way to a process dies with it: no connection outlives one.
  const uint32_t life = is_witness(to)       ? witness_->incarnation
                        : to < nodes_.size() ? nodes_[to].incarnation
                                             : 0;
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
        push(latency(), Kind::kMail, from, to, life, slot);
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
  push(delay, Kind::kMail, from, to, life, slot);
}

void World::deliver(const Event& event) {
  const auto slot = static_cast<uint32_t>(event.value);
  const Mail mail = std::move(mails_[slot]);
  free_mails_.push_back(slot);
  const uint8_t from = event.a, to = event.b;
  if (is_witness(to)) {
    if (!witness_->witness || event.incarnation != witness_->incarnation) return;
    if (trace_) note("w <- ", describe(mail->input));
    return give_witness(mail->input);
  }
  if (to >= nodes_.size()) {
    deliver_to_proxy(static_cast<uint8_t>(to - nodes_.size()), from, *mail);
    return;
  }
  if (!nodes_[to].node || event.incarnation != nodes_[to].incarnation) return;
  if (trace_) note(nodes_[to].name, " <- ", describe(mail->input));
  if (mutant_ && mutant_->lease_from_receipt) {
    if (auto* message = std::get_if<FromNode>(&mail->input)) {
      if (auto* reply = std::get_if<AskReply>(&message->message); reply && !reply->id)
        reply->round = static_cast<uint64_t>(clock_of(to).since_start.count());
    }
  }
  give(to, mail->input);
}

void World::write_note(const std::string& text) {
  char head[48];
  std::snprintf(head, sizeof head, "%9.3f ms %5llu  ",
                static_cast<double>((now_.since_start - kSecond).count()) / 1000.0,
                static_cast<unsigned long long>(steps_));
  *trace_ += head + text + "\n";
}

}  // namespace active_master::sim
