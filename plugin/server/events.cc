#include "plugin/server/events.h"

#include <stdexcept>
#include <thread>

#include "plugin/server/log.h"

namespace active_master {
namespace {

std::string identifier(const std::string& name) {
  std::string text = "`";
  for (const char c : name) {
    if (c == '`') text += '`';
    text += c;
  }
  return text + "`";
}

// "user@host"; the host has no '@', the user may.
std::string account(const std::string& definer) {
  const auto at = definer.rfind('@');
  return identifier(definer.substr(0, at)) + "@" + identifier(definer.substr(at + 1));
}

std::string name_of(const Row& event) {
  return identifier(event.at("EVENT_SCHEMA").value_or("")) + "." +
         identifier(event.at("EVENT_NAME").value_or(""));
}

// Not from information_schema.EVENTS, which parses each event and takes a third of the time that
// writes pause for the handover row.
std::vector<Row> events(Session& session, const std::string& status) {
  return session.query(
      "SELECT db AS EVENT_SCHEMA, name AS EVENT_NAME, definer AS DEFINER,"
      " character_set_client AS CHARACTER_SET_CLIENT,"
      " collation_connection AS COLLATION_CONNECTION"
      " FROM mysql.event WHERE status = '" +
      status + "'");
}

void alter(Session& session, const Row& event, const std::string& action) {
  const auto value = [&](const char* column) { return event.at(column).value_or(""); };
  try {
    // ALTER EVENT makes the session the event's: its account, character set and collation.
    session.query("SET SESSION sql_log_bin = 0, character_set_client = " +
                  quoted(value("CHARACTER_SET_CLIENT")) +
                  ", collation_connection = " + quoted(value("COLLATION_CONNECTION")));
    session.query("ALTER DEFINER = " + account(value("DEFINER")) + " EVENT " + name_of(event) +
                  " " + action);
  } catch (const SqlError& error) {
    log_line({LogLine::Level::kWarning, "event=" + name_of(event) + " action=\"" + action +
                                            "\" error=\"" + error.what() + "\""});
  }
}

}  // namespace

std::string enabled_events(Session& session) {
  std::string names;
  for (const auto& event : events(session, "ENABLED")) names += name_of(event) + "\n";
  return names;
}

void enable_events(Session& session) {
  const auto names = "\n" + session.value(
                                "SELECT enabled_events FROM active_master.event"
                                " WHERE enabled_events IS NOT NULL ORDER BY epoch DESC LIMIT 1");
  for (const auto& event : events(session, "SLAVESIDE_DISABLED")) {
    if (names.find("\n" + name_of(event) + "\n") != std::string::npos)
      alter(session, event, "ENABLE");
  }
}

void await_running_events(Session& session, std::chrono::steady_clock::time_point deadline) {
  using std::chrono::steady_clock;
  constexpr std::chrono::milliseconds kMoment{100};
  constexpr std::chrono::milliseconds kGlance{1};
  if (session.value("SELECT @@event_scheduler") != "ON") return;
  const auto since = steady_clock::now();
  while (true) {
    // The threads that run events have their definer's name, and no other thread this command.
    const auto running = session.query(
        "SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND = 'Connect'"
        " AND USER NOT IN ('system user', 'unauthenticated user', 'event_scheduler')");
    if (running.empty()) return;
    const auto now = steady_clock::now();
    if (now >= deadline) throw std::runtime_error("an event of the event scheduler does not end");
    if (now - since >= kMoment) {
      for (const auto& event : running) {
        try {
          session.query("KILL " + event.at("ID").value_or("0"));
        } catch (const SqlError&) {
          // it has ended
        }
      }
    }
    std::this_thread::sleep_for(kGlance);
  }
}

void disable_events(Session& session) {
  for (const auto& event : events(session, "ENABLED")) alter(session, event, "DISABLE ON SLAVE");
}

}  // namespace active_master
