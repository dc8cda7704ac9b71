// ProxySQL's servers: as its admin tables show them, and as they shall be.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/agent/driver.h"
#include "client/cli/sql_client.h"

namespace active_master::agent {

constexpr std::string_view kHeldMark = " (held by active_master)";  // in the column `comment`

// One row of mysql_servers.
struct ProxysqlServer {
  int hostgroup = 0;
  Address address;
  std::string status;
  std::map<std::string, std::string> settings;  // the other columns: weight, comment, ...

  bool operator==(const ProxysqlServer&) const = default;
};

struct Hostgroups {
  int writer = 0;
  std::optional<int> reader;
  bool writer_also_reads = false;
};

// What the hostgroups shall hold, given what they hold. `stays` are servers of the writer hostgroup
// that can't be taken out yet.
[[nodiscard]] std::vector<ProxysqlServer> plan_servers(const std::vector<ProxysqlServer>& now,
                                                       const Target& target,
                                                       const Hostgroups& hostgroups,
                                                       const std::vector<Address>& stays);

// Rows of runtime_mysql_servers; nothing if they make no sense.
[[nodiscard]] std::optional<std::vector<ProxysqlServer>> parse_servers(const sql::ResultSet& set);

// Whether it takes traffic, as far as people want.
[[nodiscard]] bool serves(const ProxysqlServer& server);
[[nodiscard]] bool is_at(const ProxysqlServer& server, const Address& address);

// SHUNNED is ProxySQL's own verdict on a server that we want ONLINE.
[[nodiscard]] bool is_as_planned(std::vector<ProxysqlServer> now,
                                 std::vector<ProxysqlServer> planned);

[[nodiscard]] std::string insert_statement(const ProxysqlServer& server);
[[nodiscard]] std::string literal(std::string_view text);

}  // namespace active_master::agent
