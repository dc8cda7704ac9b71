// Faults at real processes. Each scenario begins with a healthy cluster under load, does something
// bad, says what must hold, and leaves a healthy cluster; afterwards the clients' history is
// checked.

#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <future>
#include <iostream>
#include <thread>

#include "client/lab/scenario.h"
#include "client/lab/strangers.h"
#include "client/lab/wait.h"

namespace active_master::lab {
namespace {

using namespace std::chrono_literals;

// Shorter than the defaults: a scenario waits for some of them to run out.
constexpr std::chrono::milliseconds kPauseTimeout{2000};
constexpr std::chrono::milliseconds kCatchUpTimeout{2000};
constexpr std::chrono::milliseconds kSwitchoverTimeout{20000};

constexpr auto kPhaseLimit = 15s;
constexpr auto kTrafficLimit = 10s;  // more than pause and catch-up together
constexpr auto kStrangersLimit = 60s;
constexpr uint64_t kTraffic = 100;  // so many writes are traffic
constexpr auto kPhasePoll = 100us;  // the shortest phases last less than a millisecond

// Numbers of the plugin's errors, see docs/reference.md.
constexpr unsigned kUnknownNode = 33306;
constexpr unsigned kAlreadyActive = 33307;
constexpr unsigned kBusy = 33308;
constexpr unsigned kCandidateUnreachable = 33309;
constexpr unsigned kCheckFailed = 33310;
constexpr unsigned kProxiesDidNotHold = 33312;
constexpr unsigned kCancelled = 33316;
constexpr unsigned kDiverged = 33340;

void must(bool holds, const std::string& what) {
  if (!holds) throw LabError(what);
}

// The cluster under load. `master` is the active master, `candidate` its replica.
class Play {
 public:
  explicit Play(Cluster& cluster)
      : cluster_(cluster),
        active_(Cluster::active_node(*cluster.nodes().front())),
        master(cluster.node(active_)),
        candidate(*cluster.nodes()[&master == cluster.nodes()[0].get() ? 1 : 0]) {
    cluster_.wait_until_healthy(active_);
    // What earlier scenarios wrote would be rows that nobody wrote.
    master.connect().execute("TRUNCATE TABLE lab.writes");
    master.connect().execute("CREATE TABLE IF NOT EXISTS lab.other (a INT) ENGINE = InnoDB");
    cluster_.wait_until_in_sync();
    recording_.history.first_active = active_;
    const std::chrono::microseconds think{1000};
    loads_.push_back(std::make_unique<Workload>(
        cluster_,
        WorkloadOptions{.via = Via::kGate, .writers = 2, .think = think, .first_client = 1}));
    loads_.push_back(std::make_unique<Workload>(
        cluster_,
        WorkloadOptions{.via = Via::kHaproxy, .writers = 2, .think = think, .first_client = 101}));
    traffic_must_run();
  }

  void traffic_must_run() {
    for (const auto& load : loads_) {
      must(load->wait_for_writes(kTraffic, kTrafficLimit), "traffic doesn't run");
    }
  }

  // The statement, given on `director` by a thread of its own.
  std::future<SwitchoverResult> begin_switchover(const Node& director) {
    auto connection = std::make_shared<sql::Connection>(director.connect());
    session_ = connection->thread_id();
    return std::async(std::launch::async, [to = candidate.name(), connection] {
      return Cluster::switch_to(to, *connection);
    });
  }
  std::future<SwitchoverResult> begin_switchover() { return begin_switchover(master); }
  // Of the last one begun.
  [[nodiscard]] uint64_t session() const { return session_; }

  SwitchoverResult end(std::future<SwitchoverResult> switchover) {
    must(wait_until(kSwitchoverTimeout + 5s,
                    [&switchover] { return switchover.wait_for(0s) == std::future_status::ready; }),
         "the switchover doesn't end");
    SwitchoverResult result = switchover.get();
    recording_.history.switchovers.push_back(result.summary);
    return result;
  }

