// The transitions of a failover, and of an active master that restarts: a part of the table in
// rules.cc, which alone includes this.
#pragma once

#include <utility>

#include "plugin/core/rules.h"

namespace active_master {

struct FailoverRules {
  // --- guards ---
  // Without peers an active master opens (Rules::was_active_alone); who has granted the role waits.
  static bool may_not_open_yet(const Node& n) {
    return Rules::grant_outstanding(n) || (!Rules::has_no_role(n) && !n.config_.peers.empty());
  }
  static bool nobody_above_the_grant(const Node& n) {
    return nobody_above(n) && Rules::grant_outstanding(n);
  }
  static bool nobody_above(const Node& n) { return n.is_closed() && n.recall_waits_for().empty(); }
  static bool nobody_above_with_intent(const Node& n) {
    return nobody_above(n) && Rules::was_active_with_intent(n);
  }
  static Error refusal(const Node& n) {
    const auto& request = *n.request_;
    if (n.role() == Role::kActive && !n.is_bidding())
      return make_error(ErrorCode::kAlreadyActive, "node " + n.self() + " is the active master");
    if (n.stopping_)
      return make_error(ErrorCode::kStopping, "node " + n.self() + " can't take the role");
    if (n.state_ == State::kRecover && !n.is_closed())
      return make_error(ErrorCode::kBusy, "node " + n.self() + " is not fenced yet");
    if (n.replication() == Replication::kDiverged && !request.forced)
      return make_error(ErrorCode::kDiverged, n.following_.error);
    // Whoever is not configured is not asked.
    if (!n.knows(n.durable_.active_node))
      return make_error(
          ErrorCode::kUnknownNode,
          "the active master, node " + n.durable_.active_node + ", is no peer of " + n.self());
    if (request.check_only && (n.operation_ || n.offer_))
      return make_error(ErrorCode::kBusy, "node " + n.self() + " takes part in a switchover");
    return {};
  }
  static bool refused(const Node& n) { return static_cast<bool>(refusal(n)); }
  static bool promises(const Node& n) {
    return n.ask_->binding && n.why_no_promise(n.ask_->epoch, n.from_).empty();
  }
  static bool below_promise(const Node& n) {
    return n.offered_->candidate == n.self() && n.from_ == n.durable_.active_node &&
           n.offered_->epoch > n.known_epoch() && Rules::promised_more(n);
  }
  // Only who was active in the epoch that this node granted can have granted a higher one.
  static bool grant_was_taken(const Node& n) {
    const auto& grant = n.durable_.grant;
    return n.offered_->granted && n.offered_->candidate == n.self() && grant &&
           grant->candidate == n.from_ && n.offered_->epoch > grant->epoch &&
           !n.peers_.at(n.from_).state.sql_address.empty();  // which the proxies are told
  }
  static bool is_over(const Node& n) {
    return Rules::has_failed(n) || n.operation_->report->result == Result::kDone;
  }
  static bool over_and_has_role(const Node& n) { return is_over(n) && !Rules::has_no_role(n); }

