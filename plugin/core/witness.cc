#include "plugin/core/witness.h"

#include <algorithm>
#include <utility>

namespace active_master {

namespace {

constexpr size_t kMaxPending = 1000;  // a node that asks for more at a time is not ours

}  // namespace

Witness::Witness(Config config, const Durable& durable) : config_(std::move(config)) {
  if (durable.identity == config_.identity) durable_ = durable;
  durable_.identity = config_.identity;
}

std::span<Action> Witness::handle(const Input& input, Time now) {
  now_ = now;
  actions_.clear();
  if (!std::exchange(has_begun_, true)) voter_.start(now_, config_.voters, config_.lease);
  if (const auto* link = std::get_if<LinkUp>(&input)) {
    actions_.push_back(SendToNode{link->node, state()});
  } else if (const auto* message = std::get_if<FromNode>(&input)) {
    if (const auto* state = std::get_if<NodeState>(&message->message))
      receive(message->from, *state);
    if (const auto* ask = std::get_if<Ask>(&message->message)) receive(message->from, *ask);
  } else if (const auto* done = std::get_if<JobDone>(&input)) {
    finish(*done);
  }
  if (std::exchange(dirty_, false) || now_ >= heartbeat_at_) {
    heartbeat_at_ = now_ + config_.heartbeat_interval;
    actions_.push_back(SendToAll{state(), false});
  }
  return actions_;
}

void Witness::receive(const NodeName& from, const NodeState& message) {
  if (std::ranges::find(config_.peers, from, &NamedAddress::name) == config_.peers.end()) return;
  const auto& activation = message.activation;
  const bool is_news = activation && activation->epoch > durable_.epoch;
  if (is_news) {
    durable_.epoch = activation->epoch;
    durable_.active_node = activation->node;
    durable_.active_address = activation->sql_address;
    if (durable_.promise && durable_.promise->epoch <= durable_.epoch) durable_.promise.reset();
    log(LogLine::Level::kNote, "active=" + durable_.active_node);
  }
  const bool had_vote = durable_.votes;
  if (!had_vote) {
    NodeState said = message;
    said.node = from;  // as authenticated
    heard_[from] = promise_of(said);
    if (heard_.size() == config_.peers.size())
      gain_vote(durable_, std::ranges::max_element(heard_, {}, [](const auto& h) {
                            return h.second.epoch;
                          })->second);
    if (durable_.votes) log(LogLine::Level::kNote, "vote=yes, as every node was heard");
  }
  if (!is_news && durable_.votes == had_vote) return;
  persist();
  dirty_ = true;
}

void Witness::receive(const NodeName& from, const Ask& ask) {
  const bool is_for_lease = !ask.id && ask.binding;
  if (is_for_lease) {
    auto reply = voter_.answer(from, ask, durable_, now_);
    if (reply.promised && std::exchange(leaseholder_, from) != from)
      log(LogLine::Level::kNote, "lease=" + from);
    actions_.push_back(SendToNode{from, std::move(reply)});
    return;
  }
  if (!ask.id || pending_.size() >= kMaxPending) return;
  auto refusal = why_not(from, ask);
  if (!ask.binding || !refusal.empty()) return answer(from, ask, std::move(refusal));
  durable_.promise = Promise{ask.epoch, from};
  log(LogLine::Level::kNote, "promised=" + std::to_string(ask.epoch.value) + " to=" + from);
  pending_[persist()] = {from, ask};
  dirty_ = true;
}

std::string Witness::why_not(const NodeName& candidate, const Ask& ask) const {
  auto reason = voter_.why_bound(durable_, now_);
  if (reason.empty() && ask.binding) reason = why_no_promise(ask.epoch, candidate, durable_);
  return reason;
}

void Witness::finish(const JobDone& done) {
  if (!done.error.empty()) log(LogLine::Level::kError, "error=\"" + cut(done.error) + "\"");
  const auto it = pending_.find(done.id);
  if (it == pending_.end()) return;
  const auto [to, ask] = std::move(it->second);
  pending_.erase(it);
  answer(to, ask, done.error.empty() ? why_not(to, ask) : cut(done.error));
}

void Witness::answer(const NodeName& to, const Ask& ask, std::string refusal) {
  AskReply reply;
  reply.id = ask.id;
  reply.round = ask.round;
  reply.promised = ask.binding && refusal.empty();
  reply.refusal = std::move(refusal);
  reply.epoch = durable_.epoch;
  if (durable_.promise) reply.promise = durable_.promise->epoch;
  reply.alive = !voter_.is_free(now_) && voter_.holder() == durable_.active_node;
  actions_.push_back(SendToNode{to, std::move(reply)});
}

JobId Witness::persist() {
  const JobId id{++last_job_};
  actions_.push_back(RunJob{id, PersistJob{durable_}});
  return id;
}

void Witness::log(LogLine::Level level, const std::string& text) {
  actions_.push_back(LogLine{level, "witness=" + config_.identity.node + " epoch=" +
                                        std::to_string(durable_.epoch.value) + " " + text});
}

NodeState Witness::state() const {
  NodeState state;
  state.node = config_.identity.node;
  state.role = Role::kWitness;
  state.epoch = durable_.epoch;
  if (durable_.epoch > Epoch{})
    state.activation =
        Activation{durable_.epoch, durable_.active_node, durable_.active_address, {}};
  if (durable_.promise) state.promise = durable_.promise->epoch;
  return state;
}

}  // namespace active_master
