// Processes that are killed or frozen, as the release's own plugin meets it.
#include <signal.h>

#include "client/lab/faults.h"
#include "client/lab/play.h"

namespace active_master::lab {
namespace {

using Switchover = std::future<SwitchoverResult>;

constexpr const char* kNoHandover = "LOCK TABLES active_master.event READ";

// What follows the kill of a candidate that hadn't been granted the role.
void candidate_was_killed(Play& play, Switchover switchover) {
  play.must_have_failed(play.end(std::move(switchover)));
  play.old_master_must_be_active();
  play.restart(play.candidate);
}

void kill_candidate_when(Play& play, const char* phase, Switchover switchover) {
  play.must_see_phase(phase);
  play.candidate.kill();
  candidate_was_killed(play, std::move(switchover));
}

void kill_candidate_in_check(Play& play) {
  play.candidate.freeze();  // it can't answer the check
  kill_candidate_when(play, "CHECK", play.begin_switchover());
}

void kill_candidate_in_approach(Play& play) {
  const Holder lock(play.candidate, "LOCK TABLES lab.writes READ");  // its applier waits
  kill_candidate_when(play, "APPROACH", play.begin_switchover());
}

void kill_candidate_in_pause(Play& play) {
  play.cluster().agent().signal(SIGSTOP);  // the pause waits for its answer
  auto switchover = play.begin_switchover();
  play.must_see_phase("PAUSE");
  play.candidate.kill();
  play.must_have_failed(play.end(std::move(switchover)));
  play.cluster().agent().signal(SIGCONT);
  play.old_master_must_be_active();
  play.restart(play.candidate);
}

void kill_candidate_in_drain(Play& play) {
  // Past every proxy: only the server knows of this transaction. The drain is to meet it, not the
  // wait for long ones before.
  play.master.connect().execute("SET GLOBAL active_master_idle_transaction_limit = 0");
  const OpenTransaction open(directly(play.master));
  kill_candidate_when(play, "DRAIN", play.begin_switchover());
  play.master.connect().execute("SET GLOBAL active_master_idle_transaction_limit = DEFAULT");
}

void kill_candidate_in_catch_up(Play& play) {
  const Holder lock(play.candidate, kNoHandover);
  kill_candidate_when(play, "CATCH_UP", play.begin_switchover());
}

// Phases that last less than a millisecond: tried until one is met. The candidate can't apply the
// handover row, so that it can't be granted the role before it is killed.
void kill_candidate_in_short_phase(Play& play, const std::string& phase) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    auto holder = std::make_unique<Holder>(play.candidate, kNoHandover);
    auto switchover = play.begin_switchover();
    sql::Connection connection = play.master.connect();
    std::string seen;
    (void)wait_until(
        15s,
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

void candidate_applies_too_late(Play& play) {
  const Holder lock(play.candidate, kNoHandover);
  play.must_have_failed(play.end(play.begin_switchover()));
  play.old_master_must_be_active();
}

void candidate_freezes_in_catch_up(Play& play) {
  const Holder lock(play.candidate, kNoHandover);
  auto switchover = play.begin_switchover();
  play.must_see_phase("CATCH_UP");
  play.candidate.freeze();
  play.must_have_failed(play.end(std::move(switchover)));
  play.old_master_must_be_active();
  play.candidate.thaw();
}

void active_master_restarts(Play& play) {
  play.master.kill();
  play.restart(play.master);
  play.cluster().wait_until_healthy(play.master.name());
}

// Past the time after which it counts as lost.
void active_master_freezes(Play& play) {
  play.master.freeze();
  pass(6s);
  play.master.thaw();
  play.cluster().wait_until_healthy(play.master.name());
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

void root_writes_everywhere(Play& play) {
  Rogue at_master(play.master, 801);
  Rogue at_candidate(play.candidate, 802);
  for (int i = 0; i < 6; ++i) {
    const Node& target = i % 2 == 0 ? play.candidate : play.master;
    play.move_role(target, play.master);
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
  play.restart(play.candidate);
  play.cluster().wait_until_healthy(play.master.name());
  must(wait_until(kTrafficLimit, [&rogue] { return rogue.refused() > 0; }), "nothing was refused");
  std::vector<Write> writes = rogue.stop();
  must(!has_acknowledged(writes), "root wrote on a standby that was starting");
  play.add(std::move(writes));
}

Scenario kill_in(const std::string& phase, void (*script)(Play&)) {
  std::string name = "kill_in_" + phase;
  for (char& c : name) c = static_cast<char>(std::tolower(c));
  return {.name = name,
          .rows = "S17",
          .verifies = "kill -9 of the candidate in " + phase + ": the old active master goes on",
          .play = script};
}

}  // namespace

std::vector<Scenario> process_faults() {
  return {
      {.name = "root_writes_everywhere",
       .rows = "S07",
       .verifies = "root writes to both nodes past every proxy: only the active master takes it",
       .play = root_writes_everywhere},
      {.name = "standby_restarts_fenced",
       .rows = "S07, S42",
       .verifies = "root tries to write on a standby while it starts: it never can",
       .play = standby_restarts_fenced},
      {.name = "catch_up_timeout",
       .rows = "S11, S12",
       .verifies = "the candidate can't apply the handover: the old active master goes on",
       .play = candidate_applies_too_late},
      {.name = "candidate_freezes",
       .rows = "S12, S20",
       .verifies = "the candidate freezes in CATCH_UP: the old active master goes on",
       .play = candidate_freezes_in_catch_up},
      kill_in("CHECK", kill_candidate_in_check),
      kill_in("APPROACH", kill_candidate_in_approach),
      kill_in("PAUSE", kill_candidate_in_pause),
      kill_in("DRAIN", kill_candidate_in_drain),
      kill_in("FENCE", [](Play& play) { kill_candidate_in_short_phase(play, "FENCE"); }),
      kill_in("HANDOVER", [](Play& play) { kill_candidate_in_short_phase(play, "HANDOVER"); }),
      kill_in("CATCH_UP", kill_candidate_in_catch_up),
      {.name = "agent_freezes",
       .rows = "S31",
       .verifies = "the proxy's agent doesn't answer the pause: the old active master goes on",
       .play = agent_freezes},
      {.name = "agent_killed",
       .rows = "S32, S33",
       .verifies = "kill -9 of the proxy's agent: refused while its lease lasts",
       .play = agent_is_killed},
      {.name = "active_restarts",
       .rows = "S16, S41",
       .verifies = "kill -9 of the active master: restarted, it is active again",
       .play = active_master_restarts,
       .clients_may_see_it = true},
      {.name = "active_freezes",
       .rows = "S19, S53",
       .verifies =
           "the active master freezes until all take it for lost: it goes on when it wakes up",
       .play = active_master_freezes,
       .clients_may_see_it = true},
  };
}

}  // namespace active_master::lab
