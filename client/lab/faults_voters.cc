// Automatic failover: three nodes that vote, and two with a witness, under load, with semi-
// synchronous replication, so that no acknowledged write is on a dead or sleeping node only.
#include <signal.h>

#include "client/lab/faults.h"
#include "client/lab/play.h"

namespace active_master::lab {
namespace {

constexpr auto kAnswerLimit = 20s;

void cut_from_all(Play& play, const Node& node) {
  play.cut_off(node);
  play.cluster().wires().cut(node.name(), kWitnessName);
}

void must_still_be_active(const Node& node) {
  must(Cluster::active_node(node) == node.name(), node.name() + " isn't active any more");
}

void active_dies(Play& play) {
  play.expect_failovers();
  play.master.kill();
  (void)play.must_fail_over_from(play.master);
  play.traffic_must_run();
  play.restart_as_replica(play.master);
}

// It wakes up as whom nobody votes for any more.
void active_sleeps(Play& play) {
  play.expect_failovers();
  play.master.freeze();
  (void)play.must_fail_over_from(play.master);
  play.traffic_must_run();
  play.master.thaw();
  play.bring_back(play.master);
}

// For less than a lease: nothing happens.
void active_naps(Play& play) {
  play.master.freeze();
  pass(kLease / 3);
  play.master.thaw();
  pass(2 * kLease);
  must_still_be_active(play.master);
}

// Its proxies still reach it: it must close by itself.
void active_is_cut_off(Play& play) {
  play.expect_failovers();
  cut_from_all(play, play.master);
  (void)play.must_fail_over_from(play.master);
  play.traffic_must_run();
  require("the old active master isn't fenced", kAnswerLimit, [&play] {
    return Play::says(play.master, "SELECT FENCED FROM INFORMATION_SCHEMA.ACTIVE_MASTER_STATE") ==
           "1";
  });
  play.cluster().wires().heal();
  play.bring_back(play.master);
}

// It hears them, but they don't hear it, nor get its rows.
void active_is_not_heard(Play& play) {
  play.expect_failovers();
  auto& wires = play.cluster().wires();
  for (const auto& other : play.cluster().nodes()) {
    if (other.get() != &play.master) wires.cut_one_way(play.master.name(), other->name());
  }
  wires.cut_one_way(play.master.name(), kWitnessName);
  (void)play.must_fail_over_from(play.master);
  play.traffic_must_run();
  wires.heal();
  play.bring_back(play.master);
}

void standby_is_cut_off(Play& play) {
  cut_from_all(play, play.third());
  pass(4 * kLease);
  must_still_be_active(play.master);
  play.traffic_must_run();
  play.cluster().wires().heal();
}

void standby_dies(Play& play) {
  play.third().kill();
  pass(4 * kLease);
  must_still_be_active(play.master);
  play.traffic_must_run();
  play.restart(play.third());
}

// By a person, while the plugin would do it by itself: no failover fires in the middle.
void switchovers_go_on(Play& play) {
  for (int i = 0; i < 3; ++i) {
    (void)play.move_role(play.candidate, play.master);
    play.traffic_must_run();
    (void)play.move_role(play.master, play.candidate);
    play.traffic_must_run();
  }
}

void everything_restarts(Play& play) {
  play.expect_failovers();
  for (const auto& node : play.cluster().nodes()) node->kill();
  for (const auto& node : play.cluster().nodes()) play.restart(*node);
}

// --- two nodes and a witness ---

void witness_dies(Play& play) {
  play.cluster().witness().kill();
  pass(4 * kLease);
  must_still_be_active(play.master);
  play.traffic_must_run();
  (void)play.move_role(play.candidate, play.master);
  play.cluster().start_witness();
  require("the witness isn't linked again", kAnswerLimit, [&play] {
    return play.candidate.connect().value(
               "SELECT COUNT(*) FROM INFORMATION_SCHEMA.ACTIVE_MASTER_NODES "
               "WHERE ROLE = 'WITNESS' AND LINK = 'CONNECTED'") == "1";
  });
  (void)play.move_role(play.master, play.candidate);
}

// Its state is gone: it may vote again only when it has heard both nodes.
void witness_loses_its_disk(Play& play) {
  play.expect_failovers();
  play.cluster().witness().kill();
  std::filesystem::remove(play.cluster().directory() / "witness.state");
  play.cluster().start_witness();
  pass(3 * kLease);
  play.master.kill();
  (void)play.must_fail_over_from(play.master);
  play.restart_as_replica(play.master);
}

// Neither node hears the other, the witness hears both: only one of them has the lease.
void nodes_are_cut_off(Play& play) {
  play.cluster().wires().cut(play.master.name(), play.candidate.name());
  pass(4 * kLease);
  must_still_be_active(play.master);
  must(play.candidate.connect().value(
           "SELECT FENCED FROM INFORMATION_SCHEMA.ACTIVE_MASTER_STATE") == "1",
       "the standby isn't fenced");
  play.cluster().wires().heal();
}

}  // namespace

std::vector<Scenario> automatic_failovers() {
  std::vector<Scenario> all;
  const auto add = [&all](Setting setting, const char* name, const char* rows, const char* verifies,
                          std::function<void(Play&)> play) {
    all.push_back({.name = name,
                   .rows = rows,
                   .verifies = verifies,
                   .play = std::move(play),
                   .setting = setting,
                   .clients_may_see_it = true});
  };
  add(Setting::kVoters, "voters_switchovers", "S52",
      "switchovers where nodes vote and fail over by themselves: none fires in the middle",
      switchovers_go_on);
  add(Setting::kVoters, "voters_active_dies", "S16",
      "kill -9 of the active master: another takes the role by itself, nothing is lost",
      active_dies);
  add(Setting::kVoters, "voters_active_sleeps", "S19",
      "SIGSTOP of the active master, SIGCONT when another has the role: never two", active_sleeps);
  add(Setting::kVoters, "voters_active_naps", "S19", "SIGSTOP for less than a lease: no failover",
      active_naps);
  add(Setting::kVoters, "voters_active_cut_off", "S26",
      "the active master is cut off from all nodes, not from proxies: it closes by itself",
      active_is_cut_off);
  add(Setting::kVoters, "voters_active_not_heard", "S29",
      "it hears the others, but they don't hear it: the same", active_is_not_heard);
  add(Setting::kVoters, "voters_standby_cut_off", "S18", "a standby is cut off: no failover",
      standby_is_cut_off);
  add(Setting::kVoters, "voters_standby_dies", "S18", "kill -9 of a standby: no failover",
      standby_dies);
  add(Setting::kVoters, "voters_all_restart", "S42",
      "kill -9 of all nodes at once: the active master opens by itself when they are back",
      everything_restarts);
  add(Setting::kWitness, "witness_active_dies", "S16",
      "two nodes and a witness, kill -9 of the active master: the other takes the role by itself",
      active_dies);
  add(Setting::kWitness, "witness_active_sleeps", "S19", "the same with SIGSTOP and SIGCONT",
      active_sleeps);
  add(Setting::kWitness, "witness_active_cut_off", "S26",
      "the active master is cut off from node and witness: it closes, the other opens",
      active_is_cut_off);
  add(Setting::kWitness, "witness_nodes_cut_off", "S54",
      "the link between the nodes is lost, the witness hears both: the active master stays",
      nodes_are_cut_off);
  add(Setting::kWitness, "witness_dies", "S18",
      "kill -9 of the witness: traffic and switchovers go on, and it comes back", witness_dies);
  add(Setting::kWitness, "witness_loses_disk", "S33",
      "the witness loses its state file, then the active master dies: it has a vote again",
      witness_loses_its_disk);
  return all;
}

}  // namespace active_master::lab
