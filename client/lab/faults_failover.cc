// The active master dies, and a standby takes its role: with semi-synchronous replication, so that
// no acknowledged write is on the dead one only.
#include <cstdio>

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

// By the operator's word that the old master is off. Refused as long as its death was not noticed.
void fail_over(Play& play, const Node& to) {
  sql::Connection connection = to.connect();
  SwitchoverResult result;
  result.summary.from = play.master.name();
  result.summary.to = to.name();
  result.summary.start_us = now_us();
  require("the failover is refused", kNoticedLimit, [&] {
    try {
      connection.execute("CALL active_master.force_failover('" + to.name() + "')");
      return true;
    } catch (const sql::Error& error) {
      result.summary.text = error.what();
      return false;
    }
  });
  result.summary.end_us = now_us();
  result.summary.done = true;
  result.summary.text.clear();
  play.add(result);
}

void active_master_dies(Play& play) {
  must_be_semi_synchronous(play.master);
  play.master.kill();
  const int64_t died_us = now_us();
  fail_over(play, play.candidate);
  const int64_t moved_us = now_us();
  play.traffic_must_run();
  std::printf("       failed over %lld ms after kill -9\n",
              static_cast<long long>((moved_us - died_us) / 1000));
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
  };
}

}  // namespace active_master::lab
