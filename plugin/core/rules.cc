// Every transition of a node. Read it from top to bottom: start, bootstrap, the director of a
// switchover, its way back, the candidate, standing down, stop; failover is in rules_failover.h.
#include "plugin/core/rules.h"

#include <algorithm>

#include "plugin/core/prediction.h"

namespace active_master {

namespace {

// A director in these has changed nothing yet that outlives it.
constexpr States kHarmless{State::kCheck, State::kApproach};
// A candidate that applied a probe within this time is as close as need be: it is what a commit's
// way there takes on a busy machine.
constexpr Duration kCloseLag{4'000};
// So far apart are transactions when writes are first slowed; each time twice as far.
constexpr Duration kFirstPace{500};
// For a moment in which no transaction runs. With many clients there is none, and then as well now
// as later.
constexpr Duration kLullPatience{10'000};
// A director in these may have stopped traffic, but has not granted the role.
constexpr States kUndoable{State::kIntent, State::kPause,    State::kDrain,
                           State::kFence,  State::kHandover, State::kCatchUp};
// These only go forward: a job that fails is tried again.
constexpr States kForward{State::kReopen, State::kAbortPersist, State::kAbortOpen,
                          State::kActivatePersist, State::kActivateOpen};
constexpr States kResting{State::kStart,  State::kNew,     State::kRecover, State::kStandby,
                          State::kActive, State::kGranted, State::kFollow,  State::kRequest};

// Whoever is in one of these replicates from the active master.

constexpr Duration kFollowLimit{20'000'000};  // for all steps; the server's own limits are shorter
constexpr Duration kFollowRetry{3'000'000};
// Whether a standby has caught up after its restart is waited for so long, and again after a while.
constexpr Duration kCatchUpGlance{3'000'000};
constexpr Duration kCatchUpRetry{10'000'000};

constexpr Duration kJobMargin{500'000};
constexpr Duration kRetryInterval{1'000'000};  // a failed local step is rarely mended sooner

}  // namespace

// Guards and actions. Each is a few words of the table made exact.
struct Rules {
  // --- guards ---
  static bool fresh(const Node& n) {
    return n.durable_.role == Role::kNew && n.durable_.epoch == Epoch{};
  }
  static bool grant_outstanding(const Node& n) {
    return n.durable_.grant && n.durable_.grant->epoch > n.known_epoch();
  }
  static bool was_active_with_intent(const Node& n) {
    return n.durable_.role == Role::kActive && n.durable_.intent;
  }
  static bool was_active(const Node& n) { return n.durable_.role == Role::kActive; }
  static bool has_no_role(const Node& n) { return !was_active(n) && !grant_outstanding(n); }
  static bool was_active_alone(const Node& n) { return was_active(n) && n.config_.peers.empty(); }
  static bool was_active_alone_with_intent(const Node& n) {
    return was_active_with_intent(n) && n.config_.peers.empty();
  }
  static std::string peers_not_ready(const Node& n) {
    std::string names;
    for (const auto& peer : n.config_.peers) {
      if (n.linked(peer.name)) continue;
      names += (names.empty() ? "" : ", ") + peer.name;
    }
    return names;
  }
  static bool peers_missing(const Node& n) { return !peers_not_ready(n).empty(); }
  static bool checks_failed(const Node& n) {
    for (const auto& row : n.job_->rows) {
      if (row.verdict == Verdict::kFailed) return true;
    }
    return false;
  }
  static bool refused(const Node& n) { return static_cast<bool>(n.refusal(*n.request_)); }
  static bool only_check(const Node& n) { return n.operation_->report->check_only; }
  static bool any_failed(const Node& n) {
    for (const auto& row : n.check_reply_->rows) {
      if (row.verdict == Verdict::kFailed) return true;
    }
    for (const auto& row : n.operation_->report->checks) {
      if (row.verdict == Verdict::kFailed) return true;
    }
    return false;
  }
  static bool no_mere_check(const Node& n) { return !only_check(n); }
  static bool only_check_failed(const Node& n) {
    return only_check(n) && (any_failed(n) || proxies_lost(n));
  }
  static Duration lag(const Node& n) { return n.now_ - n.operation_->probe_sent; }
  // And slowing writes further would not bring it closer.
  static bool is_close(const Node& n) {
    if (only_check(n) || !n.probe_reply_->reached || lag(n) > n.config_.approach_max_lag)
      return false;
    const auto& operation = *n.operation_;
    return lag(n) <= kCloseLag ||
           (operation.pace >= n.config_.approach_max_pace && lag(n) >= operation.lag);
  }
  static bool all_hold(const Node& n) { return n.are_proxies_ready(true); }
  static bool all_back(const Node& n) {
    return n.are_proxies_ready(false) && n.standbys_that(is_under_way).empty();
  }
  static bool is_under_way(Replication r) {
    return r == Replication::kNone || r == Replication::kPending;
  }
  static bool does_not_follow(Replication r) { return r != Replication::kFollowing; }
  static bool phase_expired(const Node& n) { return n.now_ >= n.phase_deadline_ && !has_failed(n); }
  static bool operation_expired(const Node& n) {
    return n.now_ >= n.operation_->deadline && !has_failed(n);
  }
  static bool candidate_lost(const Node& n) {
    return !has_failed(n) && !n.linked(n.operation_->report->to);
  }
  static bool has_failed(const Node& n) { return static_cast<bool>(n.operation_->failure); }
  static bool cancel_is_ours(const Node& n) {
    return n.operation_ && n.cancel_ == n.operation_->report->id && !has_failed(n);
  }
  static bool grant_asked(const Node& n) {
    return n.grant_request_->id == n.operation_->report->id &&
           n.grant_request_->epoch == n.operation_->report->epoch &&
           n.from_ == n.operation_->report->to && !has_failed(n);
  }
  static bool granted_to_sender(const Node& n) {
    return n.durable_.grant && n.durable_.grant->epoch == n.grant_request_->epoch &&
           n.durable_.grant->candidate == n.from_;
  }
  static bool declined(const Node& n) {
    return n.decline_->id == n.operation_->report->id && n.from_ == n.operation_->report->to &&
           n.decline_->epoch == n.operation_->report->epoch && !has_failed(n);
  }
  // A failover is no outcome of the switchover that granted the role.
  static bool moved_as_directed(const Node& n) {
    return n.operation_ && !is_failover(n.operation_->report->epoch, n.heard_activation_->epoch);
  }
  static bool no_failure_yet(const Node& n) { return !has_failed(n); }
  static bool retry_due(const Node& n) { return n.now_ >= n.retry_at_; }
  static bool stopping(const Node& n) { return n.stopping_; }
  static bool stopping_unfailed(const Node& n) { return n.stopping_ && !has_failed(n); }

  // The offer comes from the node that holds the epoch that this node knows, and leads beyond it.
  static bool offer_for_us(const Node& n) {
    return n.offered_->candidate == n.self() && n.offered_->epoch > n.known_epoch() &&
           n.from_ == n.durable_.active_node && n.replication() != Replication::kDiverged &&
           !promised_more(n);
  }
  static bool promised_more(const Node& n) {
    return n.durable_.promise && n.durable_.promise->epoch > n.offered_->epoch;
  }
  static bool newer_offer(const Node& n) {
    return offer_for_us(n) && n.offered_->epoch > n.offer_->epoch;
  }
  static bool same_offer(const Node& n) {
    return offer_for_us(n) && n.offered_->epoch == n.offer_->epoch;
  }
  static bool same_offer_granted(const Node& n) { return same_offer(n) && n.offered_->granted; }
  static bool offer_granted(const Node& n) { return n.offer_->granted; }

  // --- actions: start and bootstrap ---
  static void stand_down(Node& n) { n.stand_down(StandDownJob{}); }
  static bool does_not_stand_down_yet(const Node& n) { return !n.standing_down_; }
  static void open_writes(Node& n) { n.run(OpenWritesJob{}); }
  static void refuse_bootstrap_known(Node& n) {
    refuse_bootstrap(n, make_error(ErrorCode::kAlreadyBootstrapped,
                                   "node " + n.durable_.active_node + " is active in epoch " +
                                       std::to_string(n.known_epoch().value)));
  }
  static void refuse_bootstrap_peers(Node& n) {
    refuse_bootstrap(n,
                     make_error(ErrorCode::kPeersNotReady, "not connected: " + peers_not_ready(n)));
  }
  static void refuse_bootstrap_busy(Node& n) {
    refuse_bootstrap(n, make_error(ErrorCode::kBusy,
                                   "this node is in state " + std::string(to_string(n.state_))));
  }
  static void refuse_bootstrap(Node& n, const Error& error) {
    n.refuse({*n.bootstrap_, n.self(), n.self(), false}, error);
    n.bootstrap_.reset();
  }
  static void check_local_for_bootstrap(Node& n) { n.run(CheckLocalJob{}); }
  static void fail_bootstrap_check(Node& n) {
    std::string what;
    for (const auto& row : n.job_->rows) {
      if (row.verdict == Verdict::kFailed && what.empty())
        what = row.detail + " (" + row.remedy + ")";
    }
    refuse_bootstrap(n, make_error(ErrorCode::kCheckFailed, what));
  }
  static void fail_bootstrap_job(Node& n) {
    refuse_bootstrap(n, make_error(ErrorCode::kStepFailed, n.job_->error));
  }
  static void persist_bootstrap(Node& n) { persist_active(n, Epoch{1}); }
  static void persist_active(Node& n, Epoch epoch) {
    Durable next = n.durable_;
    next.role = Role::kActive;
    next.epoch = epoch;
    next.active_node = n.self();
    next.active_address = n.config_.sql_address;
    next.intent.reset();
    next.grant.reset();
    if (next.promise && next.promise->epoch <= epoch) next.promise.reset();
    n.persist(std::move(next));
  }
  static void become_active(Node& n) {
    SwitchoverId id;
    if (n.operation_) id = n.operation_->report->id;
    if (n.offer_) id = n.offer_->id;
    if (n.bootstrap_) id = *n.bootstrap_;
    n.offer_.reset();
    n.activation_ = Activation{n.known_epoch(), n.self(), n.config_.sql_address, id};
    n.pause_.reset();
    n.dirty_ = true;
    n.last_error_.clear();
    n.run_aside(RecordActivationJob{id, n.known_epoch(), n.self()});
    if (n.bootstrap_) {
      auto report = std::make_shared<SwitchoverReport>();
      report->id = *n.bootstrap_;
      report->epoch = n.known_epoch();
      report->from = report->to = report->requested_by = n.self();
      report->result = Result::kDone;
      report->started = n.wall_;
      n.bootstrap_.reset();
      n.store(report);
      n.answer(report->id);
    }
    if (n.is_bidding()) n.finish(Result::kDone, {});
  }
  static void retry_later(Node& n) {
    n.last_error_ = n.job_->error;
    n.retry_at_ = n.now_ + kRetryInterval;
  }
  static void retry(Node& n) {
    n.retry_at_ = kNever;
    n.run(Job(*n.awaited_job_));
  }

  // --- actions: director ---
  static void refuse(Node& n) { n.refuse(*n.request_, n.refusal(*n.request_)); }
  static void begin(Node& n) {
    auto& operation = n.operation_.emplace(Node::Operation());
    operation.report = std::make_shared<SwitchoverReport>();
    operation.report->id = n.request_->id;
    operation.report->check_only = n.request_->check_only;
    operation.report->from = n.self();
    operation.report->to = n.request_->target;
    operation.report->requested_by = n.request_->requested_by;
    operation.report->started = n.wall_;
    operation.deadline = n.now_ + n.config_.switchover_timeout;
    operation.phase_since = n.now_;
    n.phase_deadline_ = n.now_ + n.config_.peer_timeout;
    n.run(CheckLocalJob{n.peers_[n.request_->target].state.server_id, n.member_server_ids(),
                        n.config_.repoint, n.has_voters()});
  }
  static void add_checks(Node& n, const NodeName& node, const std::vector<CheckRow>& rows) {
    auto& checks = n.operation_->report->checks;
    checks.insert(checks.end(), rows.begin(), rows.end());
    for (auto& row : checks) {
      if (row.node.empty()) row.node = node;
    }
  }
  static void ask_candidate(Node& n) {
    add_checks(n, n.self(), n.job_->rows);
    CheckRequest request = n.job_->facts;
    request.id = n.operation_->report->id;
    n.send(n.operation_->report->to, std::move(request));
  }
  static void note_checks(Node& n) {
    auto& checks = n.operation_->report->checks;
    add_checks(n, n.operation_->report->to, n.check_reply_->rows);
    if (const auto missing = lost_proxies(n); !missing.empty()) {
      checks.push_back({n.self(), "proxies", Verdict::kFailed, "lost: " + missing,
                        "connect them, or wait until active_master_proxy_lease has run out"});
    } else {
      checks.push_back({n.self(), "proxies", Verdict::kOk,
                        std::to_string(n.proxies_.size()) + " connected", ""});
    }
  }
  static std::string lost_proxies(const Node& n) {
    std::string names;
    for (const auto& [name, proxy] : n.proxies_) {
      if (!n.is_here(proxy)) names += (names.empty() ? "" : ", ") + name;
    }
    return names;
  }
  static void finish_check(Node& n) {
    note_checks(n);
    n.finish(Result::kDone, {});
  }
  static Prediction foretell(Node& n) {
    const auto running = n.operation_->running;
    const bool ends_in_the_lull = running <= kLullPatience;
    const auto prediction = predict(ends_in_the_lull ? Duration{0} : running, lag(n), n.history_);
    n.operation_->report->predicted_pause = prediction.total();
    return prediction;
  }
  static void measure_for_check(Node& n) {
    note_checks(n);
    measure_lag(n);
  }
  static void finish_measured_check(Node& n) {
    CheckRow row{n.self(), "pause", Verdict::kOk, "", ""};
    if (n.probe_reply_->reached) {
      row.detail = foretell(n).to_text();
    } else {
      row.verdict = Verdict::kWarning;
      row.detail = n.operation_->report->to + " lags by more than active_master_approach_max_lag";
      row.remedy =
          "a switchover would slow writes down and wait for it, as long as "
          "active_master_approach_timeout says";
    }
    n.operation_->report->checks.push_back(std::move(row));
    n.finish(Result::kDone, {});
  }
  static void finish_check_failed(Node& n) {
    note_checks(n);
    refuse_by_checks(n);
  }
  static void refuse_by_checks(Node& n) {
    std::string what = "a check failed";
    for (const auto& row : n.operation_->report->checks) {
      if (row.verdict != Verdict::kFailed) continue;
      what = row.node + ", " + row.check + ": " + row.detail + " (" + row.remedy + ")";
      break;
    }
    n.finish(Result::kRefused, make_error(ErrorCode::kCheckFailed, what));
  }
  static bool proxies_lost(const Node& n) { return !lost_proxies(n).empty(); }
  static void begin_approach(Node& n) {
    note_checks(n);
    n.tell_operator(Hook::kSwitchoverStart);
    const auto& config = n.config_;
    const auto limit = std::max(config.active_transaction_limit, config.idle_transaction_limit);
    n.phase_deadline_ = n.now_ + limit + kJobMargin;
    n.run(AwaitTransactionsJob{config.active_transaction_limit, config.idle_transaction_limit,
                               config.kill_transactions});
  }
  static bool awaited_transactions(const Node& n) {
    return std::holds_alternative<AwaitTransactionsJob>(*n.awaited_job_);
  }
  static bool read_its_position(const Node& n) { return !awaited_transactions(n); }
  static void measure_lag(Node& n) {
    n.phase_deadline_ = n.now_ + n.config_.approach_timeout;
    read_position(n);
  }
  static void send_probe(Node& n) {
    auto& operation = *n.operation_;
    operation.probe_sent = n.now_;
    operation.running = n.job_->running;
    // Beyond that it is not close anyway: better slow writes down soon than wait for a long lag.
    n.send(operation.report->to, Probe{operation.report->id, ++operation.probe, n.job_->text,
                                       n.config_.approach_max_lag});
  }
  static void slow_down(Node& n) {
    auto& operation = *n.operation_;
    operation.lag = lag(n);
    operation.pace =
        std::min(std::max(2 * operation.pace, kFirstPace), n.config_.approach_max_pace);
    read_position(n);
  }
  static void read_position(Node& n) { n.run(ReadPositionJob{}); }
  static void persist_intent(Node& n) {
    foretell(n);
    auto& operation = *n.operation_;
    auto& report = *operation.report;
    // So that none begins between the lull and the proxies' hold. Where nothing runs there are
    // lulls enough, and maybe thousands of proxies that need not hear of it.
    if (operation.pace > Duration{0} || operation.running > Duration{0})
      operation.pace = n.config_.approach_max_pace;
    report.epoch = n.next_epoch();
    n.phase_deadline_ = n.now_ + n.config_.pause_timeout;
    Durable next = n.durable_;
    next.intent = Intent{report.id, report.epoch, report.to};
    n.persist(std::move(next));
  }
  static bool intent_is_durable(const Node& n) {
    return std::holds_alternative<PersistJob>(*n.awaited_job_);
  }
  static void await_lull(Node& n) { n.run(AwaitLullJob{kLullPatience}); }
  static void pause(Node& n) {
    n.operation_->paused_at = n.now_;
    n.phase_deadline_ = n.now_ + n.config_.pause_timeout;
    n.dirty_ = true;
  }
  // The job knows who keeps it waiting, so it gets the time and the core's own limit lies behind
  // it.
  static void drain(Node& n) {
    n.run(DrainJob{std::max(n.phase_deadline_ - n.now_, Duration{0}), n.config_.kill_transactions});
    n.phase_deadline_ = n.phase_deadline_ + kJobMargin;
  }
  static void fence(Node& n) {
    n.phase_deadline_ = n.now_ + n.config_.catch_up_timeout + kJobMargin;
    n.run(FenceJob{n.config_.catch_up_timeout});
  }
  static void write_handover(Node& n) {
    const auto& report = *n.operation_->report;
    n.run(HandoverJob{report.id, report.epoch, report.from, report.to,
                      std::max(n.phase_deadline_ - n.now_, Duration{0})});
  }
  static void send_offer(Node& n) {
    n.operation_->gtid = n.job_->text;
    n.send(n.operation_->report->to, n.offer());
  }
  static void persist_grant(Node& n) {
    const auto& report = *n.operation_->report;
    Durable next = n.durable_;
    next.role = Role::kStandby;
    next.intent.reset();
    next.grant = Grant{report.id, report.epoch, report.to, n.operation_->gtid};
    n.phase_deadline_ = kNever;
    n.persist(std::move(next));
  }
  static void give_grant(Node& n) {
    n.send(n.durable_.grant->candidate, n.offer());
    n.dirty_ = true;
  }
  static void resend_grant(Node& n) { n.send(n.from_, n.offer()); }
  static void tell_state(Node& n) { n.send(n.from_, n.node_state()); }
  static void note_activation(Node& n) {
    auto& operation = *n.operation_;
    n.last_write_pause_ = n.now_ - *operation.paused_at;
    operation.report->write_pause = n.last_write_pause_;
    n.phase_deadline_ = n.now_ + n.config_.resume_timeout;
    adopt(n);
    n.stand_down(StandDownJob{});
  }
  static void finish_done(Node& n) {
    auto& text = n.operation_->exceptions;
    if (const auto proxies = n.proxies_not(false); !proxies.empty())
      text = "not open again yet: " + proxies;
    if (const auto standbys = n.standbys_that(does_not_follow); !standbys.empty())
      text += (text.empty() ? "not following yet: " : "; not following yet: ") + standbys;
    n.finish(Result::kDone, {});
  }

  // --- actions: the way back ---
  static void fail(Node& n, ErrorCode code, const std::string& what) {
    n.operation_->failure = make_error(code, what);
    n.dirty_ = true;
  }
  static void fail_cancelled(Node& n) {
    fail(n, ErrorCode::kCancelled, "the switchover was cancelled");
  }
  static void fail_candidate_lost(Node& n) {
    fail(n, ErrorCode::kCandidateUnreachable,
         "node " + n.operation_->report->to + " is not connected");
  }
  static void fail_timeout(Node& n) {
    fail(n, ErrorCode::kTimeout, std::string("in phase ") + to_string(phase_of(n.state_)));
  }
  static void fail_phase(Node& n) {
    const std::string& candidate = n.operation_->report->to;
    switch (n.state_) {
      case State::kCheck:
        return fail(n, ErrorCode::kCandidateUnreachable,
                    "node " + candidate + " did not answer the check");
      case State::kApproach:
        return fail(n, ErrorCode::kCandidateLags,
                    "node " + candidate + " lags by more than active_master_approach_max_lag");
      case State::kPause:
        return fail(n, ErrorCode::kProxiesDidNotHold, "waiting for " + n.proxies_not(true));
      case State::kDrain:
        return fail(n, ErrorCode::kDrainTimeout, "transactions are still running");
      default:
        return fail(
            n, ErrorCode::kCatchUpTimeout,
            std::string("in phase ") + to_string(phase_of(n.state_)) + ", candidate " + candidate);
    }
  }
  static void fail_job(Node& n) {
    const bool waited = n.state_ == State::kDrain || awaited_transactions(n);
    const auto code = waited ? ErrorCode::kDrainTimeout : ErrorCode::kStepFailed;
    fail(n, code, std::string("in phase ") + to_string(phase_of(n.state_)) + ": " + n.job_->error);
  }
  static void fail_declined(Node& n) {
    fail(n, ErrorCode::kCatchUpTimeout, "node " + n.from_ + " says: " + n.decline_->error);
  }
  static void fail_stopping(Node& n) {
    fail(n, ErrorCode::kStopping, "the plugin of the active master is being stopped");
  }
  static void give_up(Node& n) {
    n.cancel_job();
    n.finish(Result::kRefused, n.operation_->failure);
  }
  // The failed epoch is burnt, whatever the candidate knows of it: this node goes on in the one
  // above.
  static void undo(Node& n) {
    n.cancel_job();
    persist_active(n, n.operation_->report->epoch.next());
  }
  static void undo_after_failed_grant(Node& n) {
    fail_job(n);
    undo(n);
  }
  static void undo_after_restart(Node& n) { persist_active(n, n.durable_.intent->epoch.next()); }
  static void become_active_again(Node& n) {
    become_active(n);
    if (!n.operation_) return;  // undone after a restart
    if (n.operation_->paused_at) {
      n.last_write_pause_ = n.now_ - *n.operation_->paused_at;
      n.operation_->report->write_pause = n.last_write_pause_;
    }
    n.finish(Result::kAborted, n.operation_->failure);
  }

  // --- actions: candidate ---
  static void follow(Node& n) {
    n.cancel_job();
    n.offer_ = *n.offered_;
    n.run(CatchUpJob{n.offer_->epoch, n.offer_->gtid, n.offer_->remaining});
  }
  static void note_grant(Node& n) { n.offer_->granted = n.offer_->granted || n.offered_->granted; }
  // With voters, once they have given the lease.
  static void request_grant(Node& n) {
    if (n.has_lease()) n.send(n.durable_.active_node, GrantRequest{n.offer_->id, n.offer_->epoch});
  }
  static void decline(Node& n) {
    n.send(n.durable_.active_node, Decline{n.offer_->id, n.offer_->epoch, n.job_->error});
    n.last_error_ = n.job_->error;
    n.offer_.reset();
  }
  static void persist_activation(Node& n) { persist_active(n, n.offer_->epoch); }

  // --- actions: standing down ---
  static void adopt(Node& n) { n.adopt(*n.heard_activation_); }
  static void drop_candidacy(Node& n) {
    n.cancel_job();
    n.offer_.reset();
    adopt(n);
  }
  static void be_superseded(Node& n) {
    n.cancel_job();
    if (n.operation_) {
      n.finish(Result::kAborted,
               make_error(ErrorCode::kSuperseded,
                          "node " + n.heard_activation_->node + " is active in epoch " +
                              std::to_string(n.heard_activation_->epoch.value)));
    }
    n.offer_.reset();
    const bool was_active = n.durable_.role == Role::kActive;
    adopt(n);
    n.stand_down(StandDownJob{.close_sessions = was_active});
  }
  // Whoever still waits here for a report is told that none will come.
  static void stop(Node& n) {
    n.cancel_job();
    for (auto& [id, request] : n.requests_) request.deadline = n.now_;
  }
  static void finish_and_stop(Node& n) {
    finish_done(n);
    stop(n);
  }

  // --- following the active master ---
  using Step = Node::Following::Step;
  static bool follow_due(const Node& n) {
    return n.now_ >= std::max(n.following_.due, n.may_follow_from()) && n.active_takes_writes();
  }
  static bool gtids_read(const Node& n) { return n.following_.step == Step::kRead; }
  static bool reply_failed(const Node& n) {
    return !n.follow_reply_->error.empty() || active_server_id(n) == 0;
  }
  static bool reply_errant(const Node& n) { return !n.follow_reply_->errant.empty(); }
  static void run_follow_job(Node& n, Job job, Step step) {
    n.following_.job = n.run_aside(std::move(job));
    n.following_.step = step;
  }
  static void read_gtids(Node& n) {
    if (n.following_.job) n.actions_.emplace_back(CancelJob{*n.following_.job});
    n.following_.due = n.now_ + kFollowLimit;
    run_follow_job(n, ReadGtidsJob{}, Step::kRead);
  }
  static void ask_whether_errant(Node& n) {
    n.following_.step = Step::kAsk;
    n.following_.number = ++n.last_job_;
    n.following_.due = n.now_ + kFollowRetry;  // either message may be lost
    n.send(n.following_.node, FollowRequest{n.following_.number, n.job_->text});
  }
  static void follow_failed(Node& n, const std::string& what) {
    const auto error = make_error(ErrorCode::kCantFollow, cut(what));
    n.following_.step = Step::kRest;
    n.following_.status = Replication::kFailed;
    n.following_.error = error.text;
    n.following_.due = n.now_ + kFollowRetry;
    n.log(LogLine::Level::kWarning,
          "follows=" + n.following_.node + " error=\"" + error.text + "\"");
    n.answer_rejoin(error);
    n.dirty_ = true;
  }
  static void fail_follow_job(Node& n) { follow_failed(n, n.job_->error); }
  static void fail_follow_reply(Node& n) {
    // Whose configuration has just changed knows the name, but has not heard the node itself.
    follow_failed(n, n.follow_reply_->error.empty() ? "the active master was not heard yet"
                                                    : n.follow_reply_->error);
  }
  static void diverge(Node& n) {
    if (n.following_.errant != n.follow_reply_->errant) n.following_.errant_described.clear();
    n.following_.errant = n.follow_reply_->errant;
    n.errands_[n.run_aside(DescribeJob{n.following_.errant})] = {
        Node::Errand::Kind::kDescribe, n.following_.node, {}};
    const auto error = n.divergence();
    n.following_.step = Step::kRest;
    n.following_.status = Replication::kDiverged;
    n.following_.error = n.last_error_ = error.text;
    n.following_.due = kNever;
    if (n.config_.repoint) n.run_aside(LeaveJob{n.following_.address, n.member_server_ids()});
    n.log(LogLine::Level::kError, "diverged error=\"" + error.text + "\"");
    n.tell_operator(Hook::kDiverged, error.text);
    n.answer_rejoin(error);
    n.dirty_ = true;
  }
  static uint32_t active_server_id(const Node& n) {
    return n.peers_.at(n.following_.node).state.server_id;
  }
  static void change_master(Node& n) {
    if (n.may_lack_ && n.following_.position.empty())
      n.following_.position = n.follow_reply_->position;
    n.following_.due = n.now_ + kFollowLimit;
    run_follow_job(n,
                   FollowJob{n.following_.address, active_server_id(n), n.member_server_ids(),
                             n.config_.repoint, n.knows_all_members(), n.following_.alone},
                   Step::kChange);
  }
  static void note_following(Node& n) {
    n.following_.step = Step::kRest;
    n.following_.status = Replication::kFollowing;
    n.following_.seemed_stopped = false;
    n.following_.error.clear();
    n.following_.due = kNever;
    n.answer_rejoin({});
    n.dirty_ = true;
    if (n.may_lack_) {
      n.following_.due = n.now_ + kFollowLimit;
      run_follow_job(n, WaitForPositionJob{n.following_.position, kCatchUpGlance}, Step::kCatchUp);
    }
  }
  static bool replicates(const Node& n) { return n.following_.step == Step::kChange; }
  static bool catches_up(const Node& n) { return n.following_.step == Step::kCatchUp; }
  static bool does_not_replicate(const Node& n) { return !catches_up(n); }
  static void note_that_it_lacks_nothing(Node& n) {
    n.may_lack_ = false;
    n.following_.position.clear();
    n.following_.step = Step::kRest;
    n.following_.due = kNever;
  }
  static void look_again_soon(Node& n) {
    n.following_.step = Step::kRest;
    n.following_.due = n.now_ + kCatchUpRetry;
  }
  static void rejoin(Node& n) {
    n.rest_from_following();
    n.following_.status = Replication::kPending;
    n.following_.error.clear();
    n.begin_following();
    n.following_.rejoin = n.rejoin_;
    if (!n.is_confirmed()) {
      n.answer_rejoin(make_error(ErrorCode::kDirectorUnreachable,
                                 "node " + n.durable_.active_node + " is the active master"));
    }
  }
  static void refuse_rejoin(Node& n) {
    n.answer_plainly(
        *n.rejoin_,
        n.role() == Role::kActive
            ? make_error(ErrorCode::kAlreadyActive, "node " + n.self() + " is the active master")
            : make_error(ErrorCode::kBusy,
                         std::string("this node is in state ") + to_string(n.state_)));
  }

  static Phase phase_of(State state);
};

}  // namespace active_master

#include "plugin/core/rules_failover.h"

namespace active_master {

namespace {

using S = State;
using E = Event;
constexpr bool kStays = true;
constexpr bool kMoves = false;

// clang-format off
const Rule kRules[] = {
// --- start: every node starts fenced and finds out what it is ---
{100, States(S::kStart), E::kServerStarted, "never bootstrapped", Rules::fresh,
  "", nullptr, S::kNew, kMoves, "not bootstrapped: nothing is changed on this server"},
{102, States(S::kStart), E::kServerStarted, "was active, with an intent, and has no peers", Rules::was_active_alone_with_intent,
  "persist the epoch above the intent", Rules::undo_after_restart, S::kAbortPersist, kMoves, "restarted in the middle of a switchover that was not granted: undo it"},
{103, States(S::kStart), E::kServerStarted, "was active, and has no peers", Rules::was_active_alone,
  "open writes", Rules::open_writes, S::kReopen, kMoves, "restarted as the active master: nobody else could have raised the epoch"},
{104, States(S::kStart), E::kServerStarted, "was not active, and has granted nothing", Rules::has_no_role,
  "stand down", Rules::stand_down, S::kStandby, kMoves, "restarted as a standby"},
{105, States(S::kReopen), E::kJobDone, "", nullptr,
  "announce the activation", Rules::become_active, S::kActive, kMoves, "writes are open"},

// --- bootstrap: once in the life of a cluster ---
{110, States(S::kNew), E::kBootstrap, "a configured peer is not connected", Rules::peers_missing,
  "refuse", Rules::refuse_bootstrap_peers, S::kNew, kStays, "bootstrap refused: it must be known that no peer was bootstrapped before"},
{111, States(S::kNew), E::kBootstrap, "", nullptr,
  "check this server", Rules::check_local_for_bootstrap, S::kBootstrapCheck, kMoves, "bootstrap asked for"},
{112, States(S::kBootstrapCheck), E::kJobDone, "a check failed", Rules::checks_failed,
  "refuse", Rules::fail_bootstrap_check, S::kNew, kMoves, "bootstrap refused by a check"},
{113, States(S::kBootstrapCheck), E::kJobDone, "", nullptr,
  "persist: active in epoch 1", Rules::persist_bootstrap, S::kBootstrapPersist, kMoves, "fit to be the first active master"},
{114, States(S::kBootstrapPersist), E::kJobDone, "", nullptr,
  "open writes", Rules::open_writes, S::kReopen, kMoves, "epoch 1 is durable"},
{115, States(S::kBootstrapCheck, S::kBootstrapPersist), E::kJobFailed, "", nullptr,
  "refuse", Rules::fail_bootstrap_job, S::kNew, kMoves, "bootstrap failed"},
{116, States(S::kStandby, S::kActive, S::kGranted), E::kBootstrap, "", nullptr,
  "refuse", Rules::refuse_bootstrap_known, S::kNew, kStays, "bootstrap refused: the cluster has an active master"},
{117, kBidding | States(S::kStart, S::kRecover, S::kBootstrapCheck, S::kBootstrapPersist, S::kReopen, S::kFollow, S::kRequest, S::kActivatePersist, S::kActivateOpen, S::kResume, S::kAbortPersist, S::kAbortOpen, S::kGrant) | kHarmless | kUndoable, E::kBootstrap, "", nullptr,
  "refuse", Rules::refuse_bootstrap_busy, S::kNew, kStays, "bootstrap refused: the node is busy"},
{118, States(S::kNew, S::kBootstrapCheck), E::kHigherActivation, "", nullptr,
  "adopt it, stand down", Rules::be_superseded, S::kStandby, kMoves, "the cluster has an active master: this node is a standby"},

// --- the director of a switchover ---
{200, States(S::kActive), E::kSwitch, "not possible", Rules::refused,
  "refuse", Rules::refuse, S::kActive, kStays, "switchover refused"},
{201, States(S::kActive), E::kSwitch, "", nullptr,
  "check this server", Rules::begin, S::kCheck, kMoves, "switchover asked for"},
{202, kHarmless | kUndoable | kBidding | States(S::kGrant, S::kGranted, S::kResume, S::kAbortPersist, S::kAbortOpen, S::kActivatePersist, S::kActivateOpen), E::kSwitch, "", nullptr,
  "refuse", Rules::refuse, S::kActive, kStays, "switchover refused: another one is running"},
{203, States(S::kCheck), E::kJobDone, "", nullptr,
  "ask the candidate to check itself", Rules::ask_candidate, S::kCheck, kStays, "the active master is checked"},
{204, States(S::kCheck), E::kCheckReply, "only a check was asked for, and one failed", Rules::only_check_failed,
  "report", Rules::finish_check, S::kActive, kMoves, "check finished"},
{205, States(S::kCheck), E::kCheckReply, "a check failed", Rules::any_failed,
  "refuse", Rules::finish_check_failed, S::kActive, kMoves, "switchover refused by a check"},
{206, States(S::kCheck), E::kCheckReply, "a proxy is lost, its lease not run out", Rules::proxies_lost,
  "refuse", Rules::finish_check_failed, S::kActive, kMoves, "switchover refused: a proxy is lost"},
{207, States(S::kCheck), E::kCheckReply, "a switchover was asked for", Rules::no_mere_check,
  "wait for long transactions to end", Rules::begin_approach, S::kApproach, kMoves, "all checks passed"},
{208, States(S::kApproach), E::kJobDone, "the position was read", Rules::read_its_position,
  "probe the candidate with it", Rules::send_probe, S::kApproach, kStays, "measuring the candidate's lag"},
{209, States(S::kApproach), E::kProbeReply, "of a switchover, the candidate is close", Rules::is_close,
  "persist the intent", Rules::persist_intent, S::kIntent, kMoves, "the candidate's lag is small"},
{210, States(S::kApproach), E::kProbeReply, "of a switchover", Rules::no_mere_check,
  "slow writes down, read the position again", Rules::slow_down, S::kApproach, kStays, "the candidate lags: let it come closer"},
{211, States(S::kIntent), E::kJobDone, "the intent is written", Rules::intent_is_durable,
  "wait for a moment without transactions", Rules::await_lull, S::kIntent, kStays, "the intent is durable: a restarted director will undo"},
{212, States(S::kPause), E::kAlways, "every proxy holds", Rules::all_hold,
  "hold and drain at this server", Rules::drain, S::kDrain, kMoves, "every proxy holds its traffic"},
{213, States(S::kDrain), E::kJobDone, "", nullptr,
  "fence", Rules::fence, S::kFence, kMoves, "no transaction is running"},
{214, States(S::kFence), E::kJobDone, "", nullptr,
  "write the handover row", Rules::write_handover, S::kHandover, kMoves, "no client can write"},
{215, States(S::kHandover), E::kJobDone, "", nullptr,
  "offer the role", Rules::send_offer, S::kCatchUp, kMoves, "the handover row is the last transaction of the epoch"},
{216, States(S::kCatchUp), E::kGrantRequest, "from the candidate, for this offer", Rules::grant_asked,
  "persist the grant", Rules::persist_grant, S::kGrant, kMoves, "the candidate has everything"},
{217, States(S::kGrant), E::kJobDone, "", nullptr,
  "send the grant", Rules::give_grant, S::kGranted, kMoves, "the grant is durable: from here only the candidate goes on"},
{218, States(S::kGranted, S::kResume, S::kStandby), E::kGrantRequest, "granted to the sender", Rules::granted_to_sender,
  "send the grant again", Rules::resend_grant, S::kGranted, kStays, "the same answer to the same question"},
{219, States(S::kGranted), E::kHigherActivation, "this node directs the switchover, and it is no failover", Rules::moved_as_directed,
  "adopt it, close what is held here", Rules::note_activation, S::kResume, kMoves, "the candidate is active: traffic opens there"},
{220, States(S::kGranted), E::kHigherActivation, "", nullptr,
  "adopt it, stand down", Rules::be_superseded, S::kStandby, kMoves, "the candidate is active"},
{221, States(S::kResume), E::kAlways, "every proxy opened, every standby follows or can't", Rules::all_back,
  "report", Rules::finish_done, S::kStandby, kMoves, "switchover done"},
{222, States(S::kResume), E::kAlways, "time is up", Rules::phase_expired,
  "report with exceptions", Rules::finish_done, S::kStandby, kMoves, "switchover done, but a proxy or a standby is not back yet"},
{223, States(S::kApproach), E::kJobDone, "long transactions have ended", Rules::awaited_transactions,
  "read the position", Rules::measure_lag, S::kApproach, kStays, "no long transaction is running"},
{224, States(S::kCheck), E::kCheckReply, "", nullptr,
  "read the position", Rules::measure_for_check, S::kApproach, kMoves, "only a check was asked for: how long would writes pause?"},
{225, States(S::kApproach), E::kProbeReply, "", nullptr,
  "report", Rules::finish_measured_check, S::kActive, kMoves, "check finished, the lag is known"},
{226, States(S::kIntent), E::kJobDone, "", nullptr,
  "tell every proxy to hold", Rules::pause, S::kPause, kMoves, "little runs, or it was waited for long enough"},

// --- the way back: a cause is noted, then what must be undone is undone ---
{300, kHarmless | kUndoable, E::kCancel, "of this switchover", Rules::cancel_is_ours,
  "note the cause", Rules::fail_cancelled, S::kActive, kStays, "cancelled"},
{301, kHarmless | kUndoable, E::kJobFailed, "nothing failed before", Rules::no_failure_yet,
  "note the cause", Rules::fail_job, S::kActive, kStays, "a step failed"},
{302, States(S::kCatchUp), E::kDecline, "from the candidate, for this offer", Rules::declined,
  "note the cause", Rules::fail_declined, S::kActive, kStays, "the candidate can't take the role"},
{303, kHarmless | kUndoable, E::kAlways, "the candidate is lost", Rules::candidate_lost,
  "note the cause", Rules::fail_candidate_lost, S::kActive, kStays, "the candidate was lost"},
{304, kHarmless | kUndoable, E::kAlways, "the overall deadline passed", Rules::operation_expired,
  "note the cause", Rules::fail_timeout, S::kActive, kStays, "the switchover took too long"},
{305, kHarmless | kUndoable, E::kAlways, "the phase's deadline passed", Rules::phase_expired,
  "note the cause", Rules::fail_phase, S::kActive, kStays, "a phase took too long"},
{306, kHarmless | kUndoable, E::kAlways, "stop asked for", Rules::stopping_unfailed,
  "note the cause", Rules::fail_stopping, S::kActive, kStays, "the plugin is being stopped"},
{307, kHarmless, E::kAlways, "something failed", Rules::has_failed,
  "report", Rules::give_up, S::kActive, kMoves, "switchover given up before anything was changed"},
{308, kUndoable, E::kAlways, "something failed", Rules::has_failed,
  "persist: active in the epoch above the failed one", Rules::undo, S::kAbortPersist, kMoves, "not granted: the switchover is undone"},
{309, States(S::kGrant), E::kJobFailed, "", nullptr,
  "persist: active in the epoch above the failed one", Rules::undo_after_failed_grant, S::kAbortPersist, kMoves, "the grant could not be made durable and was not sent: the switchover is undone"},
{310, States(S::kAbortPersist), E::kJobDone, "", nullptr,
  "open writes", Rules::open_writes, S::kAbortOpen, kMoves, "the failed epoch is burnt"},
{311, States(S::kAbortOpen), E::kJobDone, "", nullptr,
  "announce the activation, report", Rules::become_active_again, S::kActive, kMoves, "the old active master is active again"},

// --- the candidate ---
{400, States(S::kStandby), E::kOffer, "to this node, from the active master, of a higher epoch", Rules::offer_for_us,
  "catch up", Rules::follow, S::kFollow, kMoves, "the role is offered to this node"},
{401, States(S::kFollow, S::kRequest), E::kOffer, "of a higher epoch than the one followed", Rules::newer_offer,
  "catch up", Rules::follow, S::kFollow, kMoves, "a newer offer"},
{402, States(S::kFollow), E::kOffer, "the one followed", Rules::same_offer,
  "note whether it is granted", Rules::note_grant, S::kFollow, kStays, "the offer again"},
{403, States(S::kFollow), E::kJobDone, "granted already", Rules::offer_granted,
  "persist: active", Rules::persist_activation, S::kActivatePersist, kMoves, "caught up, and the role is granted"},
{404, States(S::kFollow), E::kJobDone, "", nullptr,
  "ask for the grant", Rules::request_grant, S::kRequest, kMoves, "caught up: the handover row was seen"},
{405, States(S::kFollow), E::kJobFailed, "granted already", Rules::offer_granted,
  "try again soon", Rules::retry_later, S::kFollow, kStays, "not caught up yet, but only this node can go on"},
{406, States(S::kFollow), E::kJobFailed, "", nullptr,
  "decline", Rules::decline, S::kStandby, kMoves, "this node can't take the role"},
{407, States(S::kRequest), E::kOffer, "the one followed, granted", Rules::same_offer_granted,
  "persist: active", Rules::persist_activation, S::kActivatePersist, kMoves, "the role is granted"},
{408, States(S::kRequest), E::kOffer, "the one followed, not granted yet", Rules::same_offer,
  "ask for the grant", Rules::request_grant, S::kRequest, kStays, "asking again"},
{409, States(S::kActivatePersist), E::kJobDone, "", nullptr,
  "open writes", Rules::open_writes, S::kActivateOpen, kMoves, "the new epoch is durable"},
{410, States(S::kActivateOpen), E::kJobDone, "", nullptr,
  "announce the activation", Rules::become_active, S::kActive, kMoves, "this node is the active master"},
{411, States(S::kFollow, S::kRequest), E::kHigherActivation, "", nullptr,
  "adopt it, forget the offer", Rules::drop_candidacy, S::kStandby, kMoves, "the offer was taken back: another activation is higher"},

// --- whoever sees a higher epoch stands down; whoever asks about a burnt one learns of it ---
{500, States(S::kStandby), E::kHigherActivation, "", nullptr,
  "adopt it", Rules::adopt, S::kStandby, kStays, "a new active master"},
{501, States(S::kResume), E::kHigherActivation, "", nullptr,
  "adopt it", Rules::adopt, S::kResume, kStays, "a newer active master"},
{503, kBidding | States(S::kActive, S::kRecover, S::kReopen, S::kBootstrapPersist, S::kActivatePersist, S::kActivateOpen, S::kAbortPersist, S::kAbortOpen, S::kGrant) | kHarmless | kUndoable, E::kHigherActivation, "", nullptr,
  "stand down", Rules::be_superseded, S::kStandby, kMoves, "another node is active in a higher epoch: this one stands down"},
{504, States(S::kActive, S::kAbortPersist, S::kAbortOpen, S::kStandby), E::kGrantRequest, "", nullptr,
  "tell the sender this node's state", Rules::tell_state, S::kActive, kStays, "asked about an epoch that is burnt"},
{505, States(S::kStandby), E::kWritableStandby, "it isn't set just now", Rules::does_not_stand_down_yet,
  "stand down", Rules::stand_down, S::kStandby, kStays, "somebody switched read_only off on a standby: it is set again"},

{506, States(S::kStandby), E::kErrantWrite, "", nullptr,
  "stand down", Rules::stand_down, S::kStandby, kStays, "something was written past the fence"},

// --- states that only go forward ---
{600, kForward | States(S::kRecover), E::kJobFailed, "", nullptr,
  "try again soon", Rules::retry_later, S::kActive, kStays, "a step failed that must succeed"},
{601, kForward | States(S::kFollow, S::kRecover), E::kAlways, "it is time to try again", Rules::retry_due,
  "try again", Rules::retry, S::kActive, kStays, "trying again"},

// --- standbys follow the active master by themselves, unless they have what it has not ---
{610, kFollowers, E::kAlways, "it is time to, and the active master takes writes", Rules::follow_due,
  "read this server's GTIDs", Rules::read_gtids, S::kStandby, kStays, "does this server have what the active master has not?"},
{611, kFollowers, E::kFollowStep, "the GTIDs were read", Rules::gtids_read,
  "ask the active master", Rules::ask_whether_errant, S::kStandby, kStays, "the active master compares: what it has can only have grown since"},
{612, kFollowers, E::kFollowReply, "it can't tell", Rules::reply_failed,
  "try again soon", Rules::fail_follow_reply, S::kStandby, kStays, "not known whether anything is errant"},
{613, kFollowers, E::kFollowReply, "something is errant", Rules::reply_errant,
  "stop replicating", Rules::diverge, S::kStandby, kStays, "diverged: this node stays fenced and follows nobody until rejoin()"},
{614, kFollowers, E::kFollowReply, "", nullptr,
  "replicate from it", Rules::change_master, S::kStandby, kStays, "nothing is errant"},
{615, kFollowers, E::kFollowStep, "replication runs", Rules::replicates,
  "note it", Rules::note_following, S::kStandby, kStays, "this server replicates from the active master"},
{616, kFollowers, E::kFollowFailed, "before replication runs", Rules::does_not_replicate,
  "try again soon", Rules::fail_follow_job, S::kStandby, kStays, "this server can't follow yet"},
{617, States(S::kStandby), E::kRejoin, "", nullptr,
  "begin anew", Rules::rejoin, S::kStandby, kStays, "asked to compare again and follow"},
{618, kBidding | States(S::kStart, S::kRecover, S::kNew, S::kBootstrapCheck, S::kBootstrapPersist, S::kReopen, S::kActive, S::kFollow, S::kRequest, S::kActivatePersist, S::kActivateOpen, S::kGrant, S::kGranted, S::kResume, S::kAbortPersist, S::kAbortOpen) | kHarmless | kUndoable, E::kRejoin, "", nullptr,
  "refuse", Rules::refuse_rejoin, S::kStandby, kStays, "only a standby can rejoin"},
{619, kFollowers, E::kFollowStep, "all that the active master had was applied", Rules::catches_up,
  "note it", Rules::note_that_it_lacks_nothing, S::kStandby, kStays, "what this server may have lost by its restart is here again"},
{620, kFollowers, E::kFollowFailed, "it was not applied yet", Rules::catches_up,
  "look again soon", Rules::look_again_soon, S::kStandby, kStays, "this server is still catching up after its restart"},

// --- stop ---
{700, kResting, E::kAlways, "stop asked for", Rules::stopping,
  "", Rules::stop, S::kStopped, kMoves, "stopped"},
{701, States(S::kResume), E::kAlways, "stop asked for", Rules::stopping,
  "report", Rules::finish_and_stop, S::kStopped, kMoves, "stopped; the switchover is done"},
};
// clang-format on

}  // namespace

Phase Rules::phase_of(State state) {
  switch (state) {
    case State::kCheck:
    case State::kAsk:
      return Phase::kCheck;
    case State::kApproach:
    case State::kIntent:
      return Phase::kApproach;
    case State::kPause:
      return Phase::kPause;
    case State::kDrain:
      return Phase::kDrain;
    case State::kFence:
    case State::kBid:
      return Phase::kFence;
    case State::kHandover:
      return Phase::kHandover;
    case State::kCatchUp:
    case State::kGrant:
    case State::kApply:
    case State::kFollow:
    case State::kRequest:
      return Phase::kCatchUp;
    case State::kGranted:
    case State::kActivatePersist:
    case State::kActivateOpen:
      return Phase::kActivate;
    case State::kResume:
      return Phase::kResume;
    default:
      return Phase::kNone;
  }
}

Phase phase_of(State state) {
  return Rules::phase_of(state);
}

std::span<const Rule> rules() {
  static const std::vector<Rule> all = [] {
    std::vector<Rule> both(std::begin(kRules), std::end(kRules));
    both.insert(both.end(), std::begin(kFailoverRules), std::end(kFailoverRules));
    return both;
  }();
  return all;
}

bool Node::fire(Event event) {
  for (const Rule* rule : here_) {
    if (rule->on != event || (rule->guard && !rule->guard(*this))) continue;
    fired_.push_back(rule->number);
    const SwitchoverId id = switchover();
    if (rule->action) rule->action(*this);
    enter(rule->stays ? state_ : rule->to, *rule, id);
    return true;
  }
  return false;
}

void Node::find_rules_here() {
  here_.clear();
  for (const auto& rule : table_) {
    if (rule.from.contains(state_)) here_.push_back(&rule);
  }
}

}  // namespace active_master