  static bool lease_lost(const Node& n) { return n.now_ >= n.lease_lost_at(); }
  static bool has_lease(const Node& n) { return n.has_lease(); }
  static bool lease_has_come(const Node& n) {
    return n.has_voters() && n.has_lease() && !n.awaited_ && !Rules::has_failed(n) &&
           !compared(n) && !operator_is_next(n);
  }
  static bool stands(const Node& n) { return n.now_ >= n.stands_at_; }
  // This node's own vote counts while no lease that it gave lasts.
  static size_t votes(const Node& n) {
    return (n.has_vote() ? 1U : 0U) +
           static_cast<size_t>(std::ranges::count_if(n.operation_->answers, [&](const auto& a) {
             const bool given =
                 n.operation_->is_bidding ? a.second.promised : a.second.refusal.empty();
             return given && n.is_voter(a.first);
           }));
  }
  static bool time_is_up(const Node& n) { return n.now_ >= n.phase_deadline_; }
  static const AskReply* answer_of(const Node& n, const NodeName& node) {
    const auto it = n.operation_->answers.find(node);
    return it == n.operation_->answers.end() ? nullptr : &it->second;
  }
  // Whom nobody answers for.
  static std::string silent(const Node& n) {
    std::string names;
    for (const auto& peer : n.config_.peers) {
      if (!answer_of(n, peer.name) && !n.operation_->vouched_for.contains(peer.name))
        names += (names.empty() ? "" : ", ") + peer.name;
    }
    return names;
  }
  // With voters who was silent before promises were asked for is not waited for again.
  static bool is_awaited(const Node& n, const NodeName& node) {
    const auto& operation = *n.operation_;
    const bool is_late =
        n.has_voters() && operation.is_bidding && !operation.present.contains(node);
    return n.linked(node) && !answer_of(n, node) && !is_late;
  }
  // Nobody is worth waiting for any longer.
  static bool all_answered(const Node& n) {
    return time_is_up(n) || std::ranges::none_of(n.peers_, [&](const auto& peer) {
             return is_awaited(n, peer.first);
           });
  }
  static bool answered_for_check(const Node& n) {
    return n.operation_->report->check_only && all_answered(n);
  }
  static Error votes_objection(const Node& n) {
    if (!all_answered(n) || votes(n) >= n.majority()) return {};
    std::string text = std::to_string(votes(n)) + " of " + std::to_string(n.config_.voters.size()) +
                       " votes (" + n.voter_.voters() + ")";
    if (n.is_voter(n.self()) && !n.has_vote())
      text += "; " + n.self() + ": " + n.voter_.why_bound(n.durable_, n.now_);
    for (const auto& [node, answer] : n.operation_->answers) {
      if (!answer.refusal.empty()) text += "; " + node + " says: " + answer.refusal;
    }
    return make_error(ErrorCode::kNoPromise, cut(text));
  }
  // The old active master has all that a standby that lost its relay logs had acknowledged.
  static bool is_old_master_here(const Node& n) {
    if (n.durable_.active_node == n.self()) return !n.may_lack_;
    const auto* answer = answer_of(n, n.durable_.active_node);
    return answer && !answer->may_lack;
  }
  static Error memory_objection(const Node& n) {
    const auto& operation = *n.operation_;
    if (operation.forced || is_old_master_here(n)) return {};
    std::string names = n.may_lack_ ? n.self() : "";
    for (const auto& [node, answer] : operation.answers) {
      if (answer.may_lack) names += (names.empty() ? "" : ", ") + node;
    }
    return names.empty() ? Error{} : make_error(ErrorCode::kMayLack, names);
  }
  // What speaks against the failover; a silent node only if there is no answer to be expected.
  static Error objection(const Node& n) {
    for (const auto& [node, answer] : n.operation_->answers) {
      if (answer.alive) {
        return make_error(ErrorCode::kMasterAlive,
                          answer.refusal.empty() ? "node " + node + " hears the active master"
                                                 : "node " + node + " says: " + answer.refusal);
      }
    }
    if (n.has_voters()) {
      auto error = votes_objection(n);
      return error || !all_answered(n) ? error : memory_objection(n);
    }
    for (const auto& [node, answer] : n.operation_->answers) {
      if (!answer.refusal.empty())
        return make_error(ErrorCode::kNoPromise, "node " + node + " says: " + answer.refusal);
      if (n.operation_->is_bidding && !answer.promised)
        return make_error(ErrorCode::kNoPromise, "node " + node + " does not say why");
    }
    if (all_answered(n) && !silent(n).empty())
      return make_error(ErrorCode::kNotFenced, "no answer from " + silent(n));
    return {};
  }
  static bool objected(const Node& n) { return all_answered(n) && static_cast<bool>(objection(n)); }
  static bool bid_objected(const Node& n) {
    return n.operation_->is_bidding && static_cast<bool>(objection(n));
  }
  static bool all_promised(const Node& n) {
    if (n.has_voters())
      return n.operation_->is_bidding && all_answered(n) && votes(n) >= n.majority();
    return n.operation_->is_bidding && all_answered(n) &&
           std::ranges::all_of(n.operation_->answers,
                               [](const auto& answer) { return answer.second.promised; });
  }
  static bool only_check(const Node& n) { return n.operation_->report->check_only; }
  static bool compared(const Node& n) { return std::holds_alternative<ApplyJob>(*n.awaited_job_); }
  static bool others_have_more(const Node& n) {
    return compared(n) && !n.operation_->forced && Rules::checks_failed(n);
  }

