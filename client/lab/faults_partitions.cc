// Networks that drop packets, on real machines as far as the programs can tell: of two nodes, of a
// proxy and a node, one way, or of replication alone. Nobody votes here, so nothing fails over.
#include "client/lab/faults.h"
#include "client/lab/play.h"

namespace active_master::lab {
namespace {

constexpr auto kLongEnough = 7s;  // for a peer to count as lost

// Nothing arrives at the candidate any more, or nothing from it, in the middle of a switchover: its
// applier waits, so it is not granted.
void cut_in_catch_up(Play& play, bool to_candidate, bool from_candidate) {
  auto& wires = play.cluster().wires();
  SwitchoverResult result;
  {
    const Holder lock(play.candidate, "LOCK TABLES active_master.event READ");
    auto switchover = play.begin_switchover();
    play.must_see_phase("CATCH_UP");
    if (to_candidate) wires.cut_one_way(play.master.name(), play.candidate.name());
    if (from_candidate) wires.cut_one_way(play.candidate.name(), play.master.name());
    result = play.end(std::move(switchover));
  }
  play.must_have_failed(result);
  play.old_master_must_be_active();
  wires.heal();
}

void nodes_are_cut_off(Play& play) {
  cut_in_catch_up(play, true, true);
}

void candidate_hears_nothing(Play& play) {
  cut_in_catch_up(play, true, false);
}

void candidate_is_not_heard(Play& play) {
  cut_in_catch_up(play, false, true);
}

// Gossip goes on, rows don't: what was written last can't arrive.
void replication_is_cut_off(Play& play) {
  auto& wires = play.cluster().wires();
  wires.cut(play.master.name(), play.candidate.name(), play.master.sql_port());
  const auto result = play.end(play.begin_switchover());
  play.must_have_failed(result);
  play.old_master_must_be_active();
  wires.heal();
  // The replica notices by its own time limit (slave_net_timeout) that its connection is dead.
  play.cluster().wait_until_healthy(play.master.name());
  (void)play.move_role(play.candidate, play.master);
}

// The other nodes tell it to hold, and that it does.
void proxy_is_cut_off_from_the_director(Play& play) {
  auto& wires = play.cluster().wires();
  wires.cut(Wires::kProxies, play.master.name(), play.master.plugin_address().address.port);
  (void)play.move_role(play.candidate, play.third());
  play.traffic_must_run();
  wires.heal();
}

// It can't be told to hold, and its clients' connections to the server live: no switchover.
void proxy_is_cut_off_from_all_nodes(Play& play) {
  auto& wires = play.cluster().wires();
  for (const auto& node : play.cluster().nodes())
    wires.cut(Wires::kProxies, node->name(), node->plugin_address().address.port);
  play.must_have_failed(play.end(play.begin_switchover()));
  play.old_master_must_be_active();
  wires.heal();
}

// Both are alive, and neither hears the other: without voters nobody takes the role.
void link_between_nodes_is_lost(Play& play) {
  auto& wires = play.cluster().wires();
  for (const auto& node : play.cluster().nodes()) {
    if (node.get() != &play.master) wires.cut(play.master.name(), node->name());
  }
  pass(kLongEnough);
  play.old_master_must_be_active();
  wires.heal();
}

void third_is_cut_off(Play& play) {
  auto& wires = play.cluster().wires();
  wires.cut(play.third().name(), play.master.name());
  wires.cut(play.third().name(), play.candidate.name());
  pass(kLongEnough);
  (void)play.move_role(play.candidate, play.master);
  play.traffic_must_run();
  wires.heal();
}

// So slow that the candidate lags: the switchover waits for it, or is refused and nothing changes.
void link_is_slow(Play& play) {
  auto& wires = play.cluster().wires();
  wires.slow_down(play.candidate.name(), 256);
  const auto result = play.end(play.begin_switchover());
  if (!result.summary.done) play.old_master_must_be_active();
  wires.heal();
  play.traffic_must_run();
}

}  // namespace

std::vector<Scenario> partitions() {
  const auto scenario = [](const char* name, const char* rows, const char* verifies,
                           std::function<void(Play&)> play) {
    return Scenario{.name = name,
                    .rows = rows,
                    .verifies = verifies,
                    .play = std::move(play),
                    .setting = Setting::kWires,
                    .clients_may_see_it = true};
  };
  return {
      scenario("cut_nodes", "S26, S27",
               "old master and candidate are cut off from each other in CATCH_UP: undone",
               nodes_are_cut_off),
      scenario("cut_to_candidate", "S29",
               "the candidate hears nothing in CATCH_UP, but is heard: undone",
               candidate_hears_nothing),
      scenario("cut_from_candidate", "S29",
               "the candidate is not heard in CATCH_UP, but hears: undone", candidate_is_not_heard),
      scenario("cut_replication", "S28",
               "replication alone is cut off: undone, and possible when it is mended",
               replication_is_cut_off),
      scenario(
          "cut_proxy_from_director", "S30",
          "HAProxy's agent does not hear the director: the other nodes tell it, and it is done",
          proxy_is_cut_off_from_the_director),
      scenario("cut_proxy_from_all", "S30",
               "HAProxy's agent can't be told to hold, while its clients write: refused",
               proxy_is_cut_off_from_all_nodes),
      scenario("cut_link_between_nodes", "S54",
               "the active master is cut off from both others: it goes on, nobody takes over",
               link_between_nodes_is_lost),
      scenario("cut_third", "S18",
               "a third node is cut off: the switchover goes on, it follows later",
               third_is_cut_off),
      scenario("slow_link", "S10", "the candidate's link is slow: done or refused, nothing lost",
               link_is_slow),
  };
}

}  // namespace active_master::lab
