// Drives ProxySQL (2.x) over its admin interface, which speaks MySQL's protocol to SQLite.
//
// Holding. The servers of the writer hostgroup become OFFLINE_SOFT: statements that run end,
// transactions keep their connection up to their end, new statements wait inside ProxySQL for up to
// `mysql-connect_timeout_server_max`. What runs is waited for at the active master's own gate,
// which knows it exactly and at once; stats_mysql_processlist takes 3 ms to be read. (PROXYSQL
// PAUSE is no pause: it refuses connections and lets statements pass.) Sessions that ProxySQL can't
// part from their connection (user variables, temporary tables, and after an insert into an
// AUTO_INCREMENT table for a while) aren't held: the active master's own gate meets them.
//
// Opening. The writer hostgroup becomes the active master alone; the old one becomes a reader. The
// tables are written whole, from what runs, since the admin's own copy doesn't follow what
// ProxySQL's monitor moves by read_only; LOAD would undo that. A server that serves statements is
// never taken out of a hostgroup: ProxySQL would cut them and run them once more elsewhere. It is
// held first, and when the fence is up nothing is left that could be run twice. Traffic comes
// first: who the new writer is, is loaded at once; to look who can be taken out, and to save it to
// disk, takes ten times longer and is for the second call.
//
// What is held by us is marked in the column `comment`, so that it is known after a restart of the
// agent, and to people.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "client/agent/credentials.h"
#include "client/agent/driver.h"
#include "client/agent/proxysql_servers.h"
#include "client/cli/sql_client.h"

namespace active_master::agent {

class Proxysql : public Driver {
 public:
  struct Options {
    Address admin{"127.0.0.1", 6032};
    Credentials account;
    int writer_hostgroup = 0;
    std::optional<int> reader_hostgroup;
    bool install_statement = false;
    int statement_rule = 1;          // its rule_id
    std::chrono::seconds pause{30};  // that a statement must be able to wait
    std::chrono::seconds command_timeout{5};
  };

  explicit Proxysql(Options options) : options_(std::move(options)) {}

  void hold(const client::Hold& hold) override;
  void open(const Target& target) override;
  [[nodiscard]] bool has_more() const override { return has_more_; }
  [[nodiscard]] std::string warning() const override { return warning_; }
  [[nodiscard]] std::vector<std::string> check() override;

 private:
  std::vector<sql::ResultSet> query(const std::string& statement);
  void execute(const std::string& statement) { (void)query(statement); }
  [[nodiscard]] std::string value(const std::string& statement);

  [[nodiscard]] std::vector<ProxysqlServer> read_servers();
  [[nodiscard]] Hostgroups read_hostgroups();
  [[nodiscard]] std::vector<Address> busy_writers();
  [[nodiscard]] std::vector<Address> writers(const std::vector<ProxysqlServer>& servers) const;
  void hold_servers(const std::string& which);
  void write(const std::vector<ProxysqlServer>& servers);
  void note_strangers(const std::vector<ProxysqlServer>& servers, const Target& target);
  void install_statement();
  [[noreturn]] void fail(const std::string& what) const;
  [[nodiscard]] std::string writer() const { return std::to_string(options_.writer_hostgroup); }
  [[nodiscard]] std::string both() const;

  const Options options_;
  std::optional<sql::Connection> connection_;
  std::optional<Hostgroups> hostgroups_;  // as open() found them last
  bool is_open_ = false;                  // as open() has read back
  bool has_more_ = false;
  bool is_saved_ = true;  // to disk
  bool is_statement_installed_ = false;
  std::string warning_;
};

}  // namespace active_master::agent