  // --- actions: the active master that restarts ---
  static void close_and_recall(Node& n) {
    n.run(StandDownJob{});
    n.begin_recall();
  }
  static void break_off_and_recall(Node& n) {
    n.run(StandDownJob{.close_sessions = true});
    n.begin_recall();
  }

  static void offer_again(Node& n) { n.send(n.durable_.grant->candidate, n.offer()); }

  // It is heard again when this node is a standby.
  static void learn_that_the_grant_was_taken(Node& n) {
    const auto grant = *n.durable_.grant;
    n.cancel_job();
    n.adopt(
        {grant.epoch, grant.candidate, n.peers_.at(grant.candidate).state.sql_address, grant.id});
    n.stand_down(StandDownJob{});
  }

  // --- actions: whoever is asked ---
  static void answer(Node& n) {
    n.errands_[n.run_aside(ReadGtidsJob{true})] = {Node::Errand::Kind::kAsk, n.from_, n.ask_->id,
                                                   n.ask_->round,
                                                   n.ask_->binding ? n.ask_->epoch : Epoch{}};
  }
  static void promise(Node& n) {
    n.durable_.promise = Promise{n.ask_->epoch, n.from_};
    n.errands_[n.run_aside(PersistJob{n.durable_})] = {Node::Errand::Kind::kPromise, n.from_,
                                                       n.ask_->id, n.ask_->round, n.ask_->epoch};
    // What was heard before the promise says nothing about the one that it was given to.
    if (n.state_ == State::kRecover) n.begin_recall();
    n.dirty_ = true;
  }
  static void promise_and_drop_the_offer(Node& n) {
    n.cancel_job();
    n.offer_.reset();
    promise(n);
  }
  static void promise_and_keep_the_grant(Node& n) {
    promise(n);
    if (n.operation_) {
      n.finish(Result::kUnknown,
               make_error(ErrorCode::kOutcomeUnknown, "a failover to node " + n.from_ + " began"));
    }
    n.begin_recall();
  }
  static void decline(Node& n) {
    n.send(n.from_, Decline{n.offered_->id, n.offered_->epoch,
                            "it promised epoch " + std::to_string(n.durable_.promise->epoch.value) +
                                " to node " + n.durable_.promise->candidate});
  }

