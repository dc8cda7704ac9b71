#include "plugin/server/events.h"

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

std::vector<Row> events(Session& session, const std::string& status) {
  return session.query(
      "SELECT EVENT_SCHEMA, EVENT_NAME, DEFINER, CHARACTER_SET_CLIENT, COLLATION_CONNECTION"
      " FROM information_schema.EVENTS WHERE STATUS = '" +
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

void disable_events(Session& session) {
  for (const auto& event : events(session, "ENABLED")) alter(session, event, "DISABLE ON SLAVE");
}

}  // namespace active_master