  [[nodiscard]] bool sees_phase(const std::string& phase, std::chrono::milliseconds limit) {
    sql::Connection connection = master.connect();
    return wait_until(
        limit,
        [&] {
          return connection.value("SELECT PHASE FROM INFORMATION_SCHEMA.ACTIVE_MASTER_STATE") ==
                 phase;
        },
        kPhasePoll);
  }

  void must_see_phase(const std::string& phase) {
    must(sees_phase(phase, kPhaseLimit), "the phase " + phase + " isn't reached");
  }

  void must_be_refused(const SwitchoverResult& result, unsigned error) {
    must(!result.summary.done, "the switchover was done");
    must(result.error == error, "refused by error " + std::to_string(result.error) + " (" +
                                    result.summary.text + ") instead of " + std::to_string(error));
  }

  void must_have_failed(const SwitchoverResult& result) {
    must(!result.summary.done, "the switchover was done");
    must(result.error > 33300 && result.error < 33400,
         "it failed by an error that isn't the plugin's: " + std::to_string(result.error) + " " +
             result.summary.text);
  }

  // Nothing has changed: the old active master goes on.
  void old_master_must_be_active() {
    must(Cluster::active_node(master) == master.name(), master.name() + " isn't active any more");
    traffic_must_run();
  }

  // Ends the load, and holds the history against the tables.
  void finish() {
    cluster_.wait_until_healthy(Cluster::active_node(master));
    traffic_must_run();
    for (const auto& load : loads_) load->stop(recording_.history);
    cluster_.wait_until_in_sync();
    recording_.nodes = cluster_.read_rows();
    const Report report = check(recording_, {});
    must(report.ok(), report.ok() ? "" : report.violations.front());
  }

  // Writes that were made beside the load.
  void add(std::vector<Write> writes) {
    recording_.history.writes.insert(recording_.history.writes.end(), writes.begin(), writes.end());
  }
  void add(const Switchover& switchover) { recording_.history.switchovers.push_back(switchover); }

  Cluster& cluster() { return cluster_; }

 private:
  Cluster& cluster_;
  std::string active_;
  Recording recording_;
  uint64_t session_ = 0;
  std::vector<std::unique_ptr<Workload>> loads_;

 public:
  Node& master;
  Node& candidate;
};

// A session of root that holds something open until it is destroyed.
class Holder {
 public:
  Holder(const Node& node, const std::string& statement) : connection_(node.connect()) {
    connection_.execute(statement);
  }

 private:
  sql::Connection connection_;
};

// A client of the application in the middle of a transaction.
class OpenTransaction {
 public:
  explicit OpenTransaction(sql::Options account) : connection_(with_rights(std::move(account))) {
    connection_.execute("BEGIN");
    connection_.execute("INSERT INTO lab.other VALUES (1)");
  }

 private:
  static sql::Options with_rights(sql::Options account) {
    account.user = kAppUser;
    account.password = kAppPassword;
    return account;
  }

