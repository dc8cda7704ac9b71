// The active master dies, and a standby takes its role: with semi-synchronous replication, so that
// no acknowledged write is on the dead one only.
#include "client/lab/faults.h"
#include "client/lab/play.h"

namespace active_master::lab {
namespace {

constexpr auto kNoticedLimit = 20s;  // that the active master is gone

void must_be_semi_synchronous(const Node& node) {
  require(node.name() + " does not wait for its standby", kNoticedLimit, [&node] {
    return node.connect().value(
               "SELECT VARIABLE_VALUE FROM INFORMATION_SCHEMA.GLOBAL_STATUS WHERE VARIABLE_NAME = "
               "'Rpl_semi_sync_master_status'") == "ON";
  });
}

void active_master_dies(Play& play) {
  must_be_semi_synchronous(play.master);
  play.expect_failovers();
  play.master.kill();
  (void)play.must_fail_over_from(play.master, true);
  play.restart_as_replica(play.master);
  require("the old active master does not follow", kNoticedLimit, [&play] {
    return play.candidate.connect().value(
               "SELECT REPLICATION FROM INFORMATION_SCHEMA.ACTIVE_MASTER_NODES WHERE NODE = '" +
               play.master.name() + "'") == "FOLLOWING";
  });
  play.traffic_must_run();
  // The new one replicates again when it is a standby.
  (void)play.move_role(play.master, play.candidate);
}

// The standbys' replication connections to it neither end nor are refused.
void active_master_is_silent(Play& play) {
  must_be_semi_synchronous(play.master);
  play.expect_failovers();
  play.cut_off(play.master);
  play.master.freeze();
  (void)play.must_fail_over_from(play.master, true);
  play.restart_as_replica(play.master);
  play.cluster().wires().heal();
  play.bring_back(play.master);
}

// Without force there is no failover, as nobody but the operator can know that it is off; and none
// against a master that lives.
void failover_needs_to_know(Play& play) {
  sql::Connection connection = play.candidate.connect();
  const auto refused_by = [&connection, &play](const std::string& procedure) {
    try {
      connection.execute("CALL active_master." + procedure + "('" + play.candidate.name() + "')");
      return 0U;
    } catch (const sql::Error& error) {
      return error.number();
    }
  };
  must(refused_by("failover") == kMasterAlive, "failover against a living active master");
  must(refused_by("force_failover") == kMasterAlive, "forced against a living active master");
  play.traffic_must_run();
  play.master.kill();
  require("the death is not noticed", kNoticedLimit,
          [&] { return refused_by("failover") == kNotFenced; });
  play.restart(play.master);
  play.cluster().wait_until_healthy(play.master.name());
  play.traffic_must_run();
}

}  // namespace

std::vector<Scenario> failovers() {
  return {
      {.name = "failover_needs_to_know",
       .rows = "S16, S54",
       .verifies =
           "failover without force: refused while the active master lives, and when it does "
           "not answer; it restarts and goes on",
       .play = failover_needs_to_know,
       .setting = Setting::kSemiSync,
       .clients_may_see_it = true},
      {.name = "active_master_dies",
       .rows = "S16",
       .verifies =
           "kill -9 of the active master, force_failover: no acknowledged write is lost; the "
           "old one is back, follows, and gets the role again",
       .play = active_master_dies,
       .setting = Setting::kSemiSync,
       .clients_may_see_it = true},
      {.name = "active_master_is_silent",
       .rows = "S16",
       .verifies =
           "SIGSTOP of the active master of three nodes, and no packet from it, force_failover: no "
           "acknowledged write is lost; the other standby follows, and the old one when it is back",
       .play = active_master_is_silent,
       .setting = Setting::kSemiSyncWires,
       .clients_may_see_it = true},
  };
}

}  // namespace active_master::lab
