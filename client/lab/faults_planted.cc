// The product is wrong on purpose, at its fault points: the checker must find it.
#include "client/lab/faults.h"
#include "client/lab/play.h"

namespace active_master::lab {
namespace {

void arm(const Node& node, const std::string& points) {
  node.connect().execute("SET GLOBAL active_master_fault = '" + points + "'");
}

// Two that write past every proxy, to see who lets them.
void switch_over_under_rogues(Play& play) {
  Rogue at_master(play.master, 801);
  Rogue at_candidate(play.candidate, 802);
  (void)play.end(play.begin_switchover());
  pass(3s);
  play.add(at_master.stop());
  play.add(at_candidate.stop());
}

// The candidate takes the offer for the grant, and both are deaf to what the other then says.
void grant_is_skipped(Play& play) {
  arm(play.master, "hear_grant_request:error,hear_node_state:error");
  arm(play.candidate, "hear_offer:lie,hear_node_state:error");
  switch_over_under_rogues(play);
}

void fence_stays_open(Play& play) {
  arm(play.master, "drain:skip,fence:skip,stand_down:skip");
  switch_over_under_rogues(play);
}

// Alone it does no harm: the server's own gate and fence stand behind the proxies. So they are
// open.
void agent_resumes_early(Play& play) {
  play.cluster().agent().kill();
  play.cluster().start_agent("hold_done:lie");
  play.cluster().wait_until_healthy(play.master.name());
  arm(play.master, "drain:skip,fence:skip,stand_down:skip");
  (void)play.end(play.begin_switchover());
}

}  // namespace

std::vector<Scenario> planted_faults() {
  return {
      {.name = "planted_grant_skipped",
       .rows = "",
       .verifies = "a candidate that doesn't wait for the grant is found",
       .play = grant_is_skipped,
       .setting = Setting::kPoints,
       .must_find = "while another one was active"},
      {.name = "planted_open_fence",
       .rows = "",
       .verifies = "an active master that takes writes after its handover is found",
       .play = fence_stays_open,
       .setting = Setting::kPoints,
       .must_find = "while another one was active"},
      {.name = "planted_early_agent",
       .rows = "S35",
       .verifies =
           "an agent that says that it holds, and goes on, to a server without a fence is found",
       .play = agent_resumes_early,
       .setting = Setting::kPoints,
       .must_find = "writes are on some nodes only"},
  };
}

}  // namespace active_master::lab