  sql::Connection connection_;
};

sql::Options directly(const Node& node) {
  sql::Options options;
  options.host = "127.0.0.1";
  options.port = node.sql_port();
  return options;
}

// What follows the kill of a candidate that hadn't been granted the role.
void candidate_was_killed(Play& play, std::future<SwitchoverResult> switchover) {
  play.must_have_failed(play.end(std::move(switchover)));
  play.old_master_must_be_active();
  play.candidate.start(play.cluster().installation());
}

void kill_candidate_in_check(Play& play) {
  play.candidate.freeze();  // it can't answer the check
  auto switchover = play.begin_switchover();
  play.must_see_phase("CHECK");
  play.candidate.kill();
  candidate_was_killed(play, std::move(switchover));
}

void kill_candidate_in_approach(Play& play) {
  const Holder lock(play.candidate, "LOCK TABLES lab.writes READ");  // its applier waits
  auto switchover = play.begin_switchover();
  play.must_see_phase("APPROACH");
  play.candidate.kill();
  candidate_was_killed(play, std::move(switchover));
}

void kill_candidate_in_pause(Play& play) {
  play.cluster().agent().signal(SIGSTOP);  // the pause waits for its answer
  auto switchover = play.begin_switchover();
  play.must_see_phase("PAUSE");
  play.candidate.kill();
  play.must_have_failed(play.end(std::move(switchover)));
  play.cluster().agent().signal(SIGCONT);
  play.old_master_must_be_active();
  play.candidate.start(play.cluster().installation());
}

void kill_candidate_in_drain(Play& play) {
  // Past every proxy: only the server knows of this transaction. The drain is to meet it, not the
  // wait for long ones before.
  play.master.connect().execute("SET GLOBAL active_master_idle_transaction_limit = 0");
  const OpenTransaction open(directly(play.master));
  auto switchover = play.begin_switchover();
  play.must_see_phase("DRAIN");
  play.candidate.kill();
  candidate_was_killed(play, std::move(switchover));
  play.master.connect().execute("SET GLOBAL active_master_idle_transaction_limit = DEFAULT");
}

// Phases that last less than a millisecond: tried until one is met. The candidate can't apply the
// handover row, so that it can't be granted the role before it is killed.
void kill_candidate_in_short_phase(Play& play, const std::string& phase) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    auto holder = std::make_unique<Holder>(play.candidate, "LOCK TABLES active_master.event READ");
    auto switchover = play.begin_switchover();
    sql::Connection connection = play.master.connect();
    std::string seen;
    (void)wait_until(
        kPhaseLimit,
        [&] {
          seen = connection.value("SELECT PHASE FROM INFORMATION_SCHEMA.ACTIVE_MASTER_STATE")
                     .value_or("");
          return seen == phase || seen == "CATCH_UP";
        },
        0us);
    if (seen == phase) {
      play.candidate.kill();
      candidate_was_killed(play, std::move(switchover));
      return;
    }
    // Missed. It ends by its time limit; the next attempt finds the cluster as it was.
    (void)play.end(std::move(switchover));
    holder.reset();
    play.cluster().wait_until_healthy(play.master.name());
  }
  throw LabError("the phase " + phase + " was never met");
}

void kill_candidate_in_fence(Play& play) {
  kill_candidate_in_short_phase(play, "FENCE");
}
void kill_candidate_in_handover(Play& play) {
  kill_candidate_in_short_phase(play, "HANDOVER");
}

void kill_candidate_in_catch_up(Play& play) {
  const Holder lock(play.candidate, "LOCK TABLES active_master.event READ");
  auto switchover = play.begin_switchover();
  play.must_see_phase("CATCH_UP");
  play.candidate.kill();
  candidate_was_killed(play, std::move(switchover));
}

void candidate_applies_too_late(Play& play) {
  {
    const Holder lock(play.candidate, "LOCK TABLES active_master.event READ");
    play.must_have_failed(play.end(play.begin_switchover()));
    play.old_master_must_be_active();
  }
  play.cluster().wait_until_healthy(play.master.name());
}

void candidate_freezes_in_catch_up(Play& play) {
  {
    const Holder lock(play.candidate, "LOCK TABLES active_master.event READ");
    auto switchover = play.begin_switchover();
    play.must_see_phase("CATCH_UP");
    play.candidate.freeze();
    play.must_have_failed(play.end(std::move(switchover)));
    play.old_master_must_be_active();
    play.candidate.thaw();
  }
  play.cluster().wait_until_healthy(play.master.name());
}

void sql_thread_stopped(Play& play) {
  play.candidate.connect().execute("STOP SLAVE SQL_THREAD");
  play.must_be_refused(play.end(play.begin_switchover()), kCheckFailed);
  play.old_master_must_be_active();
  play.candidate.connect().execute("START SLAVE");
}

