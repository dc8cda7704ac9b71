#include "client/lab/play.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>

namespace active_master::lab {
namespace {

constexpr auto kPhaseLimit = 15s;
constexpr auto kLeakLimit = 20s;
constexpr auto kRecoveryLimit = 60s;
constexpr auto kTakeoverLimit = 20s;
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

namespace {

// After the scenario before some links may still be dialled again: what is held grows a little yet.
// That a node shows the agent as connected doesn't mean that it is linked with this very node.
std::vector<Footprint> settled_footprints(Cluster& cluster) {
  constexpr int kSame = 5;  // looks
  const auto links = static_cast<int64_t>(cluster.nodes().size());
  std::vector<Footprint> last;
  int same = 0;
  (void)wait_until(
      10s,
      [&] {
        auto now = footprints(cluster);
        const bool is_linked = std::ranges::all_of(now, [links](const Footprint& one) {
          return one.who != kAgentName || one.sockets >= links;
        });
        const bool is_same = holds_no_more(last, now) && holds_no_more(now, last);
        same = is_linked && is_same ? same + 1 : 0;
        last = std::move(now);
        return same >= kSame;
      },
      100ms);
  return last;
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
  recording_.before = settled_footprints(cluster_);
  observer_.emplace(cluster_);
  const std::chrono::microseconds think{1000};
  const std::chrono::seconds patience = cluster_.has_wires() ? 3s : 60s;
  loads_.push_back(std::make_unique<Workload>(cluster_, WorkloadOptions{.via = Via::kGate,
                                                                        .writers = 2,
                                                                        .think = think,
                                                                        .first_client = 1,
                                                                        .patience = patience}));
  loads_.push_back(std::make_unique<Workload>(cluster_, WorkloadOptions{.via = Via::kHaproxy,
                                                                        .writers = 2,
                                                                        .think = think,
                                                                        .first_client = 101,
                                                                        .patience = patience}));
  traffic_must_run();
}

Play::~Play() {
  for (const auto& node : cluster_.nodes()) node->thaw();
  if (cluster_.has_wires()) cluster_.wires().heal();
}

void Play::traffic_must_run(std::chrono::milliseconds limit) {
  for (const auto& load : loads_) {
    must(load->wait_for_writes(kTraffic, limit), "traffic doesn't run");
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
  SwitchoverResult result;
  // A candidate that has much to apply, on a busy machine, is refused until it has.
  (void)wait_until(
      kRecoveryLimit,
      [&] {
        result = Cluster::switch_to(target.name(), connection);
        add(result);
        return result.error != kCandidateLags;
      },
      500ms);
  must(result.summary.done, "a switchover failed: " + result.summary.text);
  return connection.value(kExceptions).value_or("");
}

void Play::add(std::vector<Write> writes) {
  recording_.history.writes.insert(recording_.history.writes.end(), writes.begin(), writes.end());
}

void Play::add(const SwitchoverResult& result) {
  if (result.summary.from.empty()) return;  // its server died before the statement was given
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
  if (failovers_expected_) note_failovers();
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
  pass(2s);  // replication that still runs comes to its end
  recording_.nodes = cluster_.read_rows();
  return check(recording_);
}

void Play::restart_as_replica(Node& node) {
  node.kill();
  std::ifstream in(node.option_file());
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  write_file(node.option_file(), text + "init_rpl_role=SLAVE\n");
  restart(node);
  write_file(node.option_file(), text);
}

std::string Play::says(const Node& node, const std::string& statement) {
  try {
    return node.connect().value(statement).value_or("");
  } catch (const sql::Error&) {
    return "";
  }
}

std::string Play::agreed() {
  constexpr const char* kActiveNode =
      "SELECT ACTIVE_NODE FROM INFORMATION_SCHEMA.ACTIVE_MASTER_STATE";
  std::string active;
  require("the nodes don't agree on an active master", 60s, [&] {
    active = says(*cluster_.nodes().front(), kActiveNode);
    return !active.empty() && std::ranges::all_of(cluster_.nodes(), [&](const auto& node) {
      return says(*node, kActiveNode) == active;
    });
  });
  return active;
}

void Play::cut_off(const Node& node) {
  for (const auto& other : cluster_.nodes()) {
    if (other.get() != &node) cluster_.wires().cut(node.name(), other->name());
  }
}

void Play::bring_back(Node& node) {
  constexpr auto kLimit = 30s;
  (void)agreed();  // who has just woken up learns that it was replaced
  std::string replication;
  const bool settled = wait_until(kLimit, [&] {
    replication = says(node,
                       "SELECT CONCAT(ROLE, ' ', COALESCE(REPLICATION, '')) FROM "
                       "INFORMATION_SCHEMA.ACTIVE_MASTER_NODES WHERE LINK = 'SELF'");
    return replication.starts_with("ACTIVE") || replication.ends_with("FOLLOWING") ||
           replication.ends_with("DIVERGED");
  });
  must(settled, node.name() + " does not come back: " + replication);
  if (replication.ends_with("DIVERGED")) rebuild(node);
}

// From a standby that is well, if there is one, and else from the active master itself.
void Play::rebuild(Node& node) {
  const std::string active = Cluster::active_node(node);
  Node* source = &cluster_.node(active);
  for (const auto& other : cluster_.nodes()) {
    const bool is_well =
        other.get() != &node && other->name() != active &&
        says(
            *other,
            "SELECT REPLICATION FROM INFORMATION_SCHEMA.ACTIVE_MASTER_NODES WHERE LINK = 'SELF'") ==
            "FOLLOWING";
    if (is_well) source = other.get();
  }
  must(source->stop() == 0, source->name() + " doesn't stop");
  node.kill();
  std::filesystem::remove_all(node.data());
  std::filesystem::copy(source->data(), node.data(), std::filesystem::copy_options::recursive);
  if (source->name() == active) forget_where_it_was(node);
  restart(*source);
  restart(node);
}

// A copy of an active master has all that it wrote, not only what it applied when it was a standby
// last. Without the plugin, as this is a write.
void Play::forget_where_it_was(Node& node) {
  std::ifstream in(node.option_file());
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  static const std::regex plugin("(plugin_load_add=active_master|active_master_[^\n]*)\n");
  write_file(node.option_file(), std::regex_replace(text, plugin, "") + "skip_slave_start\n");
  restart(node);
  node.connect().execute("SET GLOBAL gtid_slave_pos = @@gtid_binlog_pos");
  must(node.stop() == 0, node.name() + " doesn't stop");
  write_file(node.option_file(), text);
}

// The first that no row `transactions` of failover_check speaks against (docs/failover.md).
const Node* Play::candidate_instead_of(const Node& old) {
  for (const auto& node : cluster_.nodes()) {
    if (node.get() == &old || !node->answers()) continue;
    const auto sets =
        node->connect().query("CALL active_master.failover_check('" + node->name() + "')");
    const bool lacks_some = std::ranges::any_of(sets.at(0).rows, [](const auto& row) {
      return row.at(1) == "transactions" && row.at(2) == "FAILED";
    });
    if (!lacks_some) return node.get();
  }
  return nullptr;
}

Play::Takeover Play::must_fail_over_from(const Node& old, bool by_hand) {
  const int64_t since = now_us();
  int64_t told_us = since;
  if (by_hand) {
    std::string refusal = "each node that is left lacks what another has";
    const bool done = wait_until(kTakeoverLimit, [&] {
      try {
        const Node* const next = candidate_instead_of(old);
        if (next == nullptr) return false;
        sql::Connection connection = next->connect();
        told_us = now_us();
        connection.execute("CALL active_master.force_failover('" + next->name() + "')");
        return true;
      } catch (const sql::Error& error) {
        refusal = error.what();
        return false;
      }
    });
    must(done, "the failover is refused: " + refusal);
  }
  Node* active = nullptr;
  must(wait_until(kTakeoverLimit,
                  [&] {
                    for (const auto& node : cluster_.nodes()) {
                      if (node.get() == &old || !node->answers()) continue;
                      const auto fenced = says(*node,
                                               "SELECT CONCAT(ROLE, FENCED) FROM "
                                               "INFORMATION_SCHEMA.ACTIVE_MASTER_STATE");
                      if (fenced == "ACTIVE0") active = node.get();
                    }
                    return active != nullptr;
                  }),
       "no other node takes the role of " + old.name());
  const int64_t active_us = now_us();
  for (const auto& load : loads_)
    must(load->wait_for_writes(1, kTrafficLimit), "traffic doesn't run after the failover");
  const Takeover takeover{*active, std::chrono::microseconds(active_us - told_us),
                          std::chrono::microseconds(active_us - since),
                          std::chrono::microseconds(now_us() - since)};
  std::printf("       %s takes over from %s after %lld ms, traffic runs after %lld ms\n",
              active->name().c_str(), old.name().c_str(),
              static_cast<long long>(takeover.active_after.count() / 1000),
              static_cast<long long>(takeover.traffic_after.count() / 1000));
  return takeover;
}

// Each epoch begins between the last look at its node in which it was not active, and the first in
// which it was.
void Play::note_failovers() {
  struct Begin {
    std::string node;
    int64_t earliest_us = 0;
    int64_t latest_us = 0;
  };
  std::map<uint64_t, Begin> epochs;
  std::map<std::string, int64_t> looked;
  for (const Observation& seen : recording_.observations) {
    if (seen.is_proxy) continue;
    if (seen.role == "ACTIVE" && !epochs.contains(seen.epoch))
      epochs[seen.epoch] = {seen.who, looked[seen.who], seen.end_us};
    looked[seen.who] = seen.start_us;
  }
  auto& all = recording_.history.switchovers;
  std::string from = recording_.history.first_active;
  for (const auto& entry : epochs) {
    const Begin& begin = entry.second;
    const bool is_told = std::ranges::any_of(all, [&](const Switchover& s) {
      return s.done && s.to == begin.node && s.start_us <= begin.latest_us &&
             s.end_us >= begin.earliest_us;
    });
    if (begin.node != from && !is_told)
      all.push_back({.from = from,
                     .to = begin.node,
                     .start_us = begin.earliest_us,
                     .end_us = begin.latest_us,
                     .done = true});
    from = begin.node;
  }
  std::ranges::stable_sort(all, {}, &Switchover::start_us);
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
  options.host = node.host();
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
