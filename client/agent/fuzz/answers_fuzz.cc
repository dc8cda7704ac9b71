// Any text as what a proxy answers: something comes out, or nothing, or the error that the drivers
// expect. The first byte chooses the proxy. A parser for another proxy's answers belongs here.
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>

#include "client/agent/haproxy_answers.h"
#include "client/agent/maxscale_answers.h"
#include "client/agent/proxysql_servers.h"
#include "client/agent/server_address.h"

using namespace active_master;
using namespace active_master::agent;

// In place of the name service.
bool active_master::agent::is_same_server(const Address& a, const Address& b) {
  return a == b;
}

namespace {

constexpr uint16_t kPort = 3306;

void haproxy(std::string_view text) {
  for (const auto& row : parse_servers_state(text)) (void)value(row, "srv_name");
  for (const auto& row : parse_stat(text)) (void)number(value(row, "slim"));
  (void)parse_duration(text);
  (void)parse_queued_for(text, {"127.0.0.1", kPort});
  for (const auto& id : parse_sessions_elsewhere(text, "be", "s", {{"127.0.0.1", kPort}})) {
    if (!id.starts_with("0x")) std::abort();
  }
}

// Rows as lines, columns separated by tabs; the first line names the columns.
sql::ResultSet to_result_set(std::string_view text) {
  sql::ResultSet set;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    sql::Row row;
    std::istringstream words(line);
    for (std::string word; std::getline(words, word, '\t');) {
      row.push_back(word == "NULL" ? sql::Value() : sql::Value(word));
    }
    if (set.columns.empty()) {
      for (const auto& name : row) set.columns.push_back({name.value_or(""), false});
    } else {
      set.rows.push_back(row);
    }
  }
  return set;
}

// Whatever runs: the plan makes the active master the one writer that serves, and is stable.
void proxysql(std::string_view text) {
  const auto servers = parse_servers(to_result_set(text));
  if (!servers) return;
  const Address active{"a", kPort};
  const Target target{2, {"active", active}, {{"standby", {"b", kPort}}}};
  for (const bool also_reads : {false, true}) {
    const Hostgroups hostgroups{1, 2, also_reads};
    std::vector<ProxysqlServer> mine;
    for (const auto& server : *servers) {
      if (server.hostgroup == 1 || server.hostgroup == 2) mine.push_back(server);
    }
    const auto plan = plan_servers(mine, target, hostgroups, {{"b", kPort}});
    int writers = 0;
    for (const auto& server : plan) {
      (void)insert_statement(server);
      if (server.hostgroup != 1 || !serves(server)) continue;
      if (server.address != active) std::abort();
      ++writers;
    }
    if (writers != 1) std::abort();
  }
}

void maxscale(std::string_view text) {
  (void)error_text(std::string(text));
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded()) return;
  try {
    (void)rival_in(json.at("monitor"));
    (void)parse_seen(json.at("monitor"), json.at("servers"), json.at("listeners"), {"writes"});
  } catch (const nlohmann::json::exception&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0]) {
    case 'H':
      haproxy(text);
      return 0;
    case 'P':
      proxysql(text);
      return 0;
    case 'M':
      maxscale(text);
      return 0;
    default:
      return -1;  // not worth a place in the corpus
  }
}