void io_thread_stopped(Play& play) {
  play.candidate.connect().execute("STOP SLAVE IO_THREAD");
  play.must_be_refused(play.end(play.begin_switchover()), kCheckFailed);
  play.old_master_must_be_active();
  play.candidate.connect().execute("START SLAVE");
}

void peer_down(Play& play) {
  play.candidate.stop();
  play.must_be_refused(play.end(play.begin_switchover()), kCandidateUnreachable);
  play.old_master_must_be_active();
  play.candidate.start(play.cluster().installation());
}

void second_switchover(Play& play) {
  auto lock = std::make_unique<Holder>(play.candidate, "LOCK TABLES lab.writes READ");
  auto first = play.begin_switchover();
  play.must_see_phase("APPROACH");
  play.must_be_refused(play.end(play.begin_switchover()), kBusy);
  play.must_be_refused(play.end(play.begin_switchover(play.candidate)), kBusy);
  lock.reset();
  const SwitchoverResult result = play.end(std::move(first));
  must(result.summary.done, "the first switchover failed: " + result.summary.text);
  play.traffic_must_run();
}

void wrong_targets(Play& play) {
  sql::Connection connection = play.master.connect();
  play.must_be_refused(Cluster::switch_to("node99", connection), kUnknownNode);
  play.must_be_refused(Cluster::switch_to(play.master.name(), connection), kAlreadyActive);
  play.old_master_must_be_active();
}

void cancelled(Play& play) {
  const Holder lock(play.candidate, "LOCK TABLES lab.writes READ");
  auto switchover = play.begin_switchover();
  play.must_see_phase("APPROACH");
  play.master.connect().execute("KILL QUERY " + std::to_string(play.session()));
  play.must_be_refused(play.end(std::move(switchover)), kCancelled);
  play.old_master_must_be_active();
}

void transaction_does_not_end(Play& play) {
  const OpenTransaction open(play.cluster().through_proxy());
  play.must_have_failed(play.end(play.begin_switchover()));
  play.old_master_must_be_active();
}

void agent_freezes(Play& play) {
  play.cluster().agent().signal(SIGSTOP);
  play.must_be_refused(play.end(play.begin_switchover()), kProxiesDidNotHold);
  play.old_master_must_be_active();
  play.cluster().agent().signal(SIGCONT);
}

void agent_is_killed(Play& play) {
  play.cluster().agent().kill();
  play.must_have_failed(play.end(play.begin_switchover()));
  play.old_master_must_be_active();
  play.cluster().start_agent();
}

// root, past every proxy, writing to one node as fast as it can, through restarts.
class Rogue {
 public:
  Rogue(const Node& node, uint32_t number)
      : node_(node), number_(number), thread_([this](std::stop_token stop) { run(stop); }) {}

  std::vector<Write> stop() {
    thread_.request_stop();
    thread_.join();
    return std::move(writes_);
  }
  [[nodiscard]] int64_t refused() const { return refused_; }

