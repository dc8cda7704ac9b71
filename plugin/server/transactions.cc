#include "plugin/server/transactions.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "plugin/server/gtid.h"
#include "plugin/server/log.h"

namespace active_master {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kGlance{20};
constexpr size_t kMaxDescribed = 5;

std::string seconds(std::chrono::microseconds age) {
  const auto tenths = age.count() / 100'000;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
}

std::string id_list(const std::vector<SessionInside>& inside) {
  std::string ids;
  for (const auto& session : inside) {
    ids += (ids.empty() ? "" : ", ") + std::to_string(session.thread_id);
  }
  return ids;
}

}  // namespace

std::string describe(Session& session, const std::vector<SessionInside>& inside) {
  if (inside.empty()) return {};
  const std::vector<SessionInside> shown(inside.begin(),
                                         inside.begin() + std::min(inside.size(), kMaxDescribed));
  std::map<std::string, Row, std::less<>> by_id;
  for (auto& row : session.query(
           "SELECT ID, CONCAT(USER, '@', HOST) AS account, LEFT(IFNULL(INFO, ''), 40) AS info"
           " FROM information_schema.PROCESSLIST WHERE ID IN (" +
           id_list(shown) + ")")) {
    by_id[row.at("ID").value_or("")] = std::move(row);
  }
  std::string text;
  for (const auto& one : shown) {
    const auto id = std::to_string(one.thread_id);
    const auto found = by_id.find(id);
    if (found == by_id.end()) continue;  // it has ended
    const auto info = found->second.at("info").value_or("");
    text += (text.empty() ? "" : "; ") + ("thread " + id) + " of " +
            found->second.at("account").value_or("") + " for " + seconds(one.age) + ", " +
            (one.is_idle || info.empty() ? "idle in a transaction or with locks" : "runs " + info);
  }
  if (inside.size() > shown.size())
    text += " and " + std::to_string(inside.size() - shown.size()) + " more";
  return text;
}

std::string prepared_transactions(Session& session) {
  std::string text;
  for (const auto& row : session.query("XA RECOVER FORMAT = 'SQL'")) {
    text += (text.empty() ? "" : ", ") + row.at("data").value_or("");
  }
  return text;
}

void await_transactions(Session& session, const AwaitTransactionsJob& job,
                        const std::atomic<bool>& cancelled) {
  const auto since = steady_clock::now();
  const auto limit = [&](const SessionInside& inside) {
    return inside.is_idle ? job.idle_limit : job.active_limit;
  };
  while (true) {
    if (cancelled) throw std::runtime_error("cancelled");
    auto left = sessions_inside(kLongTransaction);
    std::erase_if(left, [&](const SessionInside& one) { return limit(one) == Duration{0}; });
    if (left.empty()) return;
    const auto waited = steady_clock::now() - since;
    std::erase_if(left, [&](const SessionInside& one) { return waited < limit(one); });
    if (!left.empty()) {
      const auto who = describe(session, left);
      // Empty: they have ended meanwhile.
      if (!who.empty() && !job.kill)
        throw std::runtime_error("transactions that don't end: " + who);
      if (!who.empty()) log_line({LogLine::Level::kWarning, "killed for the switchover: " + who});
      kill(session, left);
    }
    std::this_thread::sleep_for(kGlance);
  }
}

void kill_clients(Session& session) {
  const auto inside = sessions_inside(Duration{0});
  if (inside.empty()) return;
  std::vector<SessionInside> clients;
  // One session waits for the acknowledgements of all that commit with it. When it is killed the
  // others go on, and would tell their clients.
  for (const auto& row : session.query(
           "SELECT ID FROM information_schema.PROCESSLIST WHERE USER <> 'system user' AND ID IN (" +
           id_list(inside) + ") ORDER BY STATE LIKE 'Waiting for semi-sync ACK%'"))
    clients.push_back({number(row.at("ID").value_or("0")), {}, false});
  kill(session, clients);
}

void kill(Session& session, const std::vector<SessionInside>& inside) {
  for (const auto& one : inside) {
    try {
      session.query("KILL CONNECTION " + std::to_string(one.thread_id));
    } catch (const SqlError&) {
      // it is gone
    }
  }
}

}  // namespace active_master
