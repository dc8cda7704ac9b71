#include "plugin/server/binlog.h"

#include <chrono>

#include "plugin/server/gtid.h"
#include "plugin/server/transaction_summary.h"

namespace active_master {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{20};
constexpr size_t kEventsAtOnce = 2000;

// Reads on from `position`, which it moves; false at the end of the file.
bool read_some(Session& session, const std::string& file, std::string& position,
               const auto& function) {
  const auto events = session.query("SHOW BINLOG EVENTS IN " + quoted(file) + " FROM " + position +
                                    " LIMIT " + std::to_string(kEventsAtOnce));
  for (const auto& event : events) {
    function(event.at("Event_type").value_or(""), event.at("Info").value_or(""));
    position = std::to_string(number(event.at("End_log_pos").value_or("")));
  }
  return events.size() == kEventsAtOnce;
}

// The first event after the file's description: what the files before it hold.
std::string gtid_list_of(Session& session, const std::string& file) {
  const auto events = session.query("SHOW BINLOG EVENTS IN " + quoted(file) + " LIMIT 3");
  for (const auto& event : events) {
    if (event.at("Event_type") == "Gtid_list") return event.at("Info").value_or("");
  }
  return {};
}

}  // namespace

std::string describe_transactions(Session& session, std::string_view gtids,
                                  const std::atomic<bool>& cancelled) {
  const auto give_up = steady_clock::now() + kPatience;
  const auto is_over = [&] { return cancelled || steady_clock::now() >= give_up; };
  TransactionSummary summary(gtids);
  std::vector<std::string> files;  // that may hold them
  auto all = session.query("SHOW BINARY LOGS");
  for (auto file = all.rbegin(); file != all.rend() && !is_over(); ++file) {
    files.push_back(file->at("Log_name").value_or(""));
    if (!summary.begins_before(gtid_list_of(session, files.back()))) break;
  }
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    std::string position = "4";
    while (!is_over() &&
           read_some(session, *file, position,
                     [&](const auto& type, const auto& info) { summary.add(type, info); })) {
    }
  }
  return summary.text() + (is_over() ? ", as far as was read" : "");
}

}  // namespace active_master