 private:
  void run(const std::stop_token& stop) {
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

  const Node& node_;
  uint32_t number_;
  std::vector<Write> writes_;
  std::atomic<int64_t> refused_{0};
  std::jthread thread_;
};

bool has_acknowledged(const std::vector<Write>& writes) {
  return std::any_of(writes.begin(), writes.end(),
                     [](const Write& write) { return write.answer == Answer::kOk; });
}

void root_writes_everywhere(Play& play) {
  Rogue at_master(play.master, 801);
  Rogue at_candidate(play.candidate, 802);
  for (int i = 0; i < 6; ++i) {
    const Node& target = i % 2 == 0 ? play.candidate : play.master;
    sql::Connection connection = play.master.connect();
    const SwitchoverResult result = Cluster::switch_to(target.name(), connection);
    play.add(result.summary);
    must(result.summary.done, "a switchover failed: " + result.summary.text);
    play.cluster().wait_until_healthy(target.name());
    play.traffic_must_run();
  }
  must(at_master.refused() > 0 && at_candidate.refused() > 0, "the fence refused nobody");
  for (Rogue* rogue : {&at_master, &at_candidate}) {
    std::vector<Write> writes = rogue->stop();
    must(has_acknowledged(writes), "root could write nowhere");
    play.add(std::move(writes));
  }
}

void standby_restarts_fenced(Play& play) {
  play.candidate.kill();
  Rogue rogue(play.candidate, 803);
  play.candidate.start(play.cluster().installation());
  play.cluster().wait_until_healthy(play.master.name());
  must(wait_until(kTrafficLimit, [&rogue] { return rogue.refused() > 0; }), "nothing was refused");
  const std::vector<Write> writes = rogue.stop();
  must(!has_acknowledged(writes), "root wrote on a standby that was starting");
  play.add(writes);
}

// Strangers besiege one node, which gives the role away meanwhile, and gets it back.
void strangers_at_the_door(Play& play, Manner manner) {
  const Strangers strangers(play.master.plugin_address().address.port, manner);
  for (const Node* target : {&play.candidate, &play.master}) {
    const uint64_t before = strangers.dropped();
    must(wait_until(kStrangersLimit, [&] { return strangers.dropped() > before; }),
         "no stranger was dropped");
    sql::Connection connection = play.master.connect();
    const SwitchoverResult result = Cluster::switch_to(target->name(), connection);
    play.add(result.summary);
    must(result.summary.done, "a switchover failed: " + result.summary.text);
    play.cluster().wait_until_healthy(target->name());
    play.traffic_must_run();
  }
  std::printf("       %s: %llu connections, up to %llu at once, %llu dropped\n",
              std::string(to_string(manner)).c_str(),
              static_cast<unsigned long long>(strangers.connections()),
              static_cast<unsigned long long>(strangers.most_at_once()),
              static_cast<unsigned long long>(strangers.dropped()));
}

template <Manner manner>
void strangers_come(Play& play) {
  strangers_at_the_door(play, manner);
}

// --- three nodes, of which the standbys replicate from the active master only ---

constexpr const char* kExceptions =
    "SELECT MAX(ERROR) FROM INFORMATION_SCHEMA.ACTIVE_MASTER_SWITCHOVERS WHERE RESULT = 'DONE' AND "
    "EPOCH = (SELECT EPOCH FROM INFORMATION_SCHEMA.ACTIVE_MASTER_STATE)";

Node& third_of(Play& play) {
  for (const auto& node : play.cluster().nodes()) {
    if (node.get() != &play.master && node.get() != &play.candidate) return *node;
  }
  throw LabError("there is no third node");
}

// Asked on the node that becomes the active master.
std::string move_role(Play& play, const Node& target) {
  sql::Connection connection = target.connect();
  const SwitchoverResult result = Cluster::switch_to(target.name(), connection);
  play.add(result.summary);
  must(result.summary.done, "a switchover failed: " + result.summary.text);
  return connection.value(kExceptions).value_or("");
}

std::string replication_of(const Node& node, const char* column = "REPLICATION") {
  return node.connect()
      .value(std::string("SELECT ") + column +
             " FROM INFORMATION_SCHEMA.ACTIVE_MASTER_NODES WHERE LINK = 'SELF'")
      .value_or("");
}

void must_replicate_from(const Node& node, const Node& master) {
  const auto source = node.connect().query("SHOW SLAVE STATUS").at(0);
  must(source.first("Master_Port") == std::to_string(master.sql_port()) &&
           source.first("Master_User") == kReplicationUser,
       node.name() + " replicates from port " + source.first("Master_Port").value_or("") + " as " +
           source.first("Master_User").value_or(""));
}

void standbys_follow(Play& play) {
  // The old master never replicated: its connection is made with the configured account. The third
  // has one, which is changed.
  Node& third = third_of(play);
  for (Node* active : {&play.candidate, &third, &play.master}) {
    const auto changes = [&] {
      size_t all = 0;
      for (const auto& node : play.cluster().nodes()) all += node->changes_of_master();
      return all;
    };
    const size_t before = changes();
    const std::string exceptions = move_role(play, *active);
    must(exceptions.empty(), "exceptions were reported: " + exceptions);
    play.cluster().wait_until_healthy(active->name());
    for (const auto& node : play.cluster().nodes()) {
      if (node.get() != active) must_replicate_from(*node, *active);
    }
    must(changes() == before + 2, "not each of the two standbys changed its master once");
    play.traffic_must_run();
  }
}

// Its account is refused, and it has no other one.
void standby_cannot_follow(Play& play) {
  const Node& third = third_of(play);
  sql::Connection connection = third.connect();
  connection.execute("SET GLOBAL active_master_replication_user = ''");
  connection.execute("STOP SLAVE");
  connection.execute("CHANGE MASTER TO MASTER_USER = 'nobody'");
  connection.execute("START SLAVE");
  const std::string exceptions = move_role(play, play.candidate);
  must(exceptions.find("not following yet: " + third.name()) != std::string::npos,
       "the report does not name " + third.name() + ": '" + exceptions + "'");
  must(exceptions.find("nobody") != std::string::npos,
       "the report does not say why: '" + exceptions + "'");
  must(exceptions.find(play.master.name()) == std::string::npos,
       "the old master does not follow: '" + exceptions + "'");
  must(replication_of(third) == "FAILED" || replication_of(third) == "PENDING",
       third.name() + " is " + replication_of(third));
  play.traffic_must_run();
  // Once it has an account it follows by itself.
  connection.execute("SET GLOBAL active_master_replication_user = '" +
                     std::string(kReplicationUser) + "'");
  play.cluster().wait_until_healthy(play.candidate.name());
  must_replicate_from(third, play.candidate);
}

unsigned error_of(sql::Connection& connection, const std::string& statement) {
  try {
    connection.execute(statement);
    return 0;
  } catch (const sql::Error& error) {
    return error.number();
  }
}

void errant_standby_diverges(Play& play) {
  const Node& third = third_of(play);
  sql::Connection connection = third.connect();
  connection.execute("SET GLOBAL active_master_fence = FORCED_OFF");
  connection.execute("INSERT INTO lab.other VALUES (666)");
  const std::string errant = connection.value("SELECT @@last_gtid").value_or("?");
  connection.execute("SET GLOBAL active_master_fence = ON");

  const std::string exceptions = move_role(play, play.candidate);
  must(exceptions.find("not following yet: " + third.name()) != std::string::npos &&
           exceptions.find(errant) != std::string::npos,
       "the report does not name " + errant + " on " + third.name() + ": '" + exceptions + "'");
  must(replication_of(third) == "DIVERGED", third.name() + " is " + replication_of(third));
  must(replication_of(third, "ROLE") == "DIVERGED", third.name() + "'s role doesn't show it");
  must(replication_of(third, "REPLICATION_ERROR").find(errant) != std::string::npos,
       "REPLICATION_ERROR doesn't name " + errant);
  must(third.connect().query("SHOW SLAVE STATUS").at(0).first("Slave_IO_Running") != "Yes",
       third.name() + " still replicates");
  must(error_of(connection, "INSERT INTO lab.other VALUES (667)") != 0, "it takes writes");
  must(error_of(connection, "CALL active_master.rejoin()") == kDiverged, "it could rejoin");
  sql::Connection active = play.candidate.connect();
  play.must_be_refused(Cluster::switch_to(third.name(), active), kCheckFailed);
  play.traffic_must_run();

  // Mended: what only it had is gone, and its binlog with it. What it applied of others it keeps.
  connection.execute("SET GLOBAL active_master_fence = FORCED_OFF");
  connection.execute("STOP SLAVE");
  connection.execute("SET SESSION sql_log_bin = 0");
  connection.execute("DELETE FROM lab.other WHERE a = 666");
  connection.execute("SET SESSION sql_log_bin = 1");
  connection.execute("RESET MASTER");
  connection.execute("SET GLOBAL active_master_fence = ON");
  must(error_of(connection, "CALL active_master.rejoin()") == 0, "it could not rejoin");
  play.cluster().wait_until_healthy(play.candidate.name());
  must_replicate_from(third, play.candidate);
}

// Not under load: without an active master clients see errors, rightly.
void active_master_restarts(Cluster& cluster) {
  const std::string active = Cluster::active_node(*cluster.nodes().front());
  Node& master = cluster.node(active);
  master.kill();
  master.start(cluster.installation());
  cluster.wait_until_healthy(active);
}

struct Scenario {
  FaultScenario about;
  std::function<void(Play&)> play;           // under load
  std::function<void(Cluster&)> alone = {};  // without
  bool star = false;  // three nodes, whose standbys replicate from the active master only
};

const std::vector<Scenario>& scenarios() {
  static const std::vector<Scenario> all = {
      {{"wrong_target", "a node that isn't known, or is active already, is refused"},
       wrong_targets},
      {{"second_switchover", "a second switchover while one runs is refused; the first succeeds"},
       second_switchover},
      {{"root_writes_everywhere",
        "root writes to both nodes past every proxy: only the active master takes it"},
       root_writes_everywhere},
      {{"standby_restarts_fenced",
        "root tries to write on a standby while it starts: it never can"},
       standby_restarts_fenced},
      {{"cancel", "KILL QUERY in APPROACH cancels; traffic never stopped"}, cancelled},
      {{"sql_thread_stopped", "the candidate's SQL thread is stopped: refused"},
       sql_thread_stopped},
      {{"io_thread_stopped", "the candidate's I/O thread is stopped: refused"}, io_thread_stopped},
      {{"peer_down", "the candidate is down: refused"}, peer_down},
      {{"transaction_does_not_end",
        "a transaction outlasts the pause: the old active master goes on"},
       transaction_does_not_end},
      {{"catch_up_timeout",
        "the candidate can't apply the handover: the old active master goes on"},
       candidate_applies_too_late},
      {{"candidate_freezes", "the candidate freezes in CATCH_UP: the old active master goes on"},
       candidate_freezes_in_catch_up},
      {{"kill_in_check", "kill -9 of the candidate in CHECK"}, kill_candidate_in_check},
      {{"kill_in_approach", "kill -9 of the candidate in APPROACH"}, kill_candidate_in_approach},
      {{"kill_in_pause", "kill -9 of the candidate in PAUSE"}, kill_candidate_in_pause},
      {{"kill_in_drain", "kill -9 of the candidate in DRAIN"}, kill_candidate_in_drain},
      {{"kill_in_fence", "kill -9 of the candidate in FENCE"}, kill_candidate_in_fence},
      {{"kill_in_handover", "kill -9 of the candidate in HANDOVER"}, kill_candidate_in_handover},
      {{"kill_in_catch_up", "kill -9 of the candidate in CATCH_UP"}, kill_candidate_in_catch_up},
      {{"agent_freezes",
        "the proxy's agent doesn't answer the pause: the old active master goes on"},
       agent_freezes},
      {{"agent_killed", "kill -9 of the proxy's agent: refused while its lease lasts"},
       agent_is_killed},
      {{"strangers_half_open", "10,000 half-open connections to a node's port: nobody notices"},
       strangers_come<Manner::kHalfOpen>},
      {{"strangers_slow_loris", "a byte now and then on hundreds of connections: nobody notices"},
       strangers_come<Manner::kSlowLoris>},
      {{"strangers_garbage", "random bytes and HTTP to a node's port: nobody notices"},
       strangers_come<Manner::kGarbage>},
      {{"strangers_oversize", "lengths beyond every limit: nobody notices"},
       strangers_come<Manner::kOversize>},
      {{"strangers_wrong_state", "what only members may say, before and in place of the proof"},
       strangers_come<Manner::kWrongState>},
      {{"strangers_tls", "TLS to a port without: nobody notices"}, strangers_come<Manner::kTls>},
      {{"active_restarts", "kill -9 of the active master: restarted, it is active again"},
       nullptr,
       active_master_restarts},
      {{"standbys_follow", "the role moves round three nodes: the others follow by CHANGE MASTER"},
       standbys_follow,
       {},
       true},
      {{"standby_cannot_follow",
        "a standby whose account is refused is an exception, not a failure"},
       standby_cannot_follow,
       {},
       true},
      {{"errant_standby_diverges", "a standby with an errant transaction follows nobody"},
       errant_standby_diverges,
       {},
       true},
  };
  return all;
}

std::unique_ptr<Cluster> make_cluster(const FaultOptions& options, bool star) {
  ClusterOptions cluster = options.lab.cluster;
  cluster.star = star;
  if (star) cluster.nodes = 3;
  const auto limit = [&cluster](const char* name, std::chrono::milliseconds value) {
    cluster.settings.push_back(std::string(name) + "=" + std::to_string(value.count()));
  };
  limit("active_master_pause_timeout", kPauseTimeout);
  limit("active_master_catch_up_timeout", kCatchUpTimeout);
  limit("active_master_switchover_timeout", kSwitchoverTimeout);
  auto made =
      std::make_unique<Cluster>(options.lab.installation, cluster,
                                [](const std::string& text) { std::cout << text << std::endl; });
  if (options.lab.keep_files) made->keep_files();
  return made;
}

void play(const Scenario& scenario, Cluster& cluster) {
  if (scenario.alone) {
    scenario.alone(cluster);
    return;
  }
  Play under_load(cluster);
  scenario.play(under_load);
  under_load.finish();
}

}  // namespace

