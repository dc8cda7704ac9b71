#include "client/agent/proxysql.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "client/agent/statement.h"

namespace active_master::agent {
namespace {

constexpr std::string_view kStatementComment = "SET ACTIVE MASTER, by active-master-agent";
// In stats_mysql_processlist; what waits for a server is 'Connect', what is idle 'Sleep'.
constexpr std::string_view kRunning = "('Query', 'Execute', 'Prepare')";

}  // namespace

// --- The admin interface ---

void Proxysql::fail(const std::string& what) const {
  throw Failure("ProxySQL at " + options_.admin.to_string() + ": " + what);
}

std::vector<sql::ResultSet> Proxysql::query(const std::string& statement) {
  try {
    if (!connection_) {
      sql::Options options;
      options.host = options_.admin.host;
      options.port = options_.admin.port;
      options.user = options_.account.user;
      options.password = options_.account.password;
      options.connect_timeout = options_.command_timeout;
      options.read_timeout = options_.command_timeout;
      connection_.emplace(options);
    }
    return connection_->query(statement);
  } catch (const sql::Error& error) {
    const bool is_connecting = error.stage() == sql::Error::Stage::kConnect;
    if (is_connecting || error.connection_lost()) connection_.reset();
    fail(std::string(error.what()) +
         (is_connecting ? ": is it running, is this its admin port, and are user and password those"
                          " of admin-admin_credentials?"
                        : " (in " + statement.substr(0, 60) + "...)"));
  }
}

std::string Proxysql::value(const std::string& statement) {
  const auto sets = query(statement);
  if (sets.empty() || sets[0].rows.empty()) return "";
  return sets[0].rows[0].at(0).value_or("");
}

std::string Proxysql::both() const {
  return "(" + writer() +
         (options_.reader_hostgroup ? ", " + std::to_string(*options_.reader_hostgroup) : "") + ")";
}

// OFFLINE_HARD is how ProxySQL remembers what was taken out.
std::vector<ProxysqlServer> Proxysql::read_servers() {
  const auto sets = query("SELECT * FROM runtime_mysql_servers WHERE hostgroup_id IN " + both() +
                          " AND status <> 'OFFLINE_HARD'");
  auto servers = parse_servers(sets.empty() ? sql::ResultSet{} : sets[0]);
  if (!servers) fail("runtime_mysql_servers holds what makes no sense: is this its admin port?");
  return *std::move(servers);
}

Hostgroups Proxysql::read_hostgroups() {
  Hostgroups hostgroups{options_.writer_hostgroup, options_.reader_hostgroup, false};
  const auto sets = query(
      "SELECT writer_hostgroup, reader_hostgroup FROM runtime_mysql_replication_hostgroups"
      " WHERE writer_hostgroup IN " +
      both() + " OR reader_hostgroup IN " + both());
  if (sets.empty() || sets[0].rows.empty()) return hostgroups;
  // Its monitor moves servers between these two by read_only, which agrees with what we do as long
  // as we mean the same two.
  const auto& row = sets[0].rows[0];
  const std::string reader =
      options_.reader_hostgroup ? std::to_string(*options_.reader_hostgroup) : "none";
  if (sets[0].rows.size() > 1 || row[0] != writer() || row[1] != reader) {
    fail("mysql_replication_hostgroups has writer " + row[0].value_or("") + " and reader " +
         row[1].value_or("") + ", but the agent " + writer() + " and " + reader +
         ": correct --proxysql-writer and --proxysql-reader, or that table");
  }
  hostgroups.writer_also_reads =
      value(
          "SELECT variable_value FROM runtime_global_variables WHERE variable_name ="
          " 'mysql-monitor_writer_is_also_reader'") == "true";
  return hostgroups;
}

// LOAD takes the whole admin table, so that is made equal to what runs before it is changed.
void Proxysql::hold_servers(const std::string& which) {
  execute("SAVE MYSQL SERVERS TO MEMORY");
  execute("UPDATE mysql_servers SET status = 'OFFLINE_SOFT', comment = comment || " +
          literal(kHeldMark) + " WHERE hostgroup_id = " + writer() +
          " AND status IN ('ONLINE', 'SHUNNED')" + which);
  execute("LOAD MYSQL SERVERS TO RUNTIME");
}

void Proxysql::write(const std::vector<ProxysqlServer>& servers) {
  execute("SAVE MYSQL SERVERS TO MEMORY");
  execute("DELETE FROM mysql_servers WHERE hostgroup_id IN " + both());
  for (const auto& server : servers) execute(insert_statement(server));
  execute("LOAD MYSQL SERVERS TO RUNTIME");
}

std::vector<Address> Proxysql::writers(const std::vector<ProxysqlServer>& servers) const {
  std::vector<Address> all;
  for (const auto& server : servers) {
    if (server.hostgroup == options_.writer_hostgroup) all.push_back(server.address);
  }
  return all;
}

// Such as the CALL of ours that came through ProxySQL: if its server were taken out, ProxySQL would
// give it again to the new active master.
std::vector<Address> Proxysql::busy_writers() {
  const auto sets =
      query("SELECT DISTINCT srv_host, srv_port FROM stats_mysql_processlist WHERE hostgroup = " +
            writer() + " AND command IN " + std::string(kRunning));
  std::vector<Address> servers;
  if (sets.empty()) return servers;
  for (const auto& row : sets[0].rows) {
    if (row.at(0) && row.at(1)) {
      servers.push_back(
          {*row[0], static_cast<uint16_t>(std::strtoul(row[1]->c_str(), nullptr, 10))});
    }
  }
  return servers;
}

// --- The driver ---

void Proxysql::hold(const client::Hold&) {
  const auto is_serving = [&] {
    return std::ranges::any_of(read_servers(), [&](const auto& server) {
      return server.hostgroup == options_.writer_hostgroup && serves(server);
    });
  };
  // As open() left it, it serves; to look costs a held client 2 ms.
  if (!std::exchange(is_open_, false) && !is_serving()) return;
  hold_servers("");
  if (is_serving()) {
    fail("hostgroup " + writer() +
         " still serves after LOAD MYSQL SERVERS TO RUNTIME: does"
         " another program or a ProxySQL cluster write mysql_servers?");
  }
}

void Proxysql::open(const Target& target) {
  is_open_ = has_more_ = false;
  if (!hostgroups_) hostgroups_ = read_hostgroups();
  auto now = read_servers();
  const auto serves_writes = [&](const ProxysqlServer& server) {
    return server.hostgroup == options_.writer_hostgroup && serves(server);
  };
  const auto is_active = [&](const auto& server) { return is_at(server, target.active.address); };
  if (std::ranges::any_of(
          now, [&](const auto& server) { return serves_writes(server) && !is_active(server); })) {
    // Not paused before: a failover, or a message that was lost.
    hold_servers(" AND NOT (hostname = " + literal(target.active.address.host) +
                 " AND port = " + std::to_string(target.active.address.port) + ")");
    now = read_servers();
  }
  const bool runs = std::ranges::any_of(
      now, [&](const auto& server) { return serves_writes(server) && is_active(server); });
  const auto plan = plan_servers(now, target, *hostgroups_, runs ? busy_writers() : writers(now));
  if (!is_as_planned(now, plan)) {
    write(plan);
    if (!is_as_planned(read_servers(), plan)) {
      fail("hostgroups " + both() +
           " aren't as they were written after LOAD MYSQL SERVERS TO"
           " RUNTIME: does another program or a ProxySQL cluster write mysql_servers?");
    }
    is_saved_ = false;
  }
  is_open_ = true;
  has_more_ = !runs;
  note_strangers(plan, target);
  if (has_more_) return;
  hostgroups_ = read_hostgroups();
  if (!is_saved_) execute("SAVE MYSQL SERVERS TO DISK");  // for its next start
  is_saved_ = true;
  if (options_.install_statement && !is_statement_installed_) install_statement();
}

// A writer that no node claims may be a mistake in either configuration.
void Proxysql::note_strangers(const std::vector<ProxysqlServer>& servers, const Target& target) {
  warning_.clear();
  for (const auto& server : servers) {
    if (server.hostgroup != options_.writer_hostgroup || serves(server)) continue;
    const auto is_here = [&](const auto& node) { return is_at(server, node.address); };
    if (std::ranges::any_of(target.standbys, is_here)) continue;
    warning_ += (warning_.empty() ? "ProxySQL at " + options_.admin.to_string() + ": " : "; ") +
                "server " + server.address.to_string() + " in hostgroup " + writer() +
                " is no node of the cluster that was heard, and gets no writes: remove it there, or"
                " correct active_master_sql_address of its node";
  }
}

std::vector<std::string> Proxysql::check() {
  std::vector<std::string> advice;
  (void)read_hostgroups();
  if (read_servers().empty()) {
    advice.push_back("hostgroup " + writer() +
                     " has no server: the agent adds the active master with default settings");
  }
  std::map<std::string, int64_t> variables;
  const auto sets = query(
      "SELECT variable_name, variable_value FROM runtime_global_variables WHERE variable_name IN ("
      "'mysql-connect_timeout_server_max', 'mysql-auto_increment_delay_multiplex',"
      " 'mysql-query_retries_on_failure', 'admin-cluster_mysql_servers_diffs_before_sync')");
  if (!sets.empty()) {
    for (const auto& row : sets[0].rows) {
      variables[row.at(0).value_or("")] = std::atoll(row.at(1).value_or("").c_str());
    }
  }
  const auto is = [&](const char* name, auto wrong) {
    const auto found = variables.find(name);
    return found != variables.end() && wrong(found->second);
  };
  const int64_t pause_ms = std::chrono::milliseconds(options_.pause).count();
  if (is("mysql-connect_timeout_server_max", [&](int64_t ms) { return ms < pause_ms; })) {
    advice.push_back("statements that are held for longer than mysql-connect_timeout_server_max, " +
                     std::to_string(variables["mysql-connect_timeout_server_max"]) +
                     " ms, get error 9001: set it to " + std::to_string(pause_ms) + " or more");
  }
  if (is("mysql-auto_increment_delay_multiplex", [](int64_t n) { return n != 0; })) {
    advice.push_back(
        "after an insert into an AUTO_INCREMENT table a session keeps its connection and can't be"
        " held: set mysql-auto_increment_delay_multiplex=0 unless you need LAST_INSERT_ID() in a"
        " statement of its own");
  }
  if (is("mysql-query_retries_on_failure", [](int64_t n) { return n == 0; })) {
    advice.push_back(
        "a statement that the old active master sends away isn't given again: set"
        " mysql-query_retries_on_failure=1");
  }
  if (value("SELECT COUNT(*) FROM runtime_proxysql_servers") != "0" &&
      is("admin-cluster_mysql_servers_diffs_before_sync", [](int64_t n) { return n != 0; })) {
    advice.push_back(
        "this ProxySQL copies mysql_servers from others of its cluster: run an agent beside each,"
        " and set admin-cluster_mysql_servers_diffs_before_sync=0, so that none copies a state that"
        " is over");
  }
  return advice;
}

void Proxysql::install_statement() {
  const std::string rule = std::to_string(options_.statement_rule);
  const auto sets =
      query("SELECT comment, match_pattern FROM mysql_query_rules WHERE rule_id = " + rule);
  if (!sets.empty() && !sets[0].rows.empty() && sets[0].rows[0][0] != kStatementComment) {
    fail("there is another query rule " + rule +
         ": choose a free --proxysql-statement-rule, lower than the rules that it shall precede");
  }
  const bool is_there = !sets.empty() && !sets[0].rows.empty() &&
                        sets[0].rows[0][1] == std::string(kProxysqlStatement.match);
  if (!is_there) {
    execute("DELETE FROM mysql_query_rules WHERE rule_id = " + rule);
    execute(
        "INSERT INTO mysql_query_rules (rule_id, active, match_pattern, re_modifiers,"
        " replace_pattern, destination_hostgroup, apply, comment) VALUES (" +
        rule + ", 1, " + literal(kProxysqlStatement.match) + ", 'CASELESS', " +
        literal(kProxysqlStatement.replace) + ", " + writer() + ", 1, " +
        literal(kStatementComment) + ")");
    execute("LOAD MYSQL QUERY RULES TO RUNTIME");
    execute("SAVE MYSQL QUERY RULES TO DISK");
  }
  is_statement_installed_ = true;
}

}  // namespace active_master::agent
