// Every phase of a switchover by every fault: at the fault points of the plugin and the agent, and
// processes that are killed or frozen while a point holds a phase. A table, not a script each.
#include <signal.h>

#include <utility>

#include "client/lab/faults.h"
#include "client/lab/play.h"

namespace active_master::lab {
namespace {

constexpr auto kMeetLimit = 15s;
constexpr auto kLost = 1s;                 // so long messages are lost, or a job fails
constexpr auto kPause = 5s;                // beyond pause and catch-up together
constexpr auto kFrozen = 1500ms;           // well within the limits of a phase
constexpr const char* kLate = "late:300";  // too

enum class Who { kDirector, kCandidate, kThird, kAgent };

const char* to_string(Who who) {
  constexpr const char* kNames[] = {"director", "candidate", "third", "agent"};
  return kNames[static_cast<size_t>(who)];
}

Node& node_of(Play& play, Who who) {
  if (who == Who::kThird) return play.third();
  return who == Who::kDirector ? play.master : play.candidate;
}

// Points of a node that are armed as long as this lives, unless the node dies of them.
class Armed {
 public:
  Armed(Node& node, const std::string& points) : node_(node) { set(points); }
  ~Armed() {
    try {
      disarm();
    } catch (const sql::Error&) {  // it died after we looked
    }
  }

  void disarm() {
    if (std::exchange(armed_, false) && node_.answers()) set("");
  }
  // True, too, once the node has died of it.
  [[nodiscard]] bool met() {
    try {
      return !node_.running() || node_.connect().value(
                                     "SELECT VARIABLE_VALUE FROM INFORMATION_SCHEMA.GLOBAL_STATUS "
                                     "WHERE VARIABLE_NAME = 'Active_master_faults'") != "0";
    } catch (const sql::Error&) {
      return false;  // just dying
    }
  }

 private:
  void set(const std::string& points) {
    node_.connect().execute("SET GLOBAL active_master_fault = '" + points + "'");
  }