std::vector<FaultScenario> fault_scenarios() {
  std::vector<FaultScenario> all;
  for (const Scenario& scenario : scenarios()) all.push_back(scenario.about);
  return all;
}

bool run_faults(const FaultOptions& options) {
  int passed = 0;
  int failed = 0;
  const auto count = [&](const FaultScenario& about, int64_t start, const std::string& error) {
    std::printf("%-6s %-26s %6.1f s  %s\n", error.empty() ? "ok" : "FAILED", about.name.c_str(),
                static_cast<double>(now_us() - start) / 1e6, about.description.c_str());
    if (!error.empty()) std::printf("       %s\n", error.c_str());
    std::fflush(stdout);
    ++(error.empty() ? passed : failed);
  };
  std::unique_ptr<Cluster> cluster;
  bool star = false;
  const auto stop_cluster = [&] {
    if (!cluster) return;
    const int64_t start = now_us();
    const std::vector<std::string> complaints = cluster->stop();
    if (!complaints.empty()) cluster->keep_files();
    count({"stop", "no server has crashed, and all of them stop when asked to"}, start,
          complaints.empty()
              ? ""
              : complaints.front() + "\n       logs: " + cluster->directory().string());
    cluster.reset();
  };
  for (const Scenario& scenario : scenarios()) {
    const std::string& name = scenario.about.name;
    if (!options.only.empty() &&
        std::find(options.only.begin(), options.only.end(), name) == options.only.end()) {
      continue;
    }
    if (cluster && star != scenario.star) stop_cluster();
    if (!cluster) cluster = make_cluster(options, star = scenario.star);
    const int64_t start = now_us();
    std::string error;
    try {
      play(scenario, *cluster);
    } catch (const LabError& failure) {
      error = failure.what();
    } catch (const sql::Error& failure) {
      error = "error " + std::to_string(failure.number()) + " " + failure.what();
    }
    if (!error.empty()) {
      cluster->keep_files();
      error += "\n       logs: " + cluster->directory().string();
    }
    count(scenario.about, start, error);
    // Whatever state it is in now, the next scenario begins with a new one.
    if (!error.empty()) stop_cluster();
  }
  stop_cluster();
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0;
}

}  // namespace active_master::lab
