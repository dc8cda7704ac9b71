// Leases and automatic failover as the books of a node see them: it asks the voters for its lease,
// it gives its own vote, and it notices that the active master is gone.
#include <algorithm>
#include <utility>

#include "plugin/core/node.h"
#include "plugin/core/rules.h"

namespace active_master {

namespace {

// Each of two clocks may go wrong by half of this.
constexpr int kDriftShare = 50;

constexpr Duration kFailoverWindow{3'600'000'000};  // in which max_failovers count

}  // namespace

bool Node::is_voter(const NodeName& node) const {
  return std::ranges::find(config_.voters, node) != config_.voters.end();
}

// --- The holder ---

// In which this node is active, or is about to be; else 0.
Epoch Node::lease_epoch() const {
  switch (state_) {
    case State::kFollow:
    case State::kRequest:
      return offer_->epoch;
    case State::kApply:
      return operation_->report->epoch;  // 0 in a check
    case State::kActivatePersist:
    case State::kAbortPersist:
    case State::kBootstrapPersist:
      return next_durable_.epoch;
    case State::kRecover:
      // A promise is for good: this epoch is over, whoever will have the next one.
      return durable_.role == Role::kActive && is_closed() && lease_.outbid <= known_epoch()
                 ? known_epoch()
                 : Epoch{};
    case State::kReopen:
    case State::kActivateOpen:
      return known_epoch();
    default:
      return role() == Role::kActive ? known_epoch() : Epoch{};
  }
}

// The newest time at which a majority was asked and has given it, and a lease later.
Time Node::lease_end() const {
  if (lease_.given.size() < majority()) return {};
  std::vector<Time> times;
  for (const auto& [voter, asked_at] : lease_.given) times.push_back(asked_at);
  std::ranges::sort(times, std::greater<>());
  return times[majority() - 1] + (config_.lease - config_.lease / kDriftShare);
}

void Node::keep_lease() {
  if (!has_voters() && lease_.told == kNever) return;
  if (const Epoch epoch = lease_epoch(); epoch != lease_.epoch) {
    const auto outbid = lease_.outbid;
    lease_ =
        Lease{.epoch = epoch, .since = now_, .due = now_, .outbid = outbid, .told = lease_.told};
  }
  if (lease_.epoch > Epoch{} && now_ >= lease_.due) ask_for_lease();
  lease_.until = lease_end();
  // A candidate's lease is for what it takes once it is open: a session that is left here from an
  // earlier term, as standing down hangs, must not go on before (seed 789497).
  constexpr States kNotOpen{State::kFollow, State::kRequest, State::kApply, State::kActivatePersist,
                            State::kActivateOpen};
  Time until = kNotOpen.contains(state_) ? Time{} : lease_.until;
  // A server that was never bootstrapped is as its owner left it.
  if (!has_voters() || known_epoch() == Epoch{}) until = kNever;
  if (until != std::exchange(lease_.told, until)) actions_.push_back(WriteUntil{until});
}

void Node::ask_for_lease() {
  lease_.due = now_ + config_.lease / 3;
  const auto round = static_cast<uint64_t>(now_.since_start.count());
  const Ask ask{{}, round, lease_.epoch, true, config_.lease, voter_.voters()};
  for (const auto& voter : config_.voters) {
    if (voter == self()) {
      if (voter_.give(self(), ask, durable_as_voter(), now_).empty()) lease_.given[self()] = now_;
    } else if (const auto it = peers_.find(voter); it != peers_.end() && it->second.link_up) {
      send(voter, ask);
    }
  }
}

// What is just being made durable is this node's own, and nobody else has heard of it.
Durable Node::durable_as_voter() const {
  Durable known = durable_;
  if (known.epoch < lease_.epoch) known.epoch = lease_.epoch, known.active_node = self();
  return known;
}

// No lease since it has run out, or since one was first asked for.
Time Node::lease_lost_at() const {
  return has_voters() ? std::max(lease_.until, lease_.since + config_.lease) : kNever;
}

std::string Node::lease_waits_for() const {
  if (has_lease()) return {};
  std::string text =
      "leases of " + std::to_string(majority()) + " of the voters " + voter_.voters();
  for (const auto& [voter, refusal] : lease_.refusals) text += "; " + voter + " says: " + refusal;
  return text;
}

// --- The voter ---

void Node::recover_vote() {
  if (!has_voters() || durable_.votes || !knows_all_members()) return;
  Promise highest;
  for (const auto& [name, peer] : peers_) {
    const Promise promise = promise_of(peer.state);
    if (promise.epoch > highest.epoch) highest = promise;
  }
  gain_vote(durable_, highest);
  run_aside(PersistJob{durable_});
}

// This node's own, for another or for itself.
bool Node::has_vote() const {
  return is_voter(self()) && voter_.why_bound(durable_, now_).empty();
}

void Node::take_lease(const NodeName& from, const AskReply& reply) {
  if (reply.epoch != lease_.epoch || !is_voter(from)) return;
  const Time asked_at{Duration{static_cast<Duration::rep>(reply.round)}};
  if (asked_at > now_) return;  // of an earlier life
  lease_.outbid = std::max(lease_.outbid, reply.promise);
  if (!reply.promised) {
    view_changed_ |= std::exchange(lease_.refusals[from], reply.refusal) != reply.refusal;
    return;
  }
  const bool had_it = has_lease();
  auto& given = lease_.given[from];
  given = std::max(given, asked_at);
  lease_.refusals.erase(from);
  lease_.until = lease_end();
  if (had_it || !has_lease()) return;
  view_changed_ = true;
  // The candidate has waited for it.
  if (state_ == State::kRequest)
    send(durable_.active_node, GrantRequest{offer_->id, offer_->epoch});
}

// --- Automatic failover ---

// A voter hears it as long as the lease that it gave lasts, however silent it has been since.
bool Node::hears_active_master() const {
  return is_voter(self()) ? !voter_.is_free(now_) : is_confirmed();
}

bool Node::misses_active_master() const {
  return config_.auto_failover && has_voters() && config_.priority > 0 && known_epoch() > Epoch{} &&
         kMayStand.contains(state_) && !stopping_ &&
         (state_ != State::kRecover || (is_closed() && lease_.epoch == Epoch{})) &&
         following_.status != Replication::kDiverged && !hears_active_master() &&
         knows(durable_.active_node) && now_ >= may_stand_from();
}

void Node::note_failover() {
  failovers_.push_back(now_);
  while (failovers_.front() + kFailoverWindow < now_) failovers_.pop_front();
}

// A cluster that fails over again and again needs a person.
Time Node::may_stand_from() const {
  if (failovers_.empty()) return {};
  const Time calm = failovers_.back() + config_.cooldown;
  if (config_.max_failovers == 0 || failovers_.size() < config_.max_failovers) return calm;
  return std::max(calm, failovers_[failovers_.size() - config_.max_failovers] + kFailoverWindow);
}

// The higher its priority the sooner a node stands; of the same, in the order of their names. One
// turn is longer than it takes the one before to ask everybody (FailoverRules::answer_limit).
void Node::watch_active_master() {
  // A lease that this node gave to a candidate does not count.
  const bool is_well = is_voter(self())
                           ? voter_.holder() == durable_.active_node && !voter_.is_free(now_)
                           : is_confirmed();
  if (role() == Role::kActive || is_well) attempts_ = 0;
  if (!misses_active_master()) {
    stands_at_ = kNever;
    return;
  }
  if (stands_at_ != kNever) return;
  const bool is_after = durable_.active_node < self();  // whose place is free
  const auto turn = (100 - std::min<int64_t>(config_.priority, 100)) +
                    static_cast<int64_t>(place()) - (is_after ? 2 : 1);
  // Whoever has tried in vain, as another is ahead or was not heard, leaves it more and more time.
  const auto patience =
      attempts_ > 0 ? config_.lease / 2 * (1 << std::min(attempts_ - 1, 4)) : Duration{0};
  stands_at_ = now_ + config_.lease / 4 * std::min<int64_t>(turn, 40) + patience;
}

Time Node::watch_wakeup() const {
  if (!config_.auto_failover || !has_voters()) return kNever;
  if (stands_at_ != kNever) return stands_at_;
  Time next = kNever;
  if (voter_.until() > now_) next = voter_.until();
  if (const Time from = may_stand_from(); from > now_) next = std::min(next, from);
  return next;
}

}  // namespace active_master
