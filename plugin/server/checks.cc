#include "plugin/server/checks.h"

#include "plugin/server/fence_audit.h"
#include "plugin/server/gtid.h"
#include "plugin/server/replication.h"
#include "plugin/server/semi_sync.h"
#include "plugin/server/transactions.h"

#include <chrono>
#include <thread>

namespace active_master {
namespace {

// A row of the newest activation may still be on its way when a switchover follows another at once.
constexpr std::chrono::milliseconds kEventPatience{1000};
constexpr std::chrono::milliseconds kEventGlance{10};

std::string column(const Row& row, std::string_view name) {
  const auto it = row.find(name);
  return it == row.end() ? std::string() : it->second.value_or("");
}

bool event_table_exists(Session& session) {
  return session.value(
             "SELECT COUNT(*) FROM information_schema.TABLES"
             " WHERE TABLE_SCHEMA = 'active_master' AND TABLE_NAME = 'event'") == "1";
}

Epoch newest_event(Session& session) {
  return {number(session.value("SELECT MAX(epoch) FROM active_master.event"))};
}

CheckRow row(const char* check, bool ok, std::string detail, std::string remedy) {
  return {{},
          check,
          ok ? Verdict::kOk : Verdict::kFailed,
          std::move(detail),
          ok ? "" : std::move(remedy)};
}

CheckRow event_table_row(bool exists) {
  return row("event table", exists,
             exists ? "active_master.event is there" : "table active_master.event is missing",
             "run install.sql on the active master");
}

std::vector<CheckRow> check_replication(Session& session, uint32_t master_server_id) {
  std::string detail = "no replication is configured";
  bool runs = false;
  bool from_master = false;
  bool by_gtid = false;
  for (const auto& source : session.query("SHOW ALL SLAVES STATUS")) {
    const bool is_master = number(column(source, "Master_Server_Id")) == master_server_id;
    if (from_master && !is_master) continue;
    from_master = is_master;
    runs =
        column(source, "Slave_IO_Running") == "Yes" && column(source, "Slave_SQL_Running") == "Yes";
    by_gtid = column(source, "Using_Gtid") != "No";
    detail = "I/O thread " + column(source, "Slave_IO_Running") + ", SQL thread " +
             column(source, "Slave_SQL_Running");
    for (const auto* error : {"Last_IO_Error", "Last_SQL_Error"}) {
      if (!column(source, error).empty()) detail += ", " + column(source, error);
    }
  }
  std::vector<CheckRow> rows;
  rows.push_back(
      row("replication runs", runs, detail, "START SLAVE, and see SHOW ALL SLAVES STATUS"));
  if (!runs) return rows;
  rows.push_back(row("replication by GTID", by_gtid,
                     by_gtid ? "MASTER_USE_GTID is on" : "MASTER_USE_GTID is off",
                     "CHANGE MASTER TO MASTER_USE_GTID = slave_pos"));
  if (!from_master) {
    rows.push_back({{},
                    "replication source",
                    Verdict::kWarning,
                    "it does not replicate from the active master directly",
                    "catch-up then takes as long as the chain does"});
  }
  return rows;
}

}  // namespace

std::vector<CheckRow> check_active_master(Session& session, const CheckLocalJob& job,
                                          CheckRequest& facts) {
  std::vector<CheckRow> rows;
  const auto settings = session.query(
      "SELECT @@log_bin AS log_bin, @@server_id AS server_id, @@version AS version,"
      " @@gtid_binlog_state AS gtid_binlog_state, " +
      std::string(kReadOnlyIsOn) + " AS read_only");
  const Row& own = settings.front();
  facts.server_id = static_cast<uint32_t>(number(column(own, "server_id")));
  facts.server_version = column(own, "version");
  facts.gtid_binlog_state = column(own, "gtid_binlog_state");

  const bool has_binlog = column(own, "log_bin") == "1";
  rows.push_back(row("binlog", has_binlog, has_binlog ? "log_bin is on" : "log_bin is off",
                     "start the server with log_bin"));
  const bool has_table = event_table_exists(session);
  rows.push_back(event_table_row(has_table));
  if (has_table) facts.newest_event = newest_event(session);
  const auto transactions = describe(session, sessions_inside(kLongTransaction));
  rows.push_back({{},
                  "transactions",
                  transactions.empty() ? Verdict::kOk : Verdict::kWarning,
                  transactions.empty() ? "no long ones" : transactions,
                  transactions.empty() ? ""
                                       : "a switchover waits for them, as long as "
                                         "active_master_active_transaction_limit and "
                                         "active_master_idle_transaction_limit say"});
  const auto prepared = prepared_transactions(session);
  rows.push_back(row("XA transactions", prepared.empty(),
                     prepared.empty() ? "none is prepared" : "prepared: " + prepared,
                     "XA COMMIT or XA ROLLBACK them: that is not possible on a standby"));
  const bool watches = gate_is_watching();
  rows.push_back(
      row("fence", watches,
          watches ? "ACTIVE_MASTER_FENCE is loaded" : "ACTIVE_MASTER_FENCE is not loaded yet",
          "sessions that idle since the last UNINSTALL keep its old copy: let them run a "
          "statement, or end them"));
  if (const auto gap = fence_gap(); !gap.empty()) {
    rows.push_back(
        {{},
         "fence binds administrators",
         Verdict::kWarning,
         gap,
         "accounts with READ ONLY ADMIN can change the schema of a standby: don't use them"});
  }
  if (job.may_be_replaced) {
    const bool waits = waits_for_standby(session);
    const bool waits_alone = session.value("SELECT @@rpl_semi_sync_master_wait_no_slave") == "1";
    if (!waits) {
      rows.push_back(
          {{},
           "semi-synchronous replication",
           Verdict::kWarning,
           "the server waits for no standby: what it acknowledged last may be on it alone",
           "switch rpl_semi_sync_master_enabled on here and rpl_semi_sync_slave_enabled on "
           "standbys, else a failover may lose it"});
    } else {
      rows.push_back({{},
                      "semi-synchronous replication",
                      waits_alone ? Verdict::kOk : Verdict::kWarning,
                      waits_alone ? "every acknowledged write is on a standby, too"
                                  : "the server waits for no standby once all have left it, which "
                                    "is when another takes the role",
                      waits_alone ? "" : "SET GLOBAL rpl_semi_sync_master_wait_no_slave = ON"});
    }
  }
  if (job.candidate_server_id != 0) {
    const auto obstacle = why_it_cannot_follow(session, job);
    rows.push_back({{},
                    "way back",
                    obstacle.empty() ? Verdict::kOk : Verdict::kWarning,
                    obstacle.empty() ? "this server can follow the candidate" : obstacle,
                    obstacle.empty() ? ""
                                     : "else the switchover is done, and this server gets no "
                                       "updates until that is mended"});
  }
  if (column(own, "read_only") != "0") {
    rows.push_back(
        {{}, "writable", Verdict::kWarning, "read_only is on", "SET GLOBAL read_only = 0"});
  }
  return rows;
}

std::vector<CheckRow> check_candidate(Session& session, const CheckRequest& facts) {
  std::vector<CheckRow> rows;
  const auto settings = session.query(
      "SELECT @@log_bin AS log_bin, @@log_slave_updates AS log_slave_updates, @@server_id AS "
      "server_id,"
      " @@version AS version, @@gtid_binlog_state AS gtid_binlog_state, " +
      std::string(kReadOnlyIsOn) + " AS read_only");
  const Row& own = settings.front();

  const bool has_binlog = column(own, "log_bin") == "1" && column(own, "log_slave_updates") == "1";
  rows.push_back(row(
      "binlog", has_binlog,
      has_binlog ? "log_bin and log_slave_updates are on" : "log_bin or log_slave_updates is off",
      "start the server with log_bin and log_slave_updates"));

  const auto version = column(own, "version");
  const bool is_recent = version_number(version) >= version_number(facts.server_version);
  rows.push_back(
      row("version", is_recent,
          version + (is_recent ? " is not older than " : " is older than ") + facts.server_version,
          "upgrade this server: replication works only towards newer versions"));

  const auto replication = check_replication(session, facts.server_id);
  rows.insert(rows.end(), replication.begin(), replication.end());

  const auto server_id = static_cast<uint32_t>(number(column(own, "server_id")));
  const auto errant =
      errant_transactions(column(own, "gtid_binlog_state"), facts.gtid_binlog_state, server_id);
  rows.push_back(
      row("errant transactions", errant.empty(), errant.empty() ? "none" : errant,
          "these are on this server only: bring them to the active master or rebuild this server"));

  const bool has_table = event_table_exists(session);
  rows.push_back(event_table_row(has_table));
  if (has_table && facts.newest_event > Epoch{} && rows[2].verdict == Verdict::kOk) {
    const auto give_up = std::chrono::steady_clock::now() + kEventPatience;
    bool arrived = newest_event(session) >= facts.newest_event;
    while (!arrived && std::chrono::steady_clock::now() < give_up) {
      std::this_thread::sleep_for(kEventGlance);
      arrived = newest_event(session) >= facts.newest_event;
    }
    rows.push_back(row("events arrive", arrived,
                       (arrived ? "the event of epoch " : "no event of epoch ") +
                           std::to_string(facts.newest_event.value),
                       "replication lags, or filters table active_master.event"));
  }
  if (column(own, "read_only") == "0") {
    rows.push_back({{},
                    "read_only",
                    Verdict::kWarning,
                    "read_only is off on this standby",
                    "SET GLOBAL read_only = 1"});
  }
  return rows;
}

}  // namespace active_master
