#include "plugin/server/replication.h"

#include <dlfcn.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <thread>

#include "client/protocol/names.h"
#include "client/protocol/private_file.h"
#include "plugin/server/gtid.h"

namespace active_master {
namespace {

// After START SLAVE, how long the connection may take to be there.
constexpr std::chrono::seconds kConnectPatience{5};
constexpr std::chrono::milliseconds kConnectGlance{20};
constexpr size_t kMaxPassword = 96;
// How long it is tried to end I/O threads faster than STOP SLAVE does.
constexpr std::chrono::milliseconds kInterruptGlance{5};
constexpr int kInterrupts = 40;
constexpr int kGlancesWithout = 4;  // where there is no such signal

std::mutex account_mutex;
std::string account_user;
std::string account_password_file;

// What a server says when it does not let an account in.
constexpr uint64_t kAccessDenied = 1045;
constexpr uint64_t kHostNotAllowed = 1130;

std::string column(const Row& row, std::string_view name) {
  const auto it = row.find(name);
  return it == row.end() ? std::string() : it->second.value_or("");
}

// Its first line.
std::string read_password(const std::string& path, std::string& error) {
  auto password = protocol::read_private_file(path, kMaxPassword + 2, error);
  if (!error.empty()) return {};
  password.resize(std::min(password.size(), password.find_first_of("\r\n")));
  if (password.empty() || password.size() > kMaxPassword)
    error = "must hold a password of 1 to 96 characters in its first line";
  return password;
}

bool leads_to(const Row& source, const std::string& address) {
  return column(source, "Master_Host") + ":" + column(source, "Master_Port") == address;
}

// The address may be another name of the same server. But what CHANGE MASTER has changed shows the
// id of the master before, until it is connected.
bool leads_to(const Row& source, const std::string& address, uint32_t server_id) {
  if (leads_to(source, address)) return true;
  return column(source, "Slave_IO_Running") == "Yes" &&
         number(column(source, "Master_Server_Id")) == server_id;
}

bool leads_to_member(const Row& source, const std::vector<uint32_t>& members) {
  const auto id = static_cast<uint32_t>(number(column(source, "Master_Server_Id")));
  return std::ranges::find(members, id) != members.end();
}

// The connection that is changed when none leads to the active master: it keeps its account and its
// options.
const Row* connection_to_change(const std::vector<Row>& sources,
                                const std::vector<uint32_t>& members) {
  for (const auto& source : sources) {
    if (leads_to_member(source, members)) return &source;
  }
  // One that never met its master has no server id to tell it by.
  const bool is_new = sources.size() == 1 && column(sources.front(), "Master_Server_Id") == "0";
  return is_new ? &sources.front() : nullptr;
}

std::string named(const Row& source) {
  return quoted(column(source, "Connection_name"));
}

bool runs(const Row& source) {
  return column(source, "Slave_IO_Running") == "Yes" &&
         column(source, "Slave_SQL_Running") == "Yes";
}

std::string why_it_does_not_run(const Row& source) {
  for (const auto* error : {"Last_SQL_Error", "Last_IO_Error"}) {
    if (auto text = column(source, error); !text.empty()) return text;
  }
  return "I/O thread " + column(source, "Slave_IO_Running") + ", SQL thread " +
         column(source, "Slave_SQL_Running");
}

// The configured account as the end of a CHANGE MASTER statement.
std::string account_clause() {
  std::string user, file;
  {
    const std::lock_guard lock(account_mutex);
    user = account_user;
    file = account_password_file;
  }
  if (user.empty() || file.empty()) {
    throw std::runtime_error(
        "it has no replication connection: set active_master_replication_user and "
        "active_master_replication_password_file, or CHANGE MASTER TO once by hand");
  }
  std::string error;
  const auto password = read_password(file, error);
  if (!error.empty())
    throw std::runtime_error("active_master_replication_password_file '" + file + "' " + error);
  return ", MASTER_USER = " + quoted(user) + ", MASTER_PASSWORD = " + quoted(password);
}

bool has_account() {
  const std::lock_guard lock(account_mutex);
  return !account_user.empty() && !account_password_file.empty();
}

// What a crash leaves of a CHANGE MASTER in its middle: the relay log that is named there is gone,
// and neither START SLAVE nor CHANGE MASTER goes on from it. With GTIDs nothing of it is needed.
constexpr uint64_t kUnreadableMasterInfo = 1201;

// The statement may hold a password: no log (the general log has none of our sessions), and no
// error that quotes it.
void change_master(Session& session, const std::string& connection, const Address& to,
                   const std::string& account) {
  session.query("SET SESSION slow_query_log = 0");
  // All that this server ever wrote is on the other, which was asked: so what it has is where it
  // goes on, whoever wrote it.
  const std::string change = "CHANGE MASTER " + connection +
                             " TO MASTER_HOST = " + quoted(to.host) +
                             ", MASTER_PORT = " + std::to_string(to.port) +
                             ", MASTER_USE_GTID = slave_pos, MASTER_DEMOTE_TO_SLAVE = 1" + account;
  try {
    try {
      session.query(change);
    } catch (const SqlError& error) {
      if (error.number() != kUnreadableMasterInfo) throw;
      session.query("RESET SLAVE " + connection);
      session.query(change);
    }
  } catch (const SqlError& error) {
    if (account.empty()) throw;
    throw std::runtime_error("CHANGE MASTER TO failed with error " +
                             std::to_string(error.number()));
  }
}

void start(Session& session, const std::string& connection, const Address& to) {
  try {
    session.query("START SLAVE " + connection);
  } catch (const SqlError& error) {
    if (error.number() != kUnreadableMasterInfo) throw;
    change_master(session, connection, to, "");
    session.query("START SLAVE " + connection);
  }
}

}  // namespace

void set_replication_account(std::string user, std::string password_file) {
  const std::lock_guard lock(account_mutex);
  account_user = std::move(user);
  account_password_file = std::move(password_file);
}

std::string check_password_file(const std::string& path) {
  std::string error;
  if (!path.empty()) (void)read_password(path, error);
  return error;
}

std::vector<std::string> received_positions(Session& session) {
  std::vector<std::string> positions;
  for (const auto& source : session.query("SHOW ALL SLAVES STATUS")) {
    if (auto position = column(source, "Gtid_IO_Pos"); !position.empty())
      positions.push_back(std::move(position));
  }
  return positions;
}

std::vector<Source> sources(Session& session) {
  std::vector<Source> all;
  for (const auto& row : session.query("SHOW ALL SLAVES STATUS")) {
    Source source{.address = column(row, "Master_Host") + ":" + column(row, "Master_Port"),
                  .server_id = 0};
    if (column(row, "Slave_IO_Running") == "Yes")
      source.server_id = static_cast<uint32_t>(number(column(row, "Master_Server_Id")));
    if (!runs(row)) source.error = why_it_does_not_run(row);
    all.push_back(std::move(source));
  }
  return all;
}

void follow(Session& session, const FollowJob& job) {
  const auto address = parse_address(job.address);
  if (!address) throw std::runtime_error("'" + job.address + "' is no address");
  const auto sources = session.query("SHOW ALL SLAVES STATUS");
  for (const auto& source : sources) {
    const bool is_stopped =
        column(source, "Slave_IO_Running") == "No" && column(source, "Slave_SQL_Running") == "No";
    if (job.alone && leads_to_member(source, job.members) && !is_stopped &&
        !leads_to(source, job.address, job.server_id)) {
      session.query("STOP SLAVE " + named(source));
    }
  }
  for (const auto& source : sources) {
    if (leads_to(source, job.address, job.server_id)) {
      if (runs(source)) return;
      const auto refused = number(column(source, "Last_IO_Errno"));
      const bool is_refused = refused == kAccessDenied || refused == kHostNotAllowed;
      if (!job.may_change) return;
      if (is_refused && has_account()) {
        const auto account = account_clause();
        session.query("STOP SLAVE " + named(source));
        change_master(session, named(source), *address, account);
      }
      // It would try again by itself, but only once in MASTER_CONNECT_RETRY seconds.
      if (refused != 0 && !is_refused) session.query("STOP SLAVE " + named(source));
      start(session, named(source), *address);
      return;
    }
  }
  if (!job.may_change) {
    throw std::runtime_error("it does not replicate from " + job.address +
                             ", and active_master_repoint is OFF");
  }
  const Row* const to_change = connection_to_change(sources, job.members);
  std::string connection = "''";
  std::string account;
  if (to_change) {
    connection = named(*to_change);
    session.query("STOP SLAVE " + connection);
  } else if (!sources.empty() && !job.all_members_are_known) {
    // A second connection would bring this server everything twice.
    throw std::runtime_error(
        "not every node of active_master_peers was heard since this server started, so it isn't "
        "known whether its replication connection leads to one of them");
  } else {
    const bool is_taken = std::ranges::any_of(
        sources, [](const Row& source) { return column(source, "Connection_name").empty(); });
    if (is_taken) connection = "'active_master'";
    account = account_clause();
  }
  change_master(session, connection, *address, account);
  session.query("START SLAVE " + connection);
}

void await_replication(Session& session, const FollowJob& job, const std::atomic<bool>& cancelled) {
  using std::chrono::steady_clock;
  const auto give_up = steady_clock::now() + kConnectPatience;
  std::string state;
  while (!cancelled && !server_is_stopping()) {
    for (const auto& source : session.query("SHOW ALL SLAVES STATUS")) {
      if (!leads_to(source, job.address, job.server_id)) continue;
      if (runs(source)) return;
      state = why_it_does_not_run(source);
      const bool has_failed =
          !column(source, "Last_IO_Error").empty() || !column(source, "Last_SQL_Error").empty();
      if (has_failed) throw std::runtime_error(state);
    }
    if (steady_clock::now() >= give_up)
      throw std::runtime_error("replication from " + job.address + " does not run: " + state);
    std::this_thread::sleep_for(kConnectGlance);
  }
  throw std::runtime_error("cancelled");
}

std::string why_it_cannot_follow(Session& session, const CheckLocalJob& job) {
  const auto sources = session.query("SHOW ALL SLAVES STATUS");
  const bool leads_there = std::ranges::any_of(sources, [&](const Row& source) {
    return leads_to(source, {}, job.candidate_server_id) && runs(source);
  });
  if (leads_there) return {};
  if (!job.may_change)
    return "it does not replicate from the candidate, and active_master_repoint is OFF";
  if (connection_to_change(sources, job.members)) return {};
  try {
    (void)account_clause();
    return {};
  } catch (const std::exception& error) {
    return error.what();
  }
}

namespace {

// The connections that lead to the address or to a member.
template <typename Job>
std::vector<Row> connections(Session& session, const Job& job) {
  auto sources = session.query("SHOW ALL SLAVES STATUS");
  std::erase_if(sources, [&](const Row& source) {
    return !leads_to(source, job.address) && !leads_to_member(source, job.members);
  });
  return sources;
}

// The signal by which STOP SLAVE interrupts an I/O thread; 0: this server has none.
int interrupt_signal() {
  const auto* number = static_cast<const unsigned*>(dlsym(RTLD_DEFAULT, "thr_client_alarm"));
  struct sigaction action = {};
  const bool is_caught = number && sigaction(static_cast<int>(*number), nullptr, &action) == 0 &&
                         action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN;
  return is_caught ? static_cast<int>(*number) : 0;
}

// An I/O thread whose master doesn't answer is to be interrupted twice: when it reads from it or
// tries to reconnect, and with semi-synchronous replication once more when it connects to end what
// the master still sends. STOP SLAVE does that only every 2 s; so this does it before, by KILL and
// by STOP SLAVE's signal. PROCESSLIST doesn't tell whose thread is whose, so all or none.
void end_io_threads(Session& session, size_t count) {
  const auto threads =
      session.query("SELECT ID FROM INFORMATION_SCHEMA.PROCESSLIST WHERE COMMAND = 'Slave_IO'");
  if (threads.size() != count) return;
  std::string ids;
  for (const auto& thread : threads) {
    session.query("KILL " + column(thread, "ID"));
    ids += (ids.empty() ? "" : ",") + column(thread, "ID");
  }
  const int interrupt = interrupt_signal();
  for (int i = 0; i < (interrupt > 0 ? kInterrupts : kGlancesWithout); ++i) {
    std::this_thread::sleep_for(kInterruptGlance);
    const auto left =
        session.query("SELECT TID FROM INFORMATION_SCHEMA.PROCESSLIST WHERE ID IN (" + ids + ")");
    if (left.empty()) return;
    for (const auto& thread : left) {
      if (interrupt > 0)
        (void)tgkill(getpid(), static_cast<pid_t>(number(column(thread, "TID"))), interrupt);
    }
  }
}

}  // namespace

void leave(Session& session, const LeaveJob& job) {
  for (const auto& source : connections(session, job)) session.query("STOP SLAVE " + named(source));
}

void stop_receiving(Session& session, const StopReceivingJob& job) {
  auto sources = connections(session, job);
  std::erase_if(sources, [](const Row& s) { return column(s, "Slave_IO_Running") == "No"; });
  if (sources.empty()) return;
  try {
    end_io_threads(session, sources.size());
  } catch (const SqlError&) {  // it has ended by itself
  }
  for (const auto& source : sources) session.query("STOP SLAVE " + named(source) + " IO_THREAD");
}

}  // namespace active_master