  // --- actions: candidate ---
  static void refuse(Node& n) { n.refuse(*n.request_, refusal(n)); }
  static void refuse_busy(Node& n) {
    const auto error = refusal(n);
    n.refuse(*n.request_,
             error ? error
                   : make_error(ErrorCode::kBusy, std::string("node ") + n.self() +
                                                      " is in state " + to_string(n.state_)));
  }
  // Every peer must answer, or with voters those that are there.
  static Duration answer_limit(const Node& n) {
    return n.has_voters() ? std::min(n.config_.peer_timeout, n.config_.lease / 8)
                          : n.config_.peer_timeout;
  }
  static void stand(Node& n) {
    n.request_ = SwitchRequest{
        {n.wall_ * 64 + n.config_.identity.server_id % 64}, n.self(), n.self(), false, true, false};
    n.stands_at_ = kNever;
    begin(n);
    n.operation_->by_itself = true;
  }
  static void begin(Node& n) {
    n.cancel_job();
    n.offer_.reset();
    if (n.operation_) {
      n.finish(Result::kAborted,
               make_error(ErrorCode::kSuperseded, "a failover to node " + n.self() + " began"));
    }
    if (!n.request_->check_only) ++n.attempts_;
    auto& operation = n.operation_.emplace(Node::Operation());
    operation.failover = true;
    operation.forced = n.request_->forced;
    operation.report = std::make_shared<SwitchoverReport>();
    auto& report = *operation.report;
    report.id = n.request_->id;
    report.failover = true;
    report.check_only = n.request_->check_only;
    report.from = n.durable_.active_node;
    report.to = n.self();
    report.requested_by = n.request_->requested_by;
    report.started = n.wall_;
    operation.deadline = n.now_ + n.config_.switchover_timeout;
    operation.phase_since = n.now_;
    n.phase_deadline_ = n.now_ + answer_limit(n);
    for (const auto& peer : n.config_.peers) {
      if (operation.forced && !n.linked(peer.name)) operation.vouched_for.insert(peer.name);
    }
    n.ask_again();
  }
  static void object(Node& n) {
    n.operation_->failure = objection(n);
    n.dirty_ = true;
  }
  static void fail_job(Node& n) {
    const bool is_veto = std::holds_alternative<HookJob>(*n.awaited_job_);
    Rules::fail(n, is_veto ? ErrorCode::kVetoed : ErrorCode::kStepFailed, n.job_->error);
  }
  static void fail_timeout(Node& n) {
    Rules::fail(n, ErrorCode::kTimeout, std::string("in state ") + to_string(n.state_));
  }
  static void fail_others_ahead(Node& n) {
    for (const auto& row : n.job_->rows) {
      if (row.verdict == Verdict::kFailed)
        return Rules::fail(n, ErrorCode::kOthersAhead, "node " + row.node + " " + row.detail);
    }
  }
  static void persist_bid(Node& n) {
    auto& report = *n.operation_->report;
    report.epoch = n.failover_epoch();
    n.phase_deadline_ = kNever;
    Durable next = n.durable_;
    next.promise = Promise{report.epoch, n.self()};
    n.persist(std::move(next));
  }
  static void ask_for_promises(Node& n) {
    auto& operation = *n.operation_;
    operation.is_bidding = true;
    for (const auto& [node, answer] : std::exchange(operation.answers, {}))
      operation.present.insert(node);
    // Who promises stops receiving before, which takes a while if its master does not answer.
    n.phase_deadline_ = n.now_ + n.config_.peer_timeout;
    n.ask_again();
  }
  static ApplyJob comparison(const Node& n) {
    ApplyJob job;
    job.address = n.durable_.active_address;
    job.servers = n.member_server_ids();
    for (const auto& peer : n.config_.peers) {
      const auto* answer = answer_of(n, peer.name);
      const auto& heard = n.peers_.at(peer.name).state.gtid_position;
      if (answer || !heard.empty())
        job.others.push_back({peer.name, answer ? answer->gtids : heard, answer != nullptr});
    }
    return job;
  }
  // Whether the active master told its clients of what was on it alone, as it last said itself.
  static CheckRow what_clients_know(const Node& n) {
    const auto& name = n.durable_.active_node;
    CheckRow row{name, "acknowledged writes", Verdict::kWarning, "",
                 "see what that server has first"};
    const auto peer = n.peers_.find(name);
    const bool is_heard = peer != n.peers_.end() && peer->second.state.role == Role::kActive &&
                          peer->second.state.epoch == n.known_epoch();
    if (is_heard && peer->second.state.semi_sync) {
      row.verdict = Verdict::kOk;
      row.detail = "clients were told of no write that no standby had received";
      row.remedy.clear();
    } else if (is_heard) {
      row.detail =
          "semi-synchronous replication was not in effect: clients may have been told of "
          "writes that are there only";
    } else {
      row.detail =
          "it was not heard since this node started: clients may have been told of writes "
          "that are there only";
    }
    return row;
  }
  static void compare(Node& n) {
    auto& checks = n.operation_->report->checks;
    if (n.durable_.active_node != n.self()) checks.push_back(what_clients_know(n));
    for (const auto& peer : n.config_.peers) {
      const auto* answer = answer_of(n, peer.name);
      CheckRow row{peer.name, "answers", Verdict::kFailed, "", ""};
      if (!answer) {
        row.detail = "no answer: whether it takes writes is not known";
        row.remedy = "make sure that it is off, then force_failover";
      } else if (answer->alive) {
        row.detail = answer->refusal.empty() ? "it hears the active master" : cut(answer->refusal);
        row.remedy = "use set_active_master";
      } else if (!answer->refusal.empty()) {
        row.detail = cut(answer->refusal);
        row.remedy = "wait until it is over";
      } else {
        row.verdict = Verdict::kOk;
        row.detail = "it would let this node have the role";
      }
      checks.push_back(std::move(row));
    }
    if (const auto error = memory_objection(n); n.has_voters() && error)
      checks.push_back({n.self(), "memory", Verdict::kFailed, error.text, "force_failover"});
    n.phase_deadline_ = kNever;
    n.run(comparison(n));
  }
  static void apply(Node& n) {
    auto job = comparison(n);
    job.timeout = std::max(n.operation_->deadline - n.now_, Duration{1});
    if (n.operation_->by_itself) job.timeout = std::min(job.timeout, n.config_.max_failover_lag);
    // The job stops it; whoever is superseded now shall follow the same node as before.
    n.following_.status = Replication::kNone;
    if (!n.operation_->forced) job.patience = n.config_.catch_up_timeout;
    n.phase_deadline_ = kNever;
    n.run(std::move(job));
  }
  static void note_comparison(Node& n) {
    Rules::add_checks(n, n.self(), n.job_->rows);
    n.operation_->report->result = Result::kDone;
  }
  // What is missing must not come in later, unnoticed. An active master has nothing to replicate.
  static void stop_replicating(Node& n) {
    for (const auto& row : n.job_->rows) {
      if (row.verdict == Verdict::kOk) continue;
      auto& text = n.operation_->exceptions;
      text =
          cut(text + (text.empty() ? "given up: node " : "; node ") + row.node + " " + row.detail);
    }
    n.run(LeaveJob{n.durable_.active_address, n.member_server_ids()});
  }
  static bool operator_is_next(const Node& n) {
    return !n.config_.hook.empty() && !std::holds_alternative<HookJob>(*n.awaited_job_);
  }
  static void ask_the_operator(Node& n) { n.run(n.hook_job(Hook::kFailover, "")); }
  static void persist_activation(Node& n) {
    n.note_failover();
    Rules::persist_active(n, n.operation_->report->epoch);
  }
  static void give_up(Node& n) {
    n.cancel_job();
    n.following_.status = Replication::kNone;  // it may have been stopped
    const auto failure = n.operation_->failure;
    n.finish(!failure                   ? Result::kDone
             : n.operation_->is_bidding ? Result::kAborted
                                        : Result::kRefused,
             failure);
  }
  // Before it binds anybody. A person who asks for a failover is told at its end who has more.
  static bool looks_first(const Node& n) {
    return all_answered(n) && n.operation_->by_itself && !n.operation_->looks_who_has_more;
  }
  static void look_who_has_more(Node& n) {
    n.operation_->looks_who_has_more = true;
    n.phase_deadline_ = kNever;
    n.run(comparison(n));
  }
  static bool may_bid(const Node& n) { return all_answered(n) && !n.operation_->by_itself; }
  // Rivals that refuse each other would both have stood in vain.
  static bool gives_way(const Node& n) {
    return n.operation_->by_itself && Rules::has_no_role(n) && promises(n);
  }
  static void give_way(Node& n) {
    n.operation_->failure =
        make_error(ErrorCode::kNoPromise, "node " + n.from_ + " stands, and has come further");
    give_up(n);
    promise(n);
  }
  static void give_up_and_recall(Node& n) {
    give_up(n);
    n.begin_recall();
  }
};

namespace {

constexpr States kMayBid{State::kStandby, State::kRecover, State::kGranted, State::kFollow,
                         State::kRequest};
constexpr States kBidding{State::kAsk, State::kBid, State::kApply};
constexpr States kBusyElsewhere =
    States(State::kStart, State::kNew, State::kBootstrapCheck, State::kBootstrapPersist,
           State::kReopen, State::kActive, State::kGrant, State::kResume, State::kAbortPersist,
           State::kAbortOpen, State::kActivatePersist, State::kActivateOpen) |
    kHarmless | kUndoable | States(State::kBid, State::kApply);
constexpr States kBusy = kBusyElsewhere | States(State::kAsk);

// clang-format off
const Rule kFailoverRules[] = {
// --- the candidate directs: it asks, it bids, it applies what it has, it activates ---
{800, kMayBid, Event::kFailover, "not possible", FailoverRules::refused,
  "refuse", FailoverRules::refuse, State::kStandby, true, "failover refused"},
{801, kMayBid, Event::kFailover, "", nullptr,
  "ask every peer", FailoverRules::begin, State::kAsk, false, "failover asked for: who is there, and is the active master alive?"},
{802, kBusy, Event::kFailover, "", nullptr,
  "refuse", FailoverRules::refuse_busy, State::kStandby, true, "failover refused: this node is busy, or active already"},
{803, States(State::kFollow, State::kRequest), Event::kAsk, "binding, and nothing speaks against it", FailoverRules::promises,
  "persist the promise, forget the offer, answer", FailoverRules::promise_and_drop_the_offer, State::kStandby, false, "promised: the offer that this node followed is below that"},
{804, States(State::kNew, State::kStandby, State::kRecover, State::kResume), Event::kAsk, "binding, and nothing speaks against it", FailoverRules::promises,
  "persist the promise, answer", FailoverRules::promise, State::kStandby, true, "promised: this node helps nobody to a lower epoch"},
{805, States(State::kGranted), Event::kAsk, "binding, and nothing speaks against it", FailoverRules::promises,
  "persist the promise, answer, ask every peer", FailoverRules::promise_and_keep_the_grant, State::kRecover, false, "promised: what was granted is offered again only if nobody is active above it"},
{806, kMayBid | kBusyElsewhere, Event::kAsk, "", nullptr,
  "answer", FailoverRules::answer, State::kStandby, true, "asked whether this node would let another have the role"},
{807, kBidding, Event::kAlways, "it failed, or was a check; this node was active, or granted the role", FailoverRules::over_and_has_role,
  "report, ask every peer", FailoverRules::give_up_and_recall, State::kRecover, false, "no failover: this node looks again whether it may go on"},
{808, kBidding, Event::kAlways, "it failed, or was a check", FailoverRules::is_over,
  "report", FailoverRules::give_up, State::kStandby, false, "no failover"},
{809, kBidding, Event::kCancel, "of this failover", Rules::cancel_is_ours,
  "note the cause", Rules::fail_cancelled, State::kStandby, true, "cancelled"},
{810, kBidding, Event::kJobFailed, "", nullptr,
  "note the cause", FailoverRules::fail_job, State::kStandby, true, "a step failed"},
{811, kBidding, Event::kAlways, "stop asked for", Rules::stopping_unfailed,
  "note the cause", Rules::fail_stopping, State::kStandby, true, "the plugin is being stopped"},
{812, kBidding, Event::kAlways, "the overall deadline passed", Rules::operation_expired,
  "note the cause", FailoverRules::fail_timeout, State::kStandby, true, "the failover took too long"},
{813, States(State::kAsk), Event::kAlways, "only a check; everyone who can has answered", FailoverRules::answered_for_check,
  "compare GTIDs", FailoverRules::compare, State::kApply, false, "what would be lost?"},
{814, States(State::kAsk), Event::kAlways, "everyone who can has answered, and something speaks against it", FailoverRules::objected,
  "note the cause", FailoverRules::object, State::kStandby, true, "the active master is alive, or somebody who might take writes does not answer"},
{815, States(State::kAsk), Event::kAlways, "everyone who can has answered; a person asked for it", FailoverRules::may_bid,
  "persist its own promise, for an epoch that nobody else can choose", FailoverRules::persist_bid, State::kBid, false, "nothing speaks against the failover"},
{816, States(State::kBid), Event::kJobDone, "", nullptr,
  "ask every peer for a promise", FailoverRules::ask_for_promises, State::kBid, true, "this node itself follows no lower epoch any more"},
{817, States(State::kBid), Event::kAlways, "something speaks against it", FailoverRules::bid_objected,
  "note the cause", FailoverRules::object, State::kStandby, true, "a promise is missing"},
{818, States(State::kBid), Event::kAlways, "every peer promised that nobody vouched for", FailoverRules::all_promised,
  "apply the relay logs, compare GTIDs", FailoverRules::apply, State::kApply, false, "nobody can become active below this epoch"},
{819, States(State::kApply), Event::kJobDone, "only a check", FailoverRules::only_check,
  "note it", FailoverRules::note_comparison, State::kStandby, true, "compared"},
{820, States(State::kApply), Event::kJobDone, "another has more, and it is not forced", FailoverRules::others_have_more,
  "note the cause", FailoverRules::fail_others_ahead, State::kStandby, true, "another node has what this one lacks"},
{821, States(State::kApply), Event::kJobDone, "compared", FailoverRules::compared,
  "stop replicating", FailoverRules::stop_replicating, State::kApply, true, "everything that reached this node is applied"},
{822, States(State::kApply), Event::kJobDone, "there is a program of the operator, and it was not run", FailoverRules::operator_is_next,
  "run it", FailoverRules::ask_the_operator, State::kApply, true, "the operator's program may make sure that the old master is off, or refuse"},
{823, States(State::kApply), Event::kJobDone, "with voters: they have given the lease", FailoverRules::has_lease,
  "persist: active", FailoverRules::persist_activation, State::kActivatePersist, false, "what an old master still has can't come in unnoticed"},
{824, States(State::kStandby), Event::kOffer, "to this node, below what it has promised", FailoverRules::below_promise,
  "decline", FailoverRules::decline, State::kStandby, true, "this node promised not to follow so low an epoch: the director must choose a higher one"},
{825, kMayStand, Event::kAlways, "its time to stand has come", FailoverRules::stands,
  "ask every peer", FailoverRules::stand, State::kAsk, false, "the lease of the active master has run out and it is not heard: this node stands by itself"},
{826, States(State::kApply), Event::kAlways, "nothing is left to do, and the lease has come", FailoverRules::lease_has_come,
  "persist: active", FailoverRules::persist_activation, State::kActivatePersist, false, "no majority has promised a higher epoch meanwhile"},

// --- the active master that restarts: it is fenced until it knows that nobody is active above it ---
{830, States(State::kStart), Event::kServerStarted, "has granted the role, or was active and has peers", FailoverRules::may_not_open_yet,
  "stand down, ask every peer", FailoverRules::close_and_recall, State::kRecover, false, "restarted as the active master: a failover may have moved the role meanwhile"},
{831, States(State::kRecover), Event::kAlways, "every peer has answered that nobody is; the role was granted", FailoverRules::nobody_above_the_grant,
  "offer it again", FailoverRules::offer_again, State::kGranted, false, "the role was given away before the restart: wait for the candidate"},
{832, States(State::kRecover), Event::kAlways, "every peer has answered that nobody is; there is an intent", FailoverRules::nobody_above_with_intent,
  "persist the epoch above the intent", Rules::undo_after_restart, State::kAbortPersist, false, "restarted in the middle of a switchover that was not granted: undo it"},
{833, States(State::kRecover), Event::kAlways, "every peer has answered that nobody is", FailoverRules::nobody_above,
  "open writes", Rules::open_writes, State::kReopen, false, "no peer knows of a higher epoch, and none is about to begin one"},
{834, States(State::kRecover), Event::kJobDone, "", nullptr,
  "", nullptr, State::kRecover, true, "no client can write"},
{835, States(State::kRecover), Event::kOffer, "granted to this node, by whom it had granted the role itself", FailoverRules::grant_was_taken,
  "adopt that activation, stand down", FailoverRules::learn_that_the_grant_was_taken, State::kStandby, false, "the role went there, and is on its way back: nobody announces what lies between"},
{836, States(State::kActive), Event::kAlways, "its lease has run out", FailoverRules::lease_lost,
  "stand down, close what clients have open, ask again", FailoverRules::break_off_and_recall, State::kRecover, false, "no majority of voters has renewed the lease: fenced until one does"},

// --- rivals, and who of them shall stand ---
{837, States(State::kAsk), Event::kAsk, "binding, nothing speaks against it, and nobody asked this node to stand", FailoverRules::gives_way,
  "report, persist the promise, answer", FailoverRules::give_way, State::kStandby, false, "another stands, too, and has come further: this node gives way"},
{838, States(State::kAsk), Event::kAsk, "", nullptr,
  "answer", FailoverRules::answer, State::kStandby, true, "asked by a rival that is no further"},
{839, States(State::kAsk), Event::kAlways, "everyone who can has answered; nobody asked this node to stand", FailoverRules::looks_first,
  "compare GTIDs", FailoverRules::look_who_has_more, State::kAsk, true, "who has received most shall stand"},
{840, States(State::kAsk), Event::kJobDone, "another has more", FailoverRules::others_have_more,
  "note the cause", FailoverRules::fail_others_ahead, State::kStandby, true, "another node has received more: let it stand"},
{841, States(State::kAsk), Event::kJobDone, "", nullptr,
  "persist its own promise, for an epoch that nobody else can choose", FailoverRules::persist_bid, State::kBid, false, "nobody who answers has received more"},
};
// clang-format on

}  // namespace

}  // namespace active_master
