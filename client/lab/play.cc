#include "client/lab/play.h"

#include <algorithm>

namespace active_master::lab {
namespace {

constexpr auto kPhaseLimit = 15s;
constexpr auto kLeakLimit = 20s;
constexpr auto kRecoveryLimit = 60s;
constexpr uint64_t kTraffic = 100;  // so many writes are traffic
constexpr auto kPhasePoll = 100us;  // the shortest phases last less than a millisecond

constexpr const char* kExceptions =
    "SELECT MAX(ERROR) FROM INFORMATION_SCHEMA.ACTIVE_MASTER_SWITCHOVERS WHERE RESULT = 'DONE' AND "
    "EPOCH = (SELECT EPOCH FROM INFORMATION_SCHEMA.ACTIVE_MASTER_STATE)";

// Errors of the plugin that leave it open how the switchover ends: the director can't be asked, or
// has not said it in time, or another activation came in between, or it was stopped.
bool is_known(unsigned error) {
  constexpr unsigned kOpen[] = {33317, 33318, 33319, 33320};
  return error == 0 || (error > 33300 && error < 33400 &&
                        std::find(std::begin(kOpen), std::end(kOpen), error) == std::end(kOpen));
}

}  // namespace

void must(bool holds, const std::string& what) {
  if (!holds) throw LabError(what);
}

Play::Play(Cluster& cluster, const Rules& rules)
    : cluster_(cluster),
      active_(Cluster::active_node(*cluster.nodes().front())),
      master(cluster.node(active_)),
      candidate(*cluster.nodes()[&master == cluster.nodes()[0].get() ? 1 : 0]) {
  cluster_.wait_until_healthy(active_);
  // What earlier scenarios wrote would be rows that nobody wrote.
  master.connect().execute("TRUNCATE TABLE lab.writes");
  master.connect().execute("CREATE TABLE IF NOT EXISTS lab.other (a INT) ENGINE = InnoDB");
  cluster_.wait_until_in_sync();
  recording_.rules = rules;
  recording_.history.first_active = active_;
  recording_.before = footprints(cluster_);
  observer_.emplace(cluster_);
  const std::chrono::microseconds think{1000};
  loads_.push_back(std::make_unique<Workload>(
      cluster_,
      WorkloadOptions{.via = Via::kGate, .writers = 2, .think = think, .first_client = 1}));
  loads_.push_back(std::make_unique<Workload>(
      cluster_,
      WorkloadOptions{.via = Via::kHaproxy, .writers = 2, .think = think, .first_client = 101}));
  traffic_must_run();
}

void Play::traffic_must_run() {
  for (const auto& load : loads_) {
    must(load->wait_for_writes(kTraffic, kTrafficLimit), "traffic doesn't run");
  }
}

std::future<SwitchoverResult> Play::begin_switchover(const Node& director) {
  auto connection = std::make_shared<sql::Connection>(director.connect());
  session_ = connection->thread_id();
  return std::async(std::launch::async, [to = candidate.name(), connection] {
    return Cluster::switch_to(to, *connection);
  });
}

SwitchoverResult Play::end(std::future<SwitchoverResult> switchover) {
  must(wait_until(kSwitchoverTimeout + 5s,
                  [&switchover] { return switchover.wait_for(0s) == std::future_status::ready; }),
       "the switchover doesn't end");
  SwitchoverResult result = switchover.get();
  add(result);
  return result;
}

std::string Play::move_role(const Node& target, const Node& director) {
  sql::Connection connection = director.connect();
  const SwitchoverResult result = Cluster::switch_to(target.name(), connection);
  add(result);
  must(result.summary.done, "a switchover failed: " + result.summary.text);
  return connection.value(kExceptions).value_or("");
}

void Play::add(std::vector<Write> writes) {
  recording_.history.writes.insert(recording_.history.writes.end(), writes.begin(), writes.end());
}

void Play::add(const SwitchoverResult& result) {
  Switchover& switchover = recording_.history.switchovers.emplace_back(result.summary);
  switchover.is_known = is_known(result.error);
  // One that was refused because another one runs leaves nothing behind.
  if (result.error != kBusy) switchover.left = read_back();
}

bool Play::sees_phase(const std::string& phase, std::chrono::milliseconds limit) {
  sql::Connection connection = master.connect();
  return wait_until(
      limit,
      [&] {
        return connection.value("SELECT PHASE FROM INFORMATION_SCHEMA.ACTIVE_MASTER_STATE") ==
               phase;
      },
      kPhasePoll);
}

void Play::must_see_phase(const std::string& phase) {
  must(sees_phase(phase, kPhaseLimit), "the phase " + phase + " isn't reached");
}

void Play::must_be_refused(const SwitchoverResult& result, unsigned error) {
  must(!result.summary.done, "the switchover was done");
  must(result.error == error, "refused by error " + std::to_string(result.error) + " (" +
                                  result.summary.text + ") instead of " + std::to_string(error));
}

void Play::must_have_failed(const SwitchoverResult& result) {
  must(!result.summary.done, "the switchover was done");
  must(result.error > 33300 && result.error < 33400,
       "it failed by an error that isn't the plugin's: " + std::to_string(result.error) + " " +
           result.summary.text);
}

void Play::old_master_must_be_active() {
  must(Cluster::active_node(master) == master.name(), master.name() + " isn't active any more");
  traffic_must_run();
}

// Nothing as long as the nodes that run don't agree.
std::optional<ReadBack> Play::read_back() const {
  ReadBack seen;
  bool is_first = true;
  for (const auto& node : cluster_.nodes()) {
    if (!node->answers()) continue;
    try {
      const auto sets = node->connect().query(
          "SELECT ACTIVE_NODE, FENCED, PHASE FROM INFORMATION_SCHEMA.ACTIVE_MASTER_STATE");
      const std::string active = sets.at(0).first("ACTIVE_NODE").value_or("");
      if (sets.at(0).first("PHASE") != "NONE") return std::nullopt;
      if (!is_first && active != seen.active) return std::nullopt;
      is_first = false;
      seen.active = active;
      if (sets.at(0).first("FENCED") == "0") seen.writable.push_back(node->name());
    } catch (const sql::Error&) {
      return std::nullopt;
    }
  }
  if (is_first) return std::nullopt;
  return seen;
}

void Play::stop_load() {
  for (const auto& load : loads_) load->stop(recording_.history);
  loads_.clear();
  if (!observer_) return;
  std::vector<Observation> seen = observer_->stop();
  recording_.observations.insert(recording_.observations.end(), seen.begin(), seen.end());
  observer_.reset();
}

void Play::finish(const std::string& after) {
  Recovery& recovery = recording_.recoveries.emplace_back();
  recovery.after = after;
  recovery.limit_us = std::chrono::microseconds(kRecoveryLimit).count();
  recovery.start_us = now_us();
  // Who it is may still be open, as long as a grant is under way.
  require("the nodes don't agree on an active master", kRecoveryLimit, [this] {
    const auto seen = read_back();
    return seen && seen->writable == std::vector{seen->active};
  });
  std::vector<Switchover>& all = recording_.history.switchovers;
  for (auto last = all.rbegin(); last != all.rend() && !last->left; ++last) {
    if (last->answered && last->is_known && !last->text.empty()) continue;
    last->left = read_back();
    break;
  }
  for (Switchover& one : all) {
    if (one.left && !one.is_known) one.done = one.left->active == one.to;
  }
  cluster_.wait_until_healthy(read_back().value_or(ReadBack{}).active);
  recovery.end_us = now_us();
  traffic_must_run();
  stop_load();
  cluster_.wait_until_in_sync();
  recording_.nodes = cluster_.read_rows();
  // Sessions end a moment after their clients.
  (void)wait_until(
      kLeakLimit,
      [this] {
        recording_.after = footprints(cluster_);
        return holds_no_more(recording_.before, recording_.after);
      },
      50ms);
  const Report report = check(recording_);
  must(report.ok(), report.ok() ? "" : report.violations.front());
}

Report Play::report_of_what_is_wrong() {
  stop_load();
  (void)wait_until(2s, [] { return false; });  // replication that still runs comes to its end
  recording_.nodes = cluster_.read_rows();
  return check(recording_);
}

Node& Play::third() {
  for (const auto& node : cluster_.nodes()) {
    if (node.get() != &master && node.get() != &candidate) return *node;
  }
  throw LabError("there is no third node");
}

OpenTransaction::OpenTransaction(sql::Options account)
    : connection_([&account] {
        account.user = kAppUser;
        account.password = kAppPassword;
        return account;
      }()) {
  connection_.execute("BEGIN");
  connection_.execute("INSERT INTO lab.other VALUES (1)");
}

sql::Options directly(const Node& node) {
  sql::Options options;
  options.host = "127.0.0.1";
  options.port = node.sql_port();
  return options;
}

std::vector<Write> Rogue::stop() {
  thread_.request_stop();
  thread_.join();
  return std::move(writes_);
}

void Rogue::run(const std::stop_token& stop) {
  std::optional<sql::Connection> connection;
  for (uint64_t sequence = 1; !stop.stop_requested(); ++sequence) {
    Write write{.client = number_, .sequence = sequence, .start_us = now_us()};
    write.stage = connection ? Stage::kAutocommit : Stage::kConnect;
    try {
      if (!connection) connection.emplace(node_.root());
      write.stage = Stage::kAutocommit;
      connection->execute("INSERT INTO lab.writes VALUES (" + std::to_string(number_) + ", " +
                          std::to_string(sequence) + ", @@server_id)");
    } catch (const sql::Error& error) {
      write.error = error.number();
      write.text = error.what();
      const bool is_refused = write.text.find("active_master: ") != std::string::npos;
      refused_ += is_refused ? 1 : 0;
      write.answer =
          is_refused || write.stage == Stage::kConnect ? Answer::kError : Answer::kUnknown;
      if (error.connection_lost()) connection.reset();
    }
    write.end_us = now_us();
    writes_.push_back(std::move(write));
    // Gently enough for replication to keep up.
    std::this_thread::sleep_for(1ms);
  }
}

bool has_acknowledged(const std::vector<Write>& writes) {
  return std::any_of(writes.begin(), writes.end(),
                     [](const Write& write) { return write.answer == Answer::kOk; });
}

}  // namespace active_master::lab
