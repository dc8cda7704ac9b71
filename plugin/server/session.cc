#include "plugin/server/session.h"

#include "plugin/server/mariadb.h"

#include <mysql/service_sql.h>

#include <algorithm>

// Exported by the server, declared in its private mysqld.h: set when it accepts connections.
extern volatile bool mysqld_server_started;
extern volatile bool abort_loop;  // likewise: set when it begins to shut down

namespace active_master {

namespace {
thread_local bool is_server_thread = false;

constexpr std::chrono::microseconds kShortestLimit{1000};  // 0 would be no limit

// The server does not wait for sessions such as ours: storage engines and plugins that a statement
// uses may end in its middle, which aborts the server.
void check_shutdown() {
  if (server_is_stopping()) throw SqlError(ER_SERVER_SHUTDOWN, "the server is shutting down");
}
}  // namespace

ServerThread::ServerThread() {
  my_thread_init();
  is_server_thread = true;
}

ServerThread::~ServerThread() {
  is_server_thread = false;
  my_thread_end();
}

bool ServerThread::is_current() {
  return is_server_thread;
}

Session::Session(std::chrono::microseconds limit) : mysql_(nullptr) {
  check_shutdown();
  mysql_ = mysql_init(nullptr);
  try {
    if (!mysql_ || !mysql_real_connect_local(mysql_))
      throw SqlError(mysql_ ? mysql_errno(mysql_) : 0, "can't open a local session");
    // Locks are waited for in whole seconds, 0 being not at all; the statement's own limit is
    // exact.
    using std::chrono::ceil;
    const auto seconds = std::to_string(ceil<std::chrono::seconds>(limit).count());
    const auto exact = std::chrono::duration<double>(std::max(limit, kShortestLimit)).count();
    // And statements are read as quoted() and our own text mean them, whatever the server's
    // default.
    // And none of them is for the general log, this one included.
    query("SET SESSION sql_log_off = 1, sql_mode = 'STRICT_ALL_TABLES', lock_wait_timeout = " +
          seconds + ", max_statement_time = " + std::to_string(exact));
  } catch (...) {
    if (mysql_) mysql_close(mysql_);
    throw;
  }
}

Session::~Session() {
  mysql_close(mysql_);
}

std::vector<Row> Session::query(const std::string& sql) {
  check_shutdown();
  if (mysql_real_query(mysql_, sql.data(), sql.size()) != 0) {
    throw SqlError(mysql_errno(mysql_), mysql_error(mysql_));
  }
  std::vector<Row> rows;
  MYSQL_RES* result = mysql_store_result(mysql_);
  if (!result) {
    if (mysql_errno(mysql_) != 0) throw SqlError(mysql_errno(mysql_), mysql_error(mysql_));
    return rows;
  }
  const unsigned int columns = mysql_num_fields(result);
  const MYSQL_FIELD* fields = mysql_fetch_fields(result);
  while (const MYSQL_ROW values = mysql_fetch_row(result)) {
    const unsigned long* lengths = mysql_fetch_lengths(result);
    Row& row = rows.emplace_back();
    for (unsigned int i = 0; i < columns; ++i) {
      auto& value = row[fields[i].name];
      if (values[i]) value.emplace(values[i], lengths[i]);
    }
  }
  mysql_free_result(result);
  return rows;
}

std::string Session::value(const std::string& sql) {
  const auto rows = query(sql);
  if (rows.empty() || rows.front().empty()) return {};
  return rows.front().begin()->second.value_or("");
}

void set_read_only(Session& session, bool on) {
  constexpr std::string_view kOn = MYSQL_VERSION_ID >= 120000 ? "NO_LOCK_NO_ADMIN" : "1";
  session.query("SET GLOBAL read_only = " + std::string(on ? kOn : "0"));
}

std::string quoted(std::string_view text) {
  std::string literal = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') literal += '\\';
    if (c != '\0') literal += c;
  }
  return literal + "'";
}

bool server_is_stopping() {
  return abort_loop;
}

bool server_is_started() {
  return mysqld_server_started;
}

}  // namespace active_master
