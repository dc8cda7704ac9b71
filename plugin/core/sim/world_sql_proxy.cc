// The proxy that speaks only SQL.
#include <utility>

#include "plugin/core/sim/note.h"
#include "plugin/core/sim/world.h"

namespace active_master::sim {
namespace {

constexpr Duration kWait{2'000'000};  // of wait_event()

// As wait_event() has it in its column SWITCH.
constexpr States kStopsTraffic{State::kPause,    State::kDrain,        State::kFence,
                               State::kHandover, State::kCatchUp,      State::kGrant,
                               State::kGranted,  State::kAbortPersist, State::kAbortOpen};

}  // namespace

void World::build_sql_proxy() {
  sql_proxy_.emplace();
  wake_sql_proxy(latency());
  push(Duration{random_.between(1'000, 20'000)}, Kind::kClient,
       static_cast<uint8_t>(proxies_.size()), 0, 0);
}

void World::crash_sql_proxy() {
  auto& p = *sql_proxy_;
  note(p.name, " crashes");
  p.is_up = false;
  p.is_orphaned = true;
}

// As the script does: it begins anew, and holds.
void World::restart_sql_proxy() {
  auto& p = *sql_proxy_;
  if (!std::exchange(p.is_up, true)) {
    note(p.name, " starts");
    p.open_at.reset();
    p.is_orphaned = false;
    p.held.reset();
    p.highest = {};
  }
  wake_sql_proxy(latency());
}

void World::wake_sql_proxy(Duration after) {
  push(after, Kind::kSqlProxy, 0, 0, 0, ++sql_proxy_->wakeups);
}

// True: the node has taken it.
bool World::give_statement(Input statement) {
  auto& p = *sql_proxy_;
  const auto& n = nodes_[p.at];
  p.error.reset();
  if (!n.node || n.stopping || is_frozen(p.at) || now_ < p.cut_until[p.at]) return false;
  const SwitchoverId id{kFirstStatement + ++p.statements};
  if (auto* registers = std::get_if<RegisterProxy>(&statement)) registers->id = id;
  if (auto* acknowledges = std::get_if<AcknowledgeProxy>(&statement)) acknowledges->id = id;
  give(p.at, statement);
  if (!p.error) invariants_.violated("a statement of " + p.name + " has no answer");
  return p.error == 0U;
}

void World::poll_sql_proxy(uint64_t wakeup) {
  auto& p = *sql_proxy_;
  if (wakeup != p.wakeups || !p.is_up) return;
  if (now_ < p.frozen_until) return wake_sql_proxy(p.frozen_until - now_);
  const State before = nodes_[p.at].node ? nodes_[p.at].node->state() : State::kStopped;
  if (follow_over_sql()) {
    const bool is_news = nodes_[p.at].node->state() != before || !p.transactions.empty();
    return wake_sql_proxy(is_news ? kMillisecond : kWait);
  }
  p.at = static_cast<uint8_t>((p.at + 1) % nodes_.size());
  p.held.reset();
  p.renewed_at = {};
  wake_sql_proxy(Duration{random_.between(1'000, 100'000)});
}

// Does what the node says; false: it is to be asked no more.
bool World::follow_over_sql() {
  auto& p = *sql_proxy_;
  const auto& n = nodes_[p.at];
  const bool is_known = p.life == n.incarnation && now_ - p.renewed_at < n.config.proxy_lease;
  if (!(p.held ? give_statement(AcknowledgeProxy{{}, p.name, {}})
               : give_statement(RegisterProxy{{}, p.name, "10.0.0.7"})))
    return false;
  if (!is_known) p.registered_at = now_;
  p.renewed_at = now_;
  p.life = n.incarnation;
  const auto view = n.node->view();
  if (kStopsTraffic.contains(n.node->state())) {
    if (p.held == view->switchover) return true;
    note(p.name, " holds");
    const bool lies = mutant_ && mutant_->sql_proxy_lies;
    if (!lies) p.open_at.reset();
    p.is_orphaned = false;
    if ((lies || p.transactions.empty()) &&
        give_statement(AcknowledgeProxy{{}, p.name, view->switchover}))
      p.held = view->switchover;
  } else if (view->activation && view->activation->epoch >= p.highest) {
    note(p.name, " opens to ", view->activation->node);
    p.open_at = node_number(view->activation->node);
    p.is_orphaned = false;
    p.highest = view->activation->epoch;
    invariants_.opened(p.name, view->activation->node, p.highest);
    if (p.held) (void)give_statement(AcknowledgeProxy{{}, p.name, *p.held});
    p.held.reset();
  }
  return true;
}

}  // namespace active_master::sim
