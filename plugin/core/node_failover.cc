// Failover as the books of a node see it: who has promised what to whom, and what a restarted
// active master must hear before it opens again.
#include <algorithm>

#include "plugin/core/node.h"
#include "plugin/core/rules.h"

namespace active_master {

namespace {

constexpr size_t kMaxErrands = 1000;  // jobs for peers; a peer that asks for more is not ours
constexpr uint64_t kAskRound = 1, kBidRound = 2;

// None of these can become active by itself, or it looks first at what it has promised.
constexpr States kMayPromise{State::kNew,    State::kStandby, State::kRecover, State::kGranted,
                             State::kResume, State::kFollow,  State::kRequest};

}  // namespace

// --- The restarted active master ---

void Node::begin_recall() {
  // A later life must not take an earlier one's answers for its own.
  recall_.round = std::max(recall_.round + 1, wall_);
  recall_.answers.clear();
  view_changed_ = true;
  for (const auto& [name, peer] : peers_) {
    if (peer.link_up) recall(name);
  }
}

void Node::recall(const NodeName& node) {
  if (!has_voters() && !recall_.answers.contains(node))
    send(node, Ask{{}, recall_.round, known_epoch(), false});
}

// A plugin that is loaded into a running server finds it as it was left.
bool Node::is_closed() const {
  return !awaited_ && retry_at_ == kNever;
}

std::string Node::recall_waits_for() const {
  // A granted role is offered again: only with a lease above it the candidate opens.
  if (has_voters()) return durable_.role == Role::kActive ? lease_waits_for() : "";
  std::string text;
  for (const auto& peer : config_.peers) {
    const auto it = recall_.answers.find(peer.name);
    if (it != recall_.answers.end() && it->second.empty()) continue;
    text += (text.empty() ? "" : ", ") + peer.name + " (" +
            (it == recall_.answers.end() ? "no answer yet" : it->second) + ")";
  }
  return text;
}

// --- What is asked of this node ---

std::string Node::why_no_promise(Epoch epoch, const NodeName& candidate) const {
  if (role() == Role::kActive)
    return "it is the active master in epoch " + std::to_string(known_epoch().value);
  const bool may_give_way = state_ == State::kAsk && operation_->by_itself;
  if (!kMayPromise.contains(state_) && !may_give_way)
    return std::string("it is in state ") + to_string(state_);
  if (state_ == State::kRecover && !is_closed()) return "it is not fenced yet";
  if (offer_ && offer_->granted) return "the role was granted to it";
  if (is_voter(self()) && !has_vote()) return voter_.why_bound(durable_, now_);
  if (epoch == Epoch{}) return {};  // not asked for one yet
  return active_master::why_no_promise(epoch, candidate, durable_);
}

Event Node::receive(const NodeName& from, const Ask& message) {
  if (state_ == State::kStart) return Event::kNone;  // asked again
  if (!message.id && message.binding) {
    send(from, voter_.answer(from, message, durable_, now_));
    return Event::kNone;
  }
  if (!message.id) {
    AskReply reply;
    reply.round = message.round;
    reply.epoch = known_epoch();
    reply.bids = is_bidding();
    reply.alive = role() == Role::kActive;
    send(from, std::move(reply));
    return Event::kNone;
  }
  if (errands_.size() >= kMaxErrands) return Event::kNone;
  ask_ = &message;
  return Event::kAsk;
}

void Node::answer_ask(const Errand& errand, const std::string& gtids, const std::string& error) {
  AskReply reply;
  reply.id = errand.id;
  reply.round = errand.number;
  reply.refusal = cut(error.empty() ? why_no_promise(errand.promise, errand.from) : error);
  reply.promised = errand.promise > Epoch{} && reply.refusal.empty() &&
                   durable_.promise == Promise{errand.promise, errand.from};
  if (errand.promise > Epoch{} && !reply.promised && reply.refusal.empty())
    reply.refusal = "it was busy";
  reply.epoch = known_epoch();
  reply.promise = durable_.promise ? durable_.promise->epoch : Epoch{};
  reply.bids = is_bidding();
  reply.alive = role() == Role::kActive || hears_active_master();
  reply.gtids = gtids;
  reply.may_lack = may_lack_;
  send(errand.from, std::move(reply));
}

// --- What others answer ---

Event Node::receive(const NodeName& from, const AskReply& message) {
  if (!message.id && has_voters()) {
    take_lease(from, message);
    return Event::kNone;
  }
  if (!message.id) {
    if (state_ != State::kRecover || message.round != recall_.round) return Event::kNone;
    recall_.answers[from] = message.epoch > known_epoch()
                                ? "knows of epoch " + std::to_string(message.epoch.value)
                            : message.bids  ? "is about to take the role"
                            : message.alive ? "is active in a lower epoch, as this node was off"
                                            : "";
    view_changed_ = true;
    return Event::kNone;
  }
  if (!is_bidding() || operation_->report->id != message.id ||
      message.round != (operation_->is_bidding ? kBidRound : kAskRound)) {
    return Event::kNone;
  }
  operation_->answers[from] = message;
  return Event::kNone;
}

// --- The candidate ---

bool Node::is_bidding() const {
  return operation_ && operation_->failover;
}

void Node::send_ask(const NodeName& to) {
  const auto& operation = *operation_;
  if (operation.answers.contains(to)) return;
  send(to, Ask{operation.report->id, operation.is_bidding ? kBidRound : kAskRound,
               operation.report->epoch, operation.is_bidding});
}

void Node::ask_again() {
  for (const auto& [name, peer] : peers_) {
    if (peer.link_up) send_ask(name);
  }
}

// The highest that this node knows of, its own or another's.
Epoch Node::highest_promise() const {
  Epoch highest = durable_.promise ? durable_.promise->epoch : Epoch{};
  for (const auto& [name, peer] : peers_) highest = std::max(highest, peer.state.promise);
  if (operation_) {
    for (const auto& [name, answer] : operation_->answers)
      highest = std::max(highest, answer.promise);
  }
  return highest;
}

// Who has promised to help nobody below an epoch can take part in one above it.
Epoch Node::next_epoch() const {
  // With voters it can't: whoever promised helps nobody else, and the others must be a majority.
  if (has_voters()) return known_epoch().next();
  return std::max(known_epoch(), highest_promise()).next();
}

// Among the nodes, from 1 on.
uint64_t Node::place() const {
  uint64_t place = 1;
  for (const auto& peer : config_.peers) place += peer.name < self() ? 1 : 0;
  return place;
}

Epoch Node::failover_epoch() const {
  Epoch highest = std::max(known_epoch(), highest_promise());
  for (const auto& [name, peer] : peers_) highest = std::max(highest, peer.state.epoch);
  for (const auto& [name, answer] : operation_->answers) highest = std::max(highest, answer.epoch);
  return {(highest.value / kFailoverLeap + 1) * kFailoverLeap + place()};
}

}  // namespace active_master
