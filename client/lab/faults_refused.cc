// Switchovers that are refused, cancelled or given up before anything was changed.
#include "client/lab/faults.h"
#include "client/lab/play.h"

namespace active_master::lab {
namespace {

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
  play.restart(play.candidate);
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

}  // namespace

std::vector<Scenario> refusals() {
  return {
      {.name = "wrong_target",
       .rows = "",
       .verifies = "a node that isn't known, or is active already, is refused",
       .play = wrong_targets},
      {.name = "second_switchover",
       .rows = "S23, S24",
       .verifies =
           "a second switchover while one runs is refused, on either node; the first succeeds",
       .play = second_switchover},
      {.name = "cancel",
       .rows = "S25",
       .verifies = "KILL QUERY in APPROACH cancels; traffic never stopped",
       .play = cancelled},
      {.name = "sql_thread_stopped",
       .rows = "S11",
       .verifies = "the candidate's SQL thread is stopped: refused",
       .play = sql_thread_stopped},
      {.name = "io_thread_stopped",
       .rows = "S10",
       .verifies = "the candidate's I/O thread is stopped: refused",
       .play = io_thread_stopped},
      {.name = "peer_down",
       .rows = "S17",
       .verifies = "the candidate is down: refused",
       .play = peer_down},
      {.name = "transaction_does_not_end",
       .rows = "S02",
       .verifies = "a transaction outlasts the pause: the old active master goes on",
       .play = transaction_does_not_end},
  };
}

}  // namespace active_master::lab
