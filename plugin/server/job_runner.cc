#include "plugin/server/job_runner.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "client/protocol/fault.h"
#include "client/protocol/program.h"
#include "plugin/server/binlog.h"
#include "plugin/server/checks.h"
#include "plugin/server/events.h"
#include "plugin/server/fence_audit.h"
#include "plugin/server/gtid.h"
#include "plugin/server/log.h"
#include "plugin/server/replication.h"
#include "plugin/server/semi_sync.h"
#include "plugin/server/transactions.h"

namespace active_master {
namespace {

using std::chrono::steady_clock;

// MASTER_GTID_WAIT can't be cancelled from outside other than by KILL, so it is asked in slices.
constexpr std::chrono::milliseconds kWaitSlice{100};
// Whether a standby is connected is looked at so often.
constexpr std::chrono::milliseconds kStandbyGlance{100};
// read_only waits for statements that hold locks. Standing down isn't urgent and is tried again.
constexpr Duration kStandDownLimit{1'000'000};
constexpr Duration kReloadLimit{500'000};
// A killed session rolls back what it did. The core's own limit for the drain lies behind this.
constexpr std::chrono::milliseconds kKillPatience{400};
constexpr std::chrono::milliseconds kCompareGlance{20};
constexpr std::chrono::microseconds kLullGlance{50};

std::string seconds(Duration d) {
  return std::to_string(static_cast<double>(std::max(d, Duration{1000}).count()) / 1e6);
}

// A job's session, opened when it is first used. None outlives its job: the storage engine is shut
// down before this plugin, and must not find a session of ours.
class LazySession {
 public:
  explicit LazySession(Duration limit) : limit_(limit) {}
  Session& operator*() {
    if (!session_) session_.emplace(limit_);
    return *session_;
  }
  Session* operator->() { return &**this; }
  void close() { session_.reset(); }

 private:
  Duration limit_;  // of each statement
  std::optional<Session> session_;
};

struct Cancelled : std::runtime_error {
  Cancelled() : std::runtime_error("cancelled") {}
};

// What a job may use while it runs.
struct Context {
  LazySession& session;
  StateFile& state_file;
  const std::atomic<bool>& cancelled;

  void check_cancelled() const {
    if (cancelled) throw Cancelled();
  }
};

// read_only is what refuses, and what monitors look at; the fence sees to it that it binds
// everyone.
void close_fence(Session& session) {
  server_fence().close();
  take_read_only_admin_from_idle_sessions();
  set_read_only(session, true);
}

void wait_for_gtid(Context& context, const std::string& gtid, Duration timeout) {
  if (gtid.find_first_not_of("0123456789-,") != std::string::npos)
    throw std::runtime_error("'" + gtid + "' is no GTID position");
  const auto deadline = steady_clock::now() + timeout;
  while (true) {
    context.check_cancelled();
    const auto left = std::chrono::duration_cast<Duration>(deadline - steady_clock::now());
    if (left.count() <= 0)
      throw std::runtime_error("position " + gtid + " was not reached in time");
    const auto slice = std::min<Duration>(left, kWaitSlice);
    if (context.session->value("SELECT MASTER_GTID_WAIT('" + gtid + "', " + seconds(slice) + ")") ==
        "0")
      return;
  }
}

// What of active_master.event this server may write: the handover row is its last of an epoch, and
// whoever has stood down writes nothing. The COMMIT of such a row may wait for a standby for long.
enum class Rows { kNone, kHandover, kAll };
std::atomic<Rows> allowed_rows{Rows::kNone};
std::timed_mutex row_is_written;

// From its return on no other row comes.
void allow_only(Rows rows, Duration patience) {
  allowed_rows = rows;
  const std::unique_lock lock(row_is_written, patience);
  if (!lock)
    throw std::runtime_error("the last row of active_master.event still waits for a standby");
}

// Local sessions don't write to the binlog unless told to; what goes through here must reach all
// nodes.
void insert_event(Session& session, Rows kind, const std::string& statement) {
  const std::lock_guard lock(row_is_written);
  if (allowed_rows < kind) throw std::runtime_error("this node is fenced");
  if (server_gate().is_lease_over()) throw std::runtime_error("the lease has run out");
  session.query("SET SESSION sql_log_bin = 1");
  session.query(statement);
}

// After UNINSTALL and INSTALL the old copy of the audit plugin stays as long as sessions that were
// idle in between; INSTALL SONAME then leaves it out. So it is loaded again as soon as it can be.
void reload_fence() {
  try {
    // An UNINSTALL that waits for this thread may hold what this waits for.
    Session session(kReloadLimit);
    session.query("INSTALL PLUGIN ACTIVE_MASTER_FENCE SONAME 'active_master'");
  } catch (const SqlError&) {
    // not yet; the check says so, and the next try is a second away
  }
}

// --- one function for each job; each throws what went wrong ---

void perform(Context& context, const PersistJob& job, JobDone&) {
  if (const auto error = context.state_file.store(job.durable); !error.empty())
    throw std::runtime_error(error);
}

void perform(Context& context, const CheckLocalJob& job, JobDone& done) {
  done.rows = check_active_master(*context.session, job, done.facts);
}

void perform(Context& context, const CheckCandidateJob& job, JobDone& done) {
  done.rows = check_candidate(*context.session, job.request);
}

void perform(Context& context, const AwaitTransactionsJob& job, JobDone&) {
  await_transactions(*context.session, job, context.cancelled);
}

void perform(Context& context, const ReadPositionJob&, JobDone& done) {
  done.text = context.session->value("SELECT @@gtid_binlog_pos");
  for (const auto& session : sessions_inside(Duration{0})) {
    if (session.age <= kLongTransaction) done.running = std::max(done.running, session.age);
  }
}

void perform(Context&, const AwaitLullJob& job, JobDone&) {
  const auto give_up = steady_clock::now() + job.patience;
  while (server_gate().inside() != 0 && steady_clock::now() < give_up)
    std::this_thread::sleep_for(kLullGlance);
}

void perform(Context& context, const WaitForPositionJob& job, JobDone&) {
  wait_for_gtid(context, job.gtid_position, job.timeout);
}

void perform(Context& context, const DrainJob& job, JobDone&) {
  const auto deadline = steady_clock::now() + job.timeout;
  const auto give_up = [&] { return context.cancelled || steady_clock::now() >= deadline; };
  server_gate().set_mode(Gate::Mode::kHoldNew);
  bool is_empty = server_gate().wait_until_empty(give_up);
  if (is_empty) {
    // Transactions that have begun but done nothing are held from here on. Whoever slipped in
    // between is waited for.
    server_gate().set_mode(Gate::Mode::kHoldAll);
    is_empty = server_gate().wait_until_empty(give_up);
  }
  context.check_cancelled();
  if (is_empty) return;
  const auto left = sessions_inside(Duration{0});
  const auto who = std::to_string(left.size()) +
                   " sessions in a statement or transaction: " + describe(*context.session, left);
  if (!job.kill) throw std::runtime_error(who);
  log_line({LogLine::Level::kWarning, "killed for the switchover: " + who});
  kill(*context.session, left);
  server_gate().set_mode(Gate::Mode::kHoldAll);
  const auto killed_by = steady_clock::now() + kKillPatience;
  if (!server_gate().wait_until_empty(
          [&] { return context.cancelled || steady_clock::now() >= killed_by; })) {
    throw std::runtime_error("not ended although they were killed: " + who);
  }
}

void perform(Context& context, const FenceJob& job, JobDone&) {
  const auto deadline = steady_clock::now() + job.timeout;
  allow_only(Rows::kHandover, job.timeout);
  close_fence(*context.session);
  // Nobody new gets in; a prepared statement may have been counted since the drain.
  if (!server_gate().wait_until_empty(
          [&] { return context.cancelled || steady_clock::now() >= deadline; })) {
    throw std::runtime_error("a statement is still writing");
  }
  await_running_events(*context.session, deadline);
}

void perform(Context& context, const HandoverJob& job, JobDone& done) {
  insert_event(*context.session, Rows::kHandover,
               "INSERT INTO active_master.event (epoch, kind, from_node, to_node, switchover_id,"
               " enabled_events) VALUES (" +
                   std::to_string(job.epoch.value) + ", 'handover', " + quoted(job.from) + ", " +
                   quoted(job.to) + ", " + std::to_string(job.id.value) + ", " +
                   quoted(enabled_events(*context.session)) + ")");
  done.text = context.session->value("SELECT @@last_gtid");
  if (done.text.empty()) throw std::runtime_error("the handover row got no GTID: is log_bin on?");
}

void perform(Context& context, const CatchUpJob& job, JobDone&) {
  wait_for_gtid(context, job.gtid, job.timeout);
  const auto found = context.session->value(
      "SELECT COUNT(*) FROM active_master.event WHERE epoch = " + std::to_string(job.epoch.value) +
      " AND kind = 'handover'");
  if (found != "1")
    throw std::runtime_error(
        "the handover row did not arrive, though its GTID did: is active_master.event filtered?");
}

void perform(Context& context, const OpenWritesJob&, JobDone&) {
  allow_only(Rows::kNone, kStandDownLimit);  // no handover row of a switchover that was undone
  wait_for_standbys(*context.session, server_gate().needs_lease());
  set_read_only(*context.session, false);
  allowed_rows = Rows::kAll;
  server_gate().set_refusing(false);
  server_fence().open();
  server_gate().set_mode(Gate::Mode::kOpen);
}

void perform(Context& context, const StandDownJob& job, JobDone&) {
  // A COMMIT that waits for the lease goes on once read_only refuses it.
  server_gate().set_mode(Gate::Mode::kFenced);  // also if read_only then has to wait for a lock
  // A COMMIT that waits for a standby to acknowledge it would hold read_only up, and be told to its
  // client after all once no standby is connected any more.
  if (job.close_sessions) kill_clients(*context.session);
  // Nor shall an applier's hold it up.
  wait_for_nobody(*context.session);
  allow_only(Rows::kNone, kStandDownLimit);
  close_fence(*context.session);
  server_gate().set_refusing(true);
}

// History, which shall hold nobody up: its COMMIT can't be interrupted while it waits for a
// standby.
void perform(Context& context, const RecordActivationJob& job, JobDone&) {
  while (would_wait_for_first_standby(*context.session)) {
    if (context.cancelled || allowed_rows != Rows::kAll)
      throw std::runtime_error(
          "the activation is not in active_master.event: no standby is connected");
    std::this_thread::sleep_for(kStandbyGlance);
  }
  insert_event(
      *context.session, Rows::kAll,
      "INSERT IGNORE INTO active_master.event (epoch, kind, from_node, to_node, switchover_id) "
      "VALUES (" +
          std::to_string(job.epoch.value) + ", 'activated', NULL, " + quoted(job.node) + ", " +
          std::to_string(job.id.value) + ")");
}

// Separated by commas, as positions and binlog states are themselves.
std::string joined(const std::vector<std::string>& positions) {
  std::string text;
  for (const auto& position : positions) text += (text.empty() ? "" : ",") + position;
  return text;
}

void perform(Context& context, const ReadGtidsJob& job, JobDone& done) {
  std::vector<std::string> all{context.session->value("SELECT @@gtid_binlog_state")};
  if (job.with_relay_logs) {
    for (auto& position : received_positions(*context.session)) all.push_back(std::move(position));
  }
  done.text = joined(all);
}

void perform(Context& context, const StopReceivingJob& job, JobDone& done) {
  stop_receiving(*context.session, job);
  perform(context, ReadGtidsJob{true}, done);
}

// A server that was made from a backup has what gtid_slave_pos says, although its binlog lacks it.
std::string gtids_here(Session& session) {
  return session.value("SELECT CONCAT(@@gtid_binlog_state, ',', @@gtid_slave_pos)");
}

void perform(Context& context, const CompareGtidsJob& job, JobDone& done) {
  done.facts.gtid_binlog_state = context.session->value("SELECT @@gtid_binlog_pos");
  done.text = missing_transactions(job.gtids, gtids_here(*context.session), job.servers);
}

void perform(Context& context, const DescribeJob& job, JobDone& done) {
  done.text = describe_transactions(*context.session, job.gtids, context.cancelled);
}

// What a failover would wait for.
CheckRow left_to_apply(Session& session, const std::vector<uint32_t>& servers) {
  const auto left =
      missing_transactions(joined(received_positions(session)), gtids_here(session), servers);
  uint64_t behind = 0;
  for (const auto& source : session.query("SHOW ALL SLAVES STATUS")) {
    const auto seconds = source.find("Seconds_Behind_Master");
    if (seconds != source.end()) behind = std::max(behind, number(seconds->second.value_or("0")));
  }
  return {{},
          "relay logs",
          Verdict::kOk,
          left.empty() ? "all that was received is applied"
                       : "to be applied first: " + cut(left) + "; " + std::to_string(behind) +
                             " s behind by Seconds_Behind_Master",
          ""};
}

void perform(Context& context, const ApplyJob& job, JobDone& done) {
  const bool only_compares = job.timeout == Duration{0};
  const auto deadline = steady_clock::now() + job.timeout;
  const auto apply = [&] {
    for (const auto& position : received_positions(*context.session)) {
      wait_for_gtid(context, position,
                    std::chrono::duration_cast<Duration>(deadline - steady_clock::now()));
    }
  };
  const auto compare = [&] {
    auto own = gtids_here(*context.session);
    if (only_compares) own += "," + joined(received_positions(*context.session));
    done.rows = compare_with(job.others, own, job.servers);
    return std::ranges::none_of(
        done.rows, [](const CheckRow& row) { return row.verdict == Verdict::kFailed; });
  };
  if (only_compares) {
    (void)compare();
    done.rows.push_back(left_to_apply(*context.session, job.servers));
    return;
  }
  apply();
  const auto give_up = steady_clock::now() + job.patience;
  while (!compare() && steady_clock::now() < give_up) {
    context.check_cancelled();
    std::this_thread::sleep_for(kCompareGlance);
  }
  // What comes until then is acknowledged, so it is applied, too.
  stop_receiving(*context.session, {job.address, job.servers});
  apply();
  (void)compare();
}

void perform(Context& context, const FollowJob& job, JobDone&) {
  follow(*context.session, job);
  // A server that shuts down does not wait for sessions such as these, but its storage engine
  // stumbles over those that have used tables. The next one uses none.
  context.session.close();
  await_replication(*context.session, job, context.cancelled);
}

void perform(Context& context, const LeaveJob& job, JobDone&) {
  leave(*context.session, job);
}

// What it writes goes to the log.
void perform(Context& context, const HookJob& job, JobDone&) {
  const std::string event = to_string(job.hook);
  const auto end = active_master::run(
      {.path = job.program,
       .arguments = {event},
       .environment = {"ACTIVE_MASTER_EVENT=" + event,
                       "ACTIVE_MASTER_CLUSTER=" + job.identity.cluster,
                       "ACTIVE_MASTER_NODE=" + job.identity.node,
                       "ACTIVE_MASTER_EPOCH=" + std::to_string(job.epoch.value),
                       "ACTIVE_MASTER_SWITCHOVER_ID=" + std::to_string(job.id.value),
                       "ACTIVE_MASTER_FROM=" + job.from, "ACTIVE_MASTER_TO=" + job.to,
                       "ACTIVE_MASTER_TEXT=" + job.text},
       .input = "",
       .timeout = std::chrono::duration_cast<std::chrono::milliseconds>(job.timeout)},
      [&] { return context.cancelled.load(); });
  if (!end.output.empty())
    log_line({LogLine::Level::kNote, "hook=" + event + " output=\"" + cut(end.output) + "\""});
  if (!end.error.empty()) throw std::runtime_error(job.program + " " + event + ": " + end.error);
}

}  // namespace

// One thread and one queue.
class JobRunner::Lane {
 public:
  using Work = std::function<void(const std::atomic<bool>& cancelled)>;

