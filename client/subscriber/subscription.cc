#include "client/subscriber/subscription.h"

#include <algorithm>
#include <array>
#include <utility>

namespace active_master::client {
using enum State;

std::string_view to_string(State state) {
  constexpr std::array<std::string_view, 6> kNames{"STARTING", "CLOSED",  "OPENING",
                                                   "OPEN",     "HOLDING", "HELD"};
  return kNames.at(static_cast<size_t>(state));
}

// Matched in order: the first rule of the state whose condition holds fires, until none does. Where
// a pause and a route are both there, the order says which one wins.
std::span<const Subscription::Rule> Subscription::rules() {
  using S = Subscription;
  // clang-format off
  static constexpr std::array kRules{
      Rule{1, kStarting, &S::is_paused, "a pause is on", kHolding, &S::hold, "hold",
           "joined in mid-switchover: the director waits for this proxy, too"},
      Rule{2, kStarting, &S::is_routable, "active master certain", kOpening, &S::open, "open",
           "every node was heard (or had its time), and the one active in the highest epoch says so itself, here or to a node that does"},
      Rule{3, kStarting, &S::is_start_over, "every node heard, or startup_wait over", kClosed, nullptr, "",
           "nobody is active for certain: no traffic is better than traffic to a wrong node"},
      Rule{4, kClosed, &S::is_paused, "a pause is on", kHolding, &S::hold, "hold",
           "a switchover ends the uncertainty, and its director waits for this proxy"},
      Rule{5, kClosed, &S::is_routable, "active master certain", kOpening, &S::open, "open",
           "the active master was found, or a higher epoch settled the conflict"},
      Rule{6, kOpening, &S::is_paused, "a pause is on", kHolding, &S::hold, "hold",
           "the next switchover came before traffic was open"},
      Rule{7, kOpening, &S::is_route_newer, "a newer route is known", kOpening, &S::open, "open",
           "never act on a lower epoch than the highest seen"},
      Rule{8, kOpening, &S::is_opened, "the handler has opened", kOpen, nullptr, "",
           "traffic runs"},
      Rule{9, kOpen, &S::is_paused, "a pause is on", kHolding, &S::hold, "hold",
           "the role is about to move"},
      Rule{10, kOpen, &S::is_route_newer, "a newer route is known", kOpening, &S::open, "open",
           "the role moved without a pause that reached us: a failover, or a lost link"},
      Rule{11, kHolding, &S::is_resolved, "activated at the pause's epoch or above", kOpening, &S::open, "open",
           "the outcome is known before the drain has ended, as after an abort: opening wins"},
      Rule{12, kHolding, &S::is_pause_newer, "a newer pause is on", kHolding, &S::hold, "hold",
           "the newer switchover is the one to acknowledge"},
      Rule{13, kHolding, &S::is_held, "the handler holds", kHeld, nullptr, "",
           "no transaction runs: this is the acknowledgement"},
      Rule{14, kHeld, &S::is_resolved, "activated at the pause's epoch or above", kOpening, &S::open, "open",
           "the role has moved, or came back"},
      Rule{15, kHeld, &S::is_pause_newer, "a newer pause is on", kHeld, &S::adopt_pause, "acknowledge it",
           "traffic is held already"},
  };
  // clang-format on
  return kRules;
}

Subscription::Subscription(Options options) : options_(std::move(options)) {
  for (const auto& node : options_.nodes) nodes_[node];
  highest_ = options_.remembered;
  announced_ = said();
}

// --- Inputs ---

bool Subscription::heard(const protocol::NodeState& state, Clock::time_point now) {
  const auto node = nodes_.find(state.node());
  if (node == nodes_.end()) return false;
  const auto& activation = state.activation();
  const auto address = parse_address(activation.sql_address());
  if (state.has_activation() &&
      (activation.epoch() == 0 || !is_valid_name(activation.node()) || !address)) {
    return false;
  }
  now_ = now;
  const bool about_itself = state.has_activation() && activation.node() == state.node();
  node->second.heard = true;
  if (const auto own = parse_address(state.sql_address())) node->second.sql_address = own;
  node->second.active_epoch =
      (about_itself && state.role() == protocol::ROLE_ACTIVE) || state.confirmed()
          ? activation.epoch()
          : 0;
  node->second.pace =
      std::chrono::microseconds(state.role() == protocol::ROLE_ACTIVE ? state.pace_us() : 0);
  if (state.has_activation()) {
    learn({activation.epoch(), activation.node(), *address}, about_itself);
  }
  if (state.has_pause() && (!is_paused() || state.pause().epoch() > pause_->epoch)) {
    pause_after_ = state.has_activation() ? activation.epoch() : highest_ ? highest_->epoch : 0;
    pause_ = Hold{state.pause().switchover_id(), state.pause().epoch(),
                  now + std::chrono::milliseconds(state.pause().remaining_ms())};
  }
  settle();
  return true;
}

void Subscription::lost(const std::string& node) {
  // What it knew stays true; that it is active may not.
  if (const auto found = nodes_.find(node); found != nodes_.end()) {
    found->second.active_epoch = 0;
    found->second.pace = {};
  }
  settle();
}

void Subscription::tick(Clock::time_point now) {
  now_ = now;
  settle();
}

void Subscription::held(uint64_t epoch) {
  // Any hold since the last open will do: nothing was let in since.
  const uint64_t open_until = told_route_ ? told_route_->epoch : 0;
  if (epoch <= open_until || epoch > told_hold_.epoch) return;
  held_ = true;
  failure_.clear();
  settle();
}

void Subscription::opened(uint64_t epoch) {
  if (!told_route_ || epoch != told_route_->epoch) return;
  opened_ = told_route_;
  opened_answer_ = true;
  failure_.clear();
  settle();
}

void Subscription::failed(std::string text) {
  failure_ = std::move(text);
  settle();
}

// The highest epoch counts. Within one epoch a node may correct its own address, but not another's
// claim: two claimants are a conflict, which only a higher epoch settles.
void Subscription::learn(const Route& activation, bool from_itself) {
  if (!highest_ || activation.epoch > highest_->epoch) {
    highest_ = activation;
    rival_.clear();
    actions_.emplace_back(Remember{activation});
  } else if (activation.epoch == highest_->epoch) {
    if (activation.node != highest_->node) {
      rival_ = activation.node;
    } else if (from_itself) {
      highest_->sql_address = activation.sql_address;
    }
  }
}

std::chrono::microseconds Subscription::asked_pace() const {
  const auto active = highest_ ? nodes_.find(highest_->node) : nodes_.end();
  return active == nodes_.end() ? std::chrono::microseconds{0} : active->second.pace;
}

// --- Conditions ---

bool Subscription::is_paused() const {
  return pause_ &&
         (!highest_ || (pause_->epoch > highest_->epoch && pause_after_ >= highest_->epoch));
}

bool Subscription::is_pause_newer() const {
  return is_paused() && pause_->epoch > told_hold_.epoch;
}

bool Subscription::is_routable() const {
  if (!highest_ || has_conflict()) return false;
  return told_route_ || (is_certain() && is_start_over());
}

bool Subscription::is_route_newer() const {
  return is_routable() && told_route_ != highest_;
}

bool Subscription::is_resolved() const {
  return !is_paused() && is_routable();
}

bool Subscription::is_start_over() const {
  return now_ - started_ >= options_.startup_wait ||
         std::ranges::all_of(nodes_, [](const auto& node) { return node.second.heard; });
}

// After a restart only the node itself knows whether it still is what the others remember.
bool Subscription::is_certain() const {
  return highest_ && std::ranges::any_of(nodes_, [this](const auto& node) {
           return node.second.active_epoch == highest_->epoch;
         });
}

// --- Actions ---

void Subscription::hold() {
  adopt_pause();
  held_ = false;
  actions_.emplace_back(told_hold_);
}

void Subscription::adopt_pause() {
  told_hold_ = *pause_;
}

void Subscription::open() {
  told_route_ = highest_;
  opened_answer_ = false;
  actions_.emplace_back(*told_route_);
}

void Subscription::settle() {
  const auto next = [this]() -> const Rule* {
    for (const auto& rule : rules()) {
      if (rule.from == state_ && (this->*rule.when)()) return &rule;
    }
    return nullptr;
  };
  while (const Rule* rule = next()) {
    if (rule->then != nullptr) (this->*rule->then)();
    state_ = rule->to;
    fired_.push_back(rule);
  }
  if (const auto pace = asked_pace(); pace != std::exchange(told_pace_, pace))
    actions_.emplace_back(Pace{pace});
  if (auto now = said(); now != announced_) {
    announced_ = std::move(now);
    actions_.emplace_back(Announce{});
  }
}

// --- Outputs ---

std::vector<Action> Subscription::take_actions() {
  return std::exchange(actions_, {});
}

std::vector<const Subscription::Rule*> Subscription::take_fired() {
  return std::exchange(fired_, {});
}

Subscription::Said Subscription::said() const {
  Said said;
  if (state_ == kHeld) said.held_for = told_hold_.switchover_id;
  if (opened_) said.open_in = opened_->epoch;
  if (opened_) said.open_at = opened_->node;
  said.error = last_error();
  return said;
}

protocol::ProxyState Subscription::proxy_state() const {
  const Said now = said();
  protocol::ProxyState state;
  state.set_proxy(options_.proxy);
  state.set_driver(options_.driver);
  state.set_holding(now.held_for.has_value());
  state.set_switchover_id(now.held_for.value_or(0));
  state.set_epoch(now.open_in);
  state.set_node(now.open_at);
  state.set_last_error(now.error);
  return state;
}

std::vector<NamedAddress> Subscription::servers() const {
  std::vector<NamedAddress> result;
  for (const auto& [name, node] : nodes_) {
    if (node.sql_address) result.push_back({name, *node.sql_address});
  }
  return result;
}

protocol::ProxyState Subscription::announcement() {
  auto state = proxy_state();
  state.set_incarnation(options_.incarnation);
  state.set_sequence(++sequence_);
  return state;
}

std::string Subscription::last_error() const {
  if (!failure_.empty()) return failure_;
  if (has_conflict()) {
    return highest_->node + " and " + rival_ + " both claim to be active in epoch " +
           std::to_string(highest_->epoch) +
           ": traffic is not moved until one of them activates a higher epoch";
  }
  if (told_route_ || is_paused() || !is_start_over() || is_certain()) return {};
  std::string text = highest_ ? highest_->node + " is said to be active in epoch " +
                                    std::to_string(highest_->epoch) + " but does not say so itself"
                              : "no node knows an active master";
  if (const auto names = unheard(); !names.empty()) text += "; not heard yet: " + names;
  return text + ": traffic stays closed";
}

std::string Subscription::unheard() const {
  std::string names;
  for (const auto& [name, node] : nodes_) {
    if (!node.heard) names += (names.empty() ? "" : ",") + name;
  }
  return names;
}

}  // namespace active_master::client