  Node& node_;
  bool armed_ = true;
};

bool is_over(const std::future<SwitchoverResult>& switchover) {
  return switchover.wait_for(0s) == std::future_status::ready;
}

// The fault at one point of one node, during one switchover.
void meet(Play& play, Who who, const std::string& point, const std::string& kind) {
  Node& node = node_of(play, who);
  Armed armed(node, point + ":" + kind);
  // Only who is not the active master sends the request on.
  const bool passed_on = point.ends_with("switch_request");
  auto switchover = play.begin_switchover(passed_on ? play.candidate : play.master);
  must(wait_until(kMeetLimit, [&] { return armed.met(); }), "the point is never met");
  if (kind == "crash") {
    must(wait_until(kMeetLimit, [&node] { return !node.running(); }), "it doesn't die");
    play.restart(node);
  } else if (kind == "pause") {
    (void)wait_until(kPause, [&] { return is_over(switchover); });
  } else if (kind == "error") {
    (void)wait_until(kLost, [&] { return is_over(switchover); });
  }
  if (kind != kLate) armed.disarm();
  const SwitchoverResult result = play.end(std::move(switchover));
  if (kind == kLate) must(result.summary.done, "being late undid it: " + result.summary.text);
}

// The proxy's agent, with its points armed from its start on. It is replaced at the end.
void meet_at_agent(Play& play, const std::string& point, const std::string& kind) {
  play.cluster().agent().kill();
  play.cluster().start_agent(point + ":" + kind);
  // It holds, then opens when it starts: what it does not survive keeps it from connecting.
  if (kind == kLate) play.cluster().wait_until_healthy(play.master.name());
  const SwitchoverResult result = play.end(play.begin_switchover());
  if (kind == "crash") {
    must(wait_until(kMeetLimit, [&] { return !play.cluster().agent().running(); }),
         "the point is never met");
  }
  if (kind == kLate) must(result.summary.done, "being late undid it: " + result.summary.text);
  play.cluster().agent().kill();
  play.cluster().start_agent();
}

// A process is killed or frozen while a point holds a phase.
struct Held {
  const char* name;
  Who holder;
  const char* point;
};

constexpr Held kPhases[] = {
    {"check", Who::kDirector, "check"},           {"approach", Who::kCandidate, "probe"},
    {"intent", Who::kDirector, "persist_intent"}, {"drain", Who::kDirector, "drain"},
    {"fence", Who::kDirector, "fence"},           {"handover", Who::kDirector, "handover"},
    {"catch_up", Who::kCandidate, "catch_up"},    {"grant", Who::kDirector, "persist_grant"},
    {"granted", Who::kCandidate, "hear_grant"},   {"activate", Who::kCandidate, "persist_active"},
    {"open", Who::kCandidate, "open_writes"},     {"resume", Who::kDirector, "follow"},
};

void strike(Play& play, const Held& phase, Who who, bool kill) {
  Armed armed(node_of(play, phase.holder), std::string(phase.point) + ":pause");
  auto switchover = play.begin_switchover();
  must(wait_until(kMeetLimit, [&] { return armed.met(); }), "the phase is never held");
  const auto sleep = [](std::chrono::milliseconds time) { pass(time); };
  if (who == Who::kAgent) {
    Process& agent = play.cluster().agent();
    kill ? agent.kill() : agent.signal(SIGSTOP);
    armed.disarm();
    if (!kill) sleep(kFrozen);
    kill ? play.cluster().start_agent() : agent.signal(SIGCONT);
  } else {
    Node& node = node_of(play, who);
    kill ? node.kill() : node.freeze();
    if (who != phase.holder) armed.disarm();
    if (!kill) sleep(kFrozen);
    kill ? play.restart(node) : node.thaw();
    armed.disarm();
  }
  (void)play.end(std::move(switchover));
}

struct Points {
  Who who;
  bool jobs;  // they have a point after them, too
  std::vector<const char*> names;
};

const std::vector<Points>& points() {
  static const std::vector<Points> all = {
      {Who::kDirector,
       true,
       {"check", "await_transactions", "read_position", "persist_intent", "drain", "fence",
        "handover", "persist_grant", "stand_down", "read_gtids", "follow"}},
      {Who::kCandidate,
       true,
       {"check_candidate", "probe", "catch_up", "persist_active", "open_writes", "record",
        "compare_gtids"}},
      {Who::kThird, true, {"read_gtids", "follow", "persist_standby"}},
      {Who::kDirector,
       false,
       {"send_node_state", "send_check_request", "send_probe", "send_offer", "send_grant",
        "send_report", "send_follow_request", "hear_node_state", "hear_check_reply",
        "hear_probe_reply", "hear_grant_request", "hear_follow_reply", "hear_switch_request"}},
      {Who::kCandidate,
       false,
       {"send_node_state", "send_switch_request", "send_check_reply", "send_probe_reply",
        "send_grant_request", "send_follow_reply", "hear_node_state", "hear_check_request",
        "hear_probe", "hear_offer", "hear_grant", "hear_report", "hear_follow_request"}},
      {Who::kThird,
       false,
       {"send_node_state", "send_follow_request", "hear_node_state", "hear_report",
        "hear_follow_reply"}},
  };
  return all;
}

// The rows of the table that a fault there belongs to.
std::string rows_of(Who who, const std::string& kind) {
  const bool dies = kind == "crash" || kind == "kill";
  switch (who) {
    case Who::kDirector:
      return dies ? "S16, S21" : kind == "error" ? "S26, S27" : "S19, S22";
    case Who::kCandidate:
      return dies ? "S17" : kind == "error" ? "S27, S29" : "S12, S20";
    case Who::kThird:
      return dies ? "S18" : "S49";
    case Who::kAgent:
      return dies ? "S32, S33" : "S31";
  }
  return "";
}

std::string in_words(const std::string& kind, bool is_message) {
  if (kind == "pause") return "it stays there for longer than every phase may last";
  if (kind == "crash") return "it dies there, as by kill -9";
  if (kind == kLate) return "it goes on 300 ms later, which undoes nothing";
  return is_message ? "for a second every such message is lost" : "for a second it fails";
}

Scenario at_point(Who who, const std::string& point, const std::string& kind) {
  const bool is_message = point.starts_with("send_") || point.starts_with("hear_");
  const bool is_done = point.ends_with("_done");
  const bool decides = point == "send_grant" || point == "hear_grant" || point == "send_offer" ||
                       point == "hear_grant_request" || point == "hear_node_state";
  const std::string short_kind = kind.substr(0, kind.find(':'));
  return {
      .name = std::string("at_") + to_string(who) + "_" + point + "_" + short_kind,
      .rows = rows_of(who, kind) + (kind == kLate ? ", S39, S48" : ""),
      .verifies =
          std::string("the ") + to_string(who) + " at " + point + ": " + in_words(kind, is_message),
      .play = [who, point, kind](Play& play) { meet(play, who, point, kind); },
      .setting = who == Who::kThird ? Setting::kPointsStar : Setting::kPoints,
      .is_representative = !is_done && who != Who::kThird &&
                           (is_message ? decides && kind == "error" : kind == "crash"),
      .clients_may_see_it = kind == "crash",
  };
}

Scenario at_agent(const std::string& point, const std::string& kind) {
  return {
      .name = "at_agent_" + point + "_" + kind.substr(0, kind.find(':')),
      .rows = rows_of(Who::kAgent, kind),
      .verifies = "the proxy's agent at " + point + ": " + in_words(kind, false),
      .play = [point, kind](Play& play) { meet_at_agent(play, point, kind); },
      .setting = Setting::kPoints,
      .is_representative = kind == "crash",
      // An agent that starts in the middle of a hold may have to close sessions.
      .clients_may_see_it = kind != kLate,
  };
}

Scenario in_phase(const Held& phase, Who who, bool kill) {
  const std::string kind = kill ? "kill" : "freeze";
  return {
      .name = std::string("in_") + phase.name + "_" + kind + "_" + to_string(who),
      .rows = rows_of(who, kind),
      .verifies = std::string(kill ? "kill -9 of" : "SIGSTOP for 1.5 s to") + " the " +
                  to_string(who) + " at " + phase.point,
      .play = [phase, who, kill](Play& play) { strike(play, phase, who, kill); },
      .setting = who == Who::kThird ? Setting::kPointsStar : Setting::kPoints,
      .is_representative = !kill && (who == Who::kDirector || who == Who::kCandidate),
      .clients_may_see_it = kill,
  };
}

}  // namespace

std::vector<Scenario> at_fault_points() {
  const std::vector<std::string> kinds = {"pause", "crash", "error", kLate};
  std::vector<Scenario> all;
  for (const Points& group : points()) {
    for (const char* name : group.names) {
      for (const std::string& kind : kinds) {
        const std::string point = name;
        // Hearing late is sending late.
        if (kind == kLate && point.starts_with("hear_")) continue;
        all.push_back(at_point(group.who, point, kind));
        if (group.jobs) all.push_back(at_point(group.who, point + "_done", kind));
      }
    }
  }
  for (const char* point : {"hold", "hold_done", "open", "open_done"}) {
    for (const std::string& kind : kinds) all.push_back(at_agent(point, kind));
  }
  for (const Held& phase : kPhases) {
    for (const Who who : {Who::kDirector, Who::kCandidate, Who::kThird, Who::kAgent}) {
      for (const bool kill : {true, false}) all.push_back(in_phase(phase, who, kill));
    }
  }
  return all;
}

}  // namespace active_master::lab