  Lane() : thread_([this] { loop(); }) {}

  ~Lane() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      cancelled_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  void push(JobId id, Work work) {
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back({id, std::move(work)});
    }
    wake_.notify_all();
  }

  void cancel(JobId id) {
    const std::lock_guard lock(mutex_);
    if (running_ == id) cancelled_ = true;
    std::erase_if(queue_, [&](const auto& entry) { return entry.first == id; });
  }

 private:
  void loop() {
    const ServerThread thread;
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      const auto [id, work] = std::move(queue_.front());
      queue_.pop_front();
      running_ = id;
      cancelled_ = false;
      lock.unlock();
      work(cancelled_);
      lock.lock();
      running_ = JobId{};
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::pair<JobId, Work>> queue_;
  JobId running_;
  std::atomic<bool> cancelled_{false};
  bool stopping_ = false;
  std::thread thread_;
};

namespace {

enum LaneNumber : size_t {
  kJournalLane,
  kRoleLane,
  kCatchUpLane,
  kProbeLane,
  kQueryLane,
  kFollowLane,
  kHistoryLane,
  kHookLane,
  kLaneCount
};

// How long one statement of the job may take.
Duration statement_limit(const Job& job) {
  if (const auto* fence = std::get_if<FenceJob>(&job)) return fence->timeout;
  if (const auto* handover = std::get_if<HandoverJob>(&job)) return handover->timeout;
  if (std::holds_alternative<OpenWritesJob>(job) || std::holds_alternative<StandDownJob>(job))
    return kStandDownLimit;
  return kStatementLimit;
}

LaneNumber lane_number(const Job& job) {
  if (std::holds_alternative<PersistJob>(job)) return kJournalLane;
  if (std::holds_alternative<CatchUpJob>(job)) return kCatchUpLane;
  if (std::holds_alternative<WaitForPositionJob>(job) || std::holds_alternative<AwaitLullJob>(job))
    return kProbeLane;
  // What a failover waits for does not wait for what it only tells of.
  if (const auto* hook = std::get_if<HookJob>(&job))
    return hook->hook == Hook::kFailover ? kCatchUpLane : kHookLane;
  if (std::holds_alternative<DescribeJob>(job)) return kHookLane;
  // Their COMMITs may wait for a standby, and standing down is what ends that.
  if (std::holds_alternative<HandoverJob>(job) || std::holds_alternative<RecordActivationJob>(job))
    return kHistoryLane;
  // STOP SLAVE waits for what the applier is doing, and nothing else shall wait for that.
  if (std::holds_alternative<FollowJob>(job) || std::holds_alternative<LeaveJob>(job) ||
      std::holds_alternative<StopReceivingJob>(job) || std::holds_alternative<ApplyJob>(job))
    return kFollowLane;
  // What a standby has is read when no COMMIT of its time as the active master runs any more.
  if (const auto* read = std::get_if<ReadGtidsJob>(&job))
    return read->with_relay_logs ? kQueryLane : kRoleLane;
  // In one lane, so that who may write changes in the order in which it was decided.
  if (std::holds_alternative<DrainJob>(job) || std::holds_alternative<FenceJob>(job) ||
      std::holds_alternative<OpenWritesJob>(job) || std::holds_alternative<StandDownJob>(job))
    return kRoleLane;
  return kQueryLane;
}

// What is persisted tells the steps of a switchover apart.
[[maybe_unused]] std::string fault_point(const Job& job) {
  if (const auto* persist = std::get_if<PersistJob>(&job)) {
    if (persist->durable.promise) return "persist_promise";
    if (persist->durable.grant) return "persist_grant";
    if (persist->durable.intent) return "persist_intent";
    return persist->durable.role == Role::kActive ? "persist_active" : "persist_standby";
  }
  return to_string(job);
}

}  // namespace

JobRunner::JobRunner(StateFile& state_file, std::function<void(JobDone)> done,
                     std::function<void(ServerStatus)> status)
    : state_file_(state_file), done_(std::move(done)), status_(std::move(status)) {
  for (size_t i = 0; i < kLaneCount; ++i) lanes_.push_back(std::make_unique<Lane>());
}

JobRunner::~JobRunner() = default;

void JobRunner::run(JobId id, Job job) {
  const auto lane = lane_number(job);
  lanes_[lane]->push(id, [this, id, job = std::move(job)](const std::atomic<bool>& cancelled) {
    JobDone done;
    done.id = id;
    try {
      if (server_is_stopping()) throw std::runtime_error("the server is shutting down");
      LazySession session(statement_limit(job));
      Context context{session, state_file_, cancelled};
      const auto do_it = [&] {
        std::visit([&](const auto& j) { perform(context, j, done); }, job);
      };
      if constexpr (fault::kCompiledIn) {
        const std::string point = fault_point(job);
        if (fault::pass(point)) do_it();
        (void)fault::pass(point + "_done");
      } else {
        do_it();
      }
    } catch (const std::exception& error) {
      done.error = error.what();
    }
    done_(done);
    // People look whether read_only is on, and standing down isn't awaited by the core.
    if (std::holds_alternative<StandDownJob>(job) || std::holds_alternative<OpenWritesJob>(job))
      read_status();
    if (!done.error.empty()) return;
    if (std::holds_alternative<StandDownJob>(job)) run_aside(disable_events);
    if (std::holds_alternative<OpenWritesJob>(job)) run_aside(enable_events);
  });
}

void JobRunner::run_aside(std::function<void(Session&)> work) {
  lanes_[kQueryLane]->push(JobId{}, [work = std::move(work)](const std::atomic<bool>&) {
    if (server_is_stopping()) return;
    try {
      Session session;
      work(session);
    } catch (const std::exception& error) {
      log_line({LogLine::Level::kWarning, error.what()});
    }
  });
}

void JobRunner::explain_fence(std::string why) {
  server_fence().set_text(std::move(why));
}

void JobRunner::pace_writes(Duration distance) {
  server_gate().set_pace(distance);
}

void JobRunner::write_until(Time until) {
  server_gate().set_write_until(until.since_start);
}

void JobRunner::cancel(JobId id) {
  for (const auto& lane : lanes_) lane->cancel(id);
}

void JobRunner::read_status() {
  lanes_[kQueryLane]->push(JobId{}, [this](const std::atomic<bool>&) {
    if (server_is_stopping()) return;
    try {
      Session session;
      const auto rows = session.query(
          std::string("SELECT ") + kReadOnlyIsOn +
          " AS r, @@gtid_current_pos AS g, @@gtid_binlog_state AS b, @@server_id AS s");
      const Row& row = rows.front();
      if (!gate_is_watching()) reload_fence();
      if (server_gate().needs_lease() && row.at("r") == "0") go_on_waiting(session);
      ServerStatus status{.read_only = row.at("r") != "0",
                          .gtid_position = row.at("g").value_or(""),
                          .own_gtids = errant_transactions(
                              row.at("b").value_or(""), "",
                              static_cast<uint32_t>(number(row.at("s").value_or(""))))};
      if (status.read_only) {
        status.sources = sources(session);
      } else {
        status.semi_sync = waits_for_standby(session);
      }
      status_(std::move(status));
    } catch (const std::exception&) {
      // killed, perhaps; the next one is a second away
    }
  });
}

}  // namespace active_master
