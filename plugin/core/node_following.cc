// How a standby comes to replicate from the active master: whether it has what that has not, and
// what is told of it.
#include <algorithm>

#include "plugin/core/node.h"
#include "plugin/core/rules.h"

namespace active_master {

namespace {

constexpr size_t kMaxComparisons = 1000;  // jobs for peers; a peer that asks for more is not ours

}  // namespace

// The active master is the same after a switchover that was undone: nothing to do again then.
void Node::begin_following() {
  if (!activation_ || activation_->node == self()) return;
  const bool is_settled =
      following_.status == Replication::kFollowing || following_.status == Replication::kDiverged;
  if (is_settled && following_.node == activation_->node &&
      following_.address == activation_->sql_address) {
    return;
  }
  rest_from_following();
  following_.status = Replication::kPending;
  following_.node = activation_->node;
  following_.address = activation_->sql_address;
  following_.error.clear();
  following_.due = now_;
  dirty_ = true;
}

void Node::rest_from_following() {
  if (following_.job) actions_.emplace_back(CancelJob{*following_.job});
  following_.job.reset();
  following_.step = Following::Step::kRest;
  following_.due = kNever;
  answer_rejoin(make_error(ErrorCode::kBusy, "the role is being moved"));
}

Error Node::divergence() const {
  const auto& f = following_;
  return make_error(ErrorCode::kDiverged,
                    "only on " + self() + ", not on " + f.node + ": " + f.errant +
                        (f.errant_described.empty() ? "" : " (" + f.errant_described + ")"));
}

void Node::describe_divergence(const JobDone& done) {
  if (following_.status != Replication::kDiverged || !done.error.empty()) return;
  following_.errant_described = cut(done.text);
  following_.error = last_error_ = divergence().text;
  dirty_ = true;
}

// What an error or a person has stopped is told of, and not begun again: only they know when.
void Node::look_at_replication(const std::vector<Source>& sources) {
  auto& f = following_;
  const bool is_told = f.status == Replication::kFailed && f.due == kNever;
  if ((f.status != Replication::kFollowing && !is_told) || f.step == Following::Step::kChange)
    return;
  const auto peer = peers_.find(f.node);
  const auto source = std::ranges::find_if(sources, [&](const Source& s) {
    return s.address == f.address || (peer != peers_.end() && s.server_id != 0 &&
                                      s.server_id == peer->second.state.server_id);
  });
  const std::string problem =
      source == sources.end() ? "there is no such connection" : source->error;
  // A single look may be one of before it began.
  const bool is_sure = problem.empty() || f.seemed_stopped;
  f.seemed_stopped = !problem.empty();
  if (!is_sure || problem.empty() != is_told) return;
  if (problem.empty()) {
    f.status = Replication::kFollowing;
    f.error.clear();
    log(LogLine::Level::kNote, "follows=" + f.node + " again");
  } else {
    f.status = Replication::kFailed;
    f.error = "replication does not run: " + cut(problem) +
              ": mend that and START SLAVE, or CALL active_master.rejoin()";
    log(LogLine::Level::kWarning, "follows=" + f.node + " error=\"" + f.error + "\"");
  }
  dirty_ = true;
}

// What it has is told with its promise: nothing may come after that, which the old active master
// would take for safe.
void Node::stop_receiving() {
  promised_at_ = now_;
  if (following_.status == Replication::kNone || following_.status == Replication::kDiverged)
    return;
  following_.status = Replication::kPending;
  if (kFollowers.contains(state_)) begin_following();
}

// When the failover that it made a promise for is over, or has had its time.
Time Node::may_follow_from() const {
  const auto& promise = durable_.promise;
  const bool is_bound =
      promised_at_ && promise && promise->epoch > known_epoch() && promise->candidate != self();
  return is_bound ? *promised_at_ + config_.switchover_timeout : Time{};
}

void Node::answer_rejoin(const Error& error) {
  if (!following_.rejoin) return;
  answer_plainly(*following_.rejoin, error);
  following_.rejoin.reset();
}

std::vector<uint32_t> Node::member_server_ids() const {
  std::vector<uint32_t> ids{config_.identity.server_id};
  for (const auto& [name, peer] : peers_) {
    if (!peer.is_witness && peer.state.server_id != 0) ids.push_back(peer.state.server_id);
  }
  return ids;
}

bool Node::knows_all_members() const {
  return std::ranges::none_of(peers_, [](const auto& peer) {
    return !peer.second.is_witness && peer.second.state.server_id == 0;
  });
}

// This node, and the connected standbys, with what keeps them.
std::string Node::standbys_that(bool (*is_meant)(Replication)) const {
  std::string text;
  const auto add = [&](const NodeName& node, const std::string& error) {
    text += (text.empty() ? "" : ", ") + node + (error.empty() ? "" : " (" + error + ")");
  };
  if (is_meant(following_.status)) add(self(), following_.error);
  for (const auto& [name, peer] : peers_) {
    if (!linked(name) || peer.state.role != Role::kStandby) continue;
    const bool is_behind = peer.state.epoch < known_epoch();
    if (is_meant(is_behind ? Replication::kPending : peer.state.replication))
      add(name, is_behind ? "" : peer.state.replication_error);
  }
  return cut(text);
}

Event Node::absorb(const RejoinCommand& input) {
  rejoin_ = input.id;
  return Event::kRejoin;
}

Event Node::receive(const NodeName& from, const FollowRequest& message) {
  if (errands_.size() >= kMaxComparisons) return Event::kNone;
  if (role() != Role::kActive) {
    send(from, FollowReply{message.number, "node " + self() + " is not the active master", {}});
    return Event::kNone;
  }
  errands_[run_aside(CompareGtidsJob{message.gtids, member_server_ids()})] = {
      Errand::Kind::kCompare, from, {}, message.number};
  return Event::kNone;
}

Event Node::receive(const NodeName& from, const FollowReply& message) {
  if (following_.step != Following::Step::kAsk || following_.number != message.number ||
      following_.node != from) {
    return Event::kNone;
  }
  follow_reply_ = &message;
  return Event::kFollowReply;
}

}  // namespace active_master
