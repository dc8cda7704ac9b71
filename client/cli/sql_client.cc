#include "client/cli/sql_client.h"

#include <errmsg.h>
#include <mysql.h>
#include <mysqld_error.h>

#include <algorithm>

namespace active_master::sql {
namespace {

constexpr unsigned kServerLostExtended = 2055;  // CR_SERVER_LOST_EXTENDED: not in every errmsg.h
constexpr unsigned kConnectionKilled = 1927;    // ER_CONNECTION_KILLED, likewise

[[noreturn]] void fail(Error::Stage stage, st_mysql* handle) {
  throw Error(stage, mysql_errno(handle), mysql_sqlstate(handle), mysql_error(handle));
}

bool is_numeric(enum_field_types type) {
  switch (type) {
    case MYSQL_TYPE_TINY:
    case MYSQL_TYPE_SHORT:
    case MYSQL_TYPE_INT24:
    case MYSQL_TYPE_LONG:
    case MYSQL_TYPE_LONGLONG:
    case MYSQL_TYPE_NEWDECIMAL:
      return true;
    default:
      return false;
  }
}

ResultSet read_rows(MYSQL_RES* result) {
  ResultSet set;
  const unsigned count = mysql_num_fields(result);
  const MYSQL_FIELD* fields = mysql_fetch_fields(result);
  set.columns.reserve(count);
  for (unsigned i = 0; i < count; ++i) {
    set.columns.push_back({fields[i].name, is_numeric(fields[i].type)});
  }
  set.rows.reserve(mysql_num_rows(result));
  while (MYSQL_ROW row = mysql_fetch_row(result)) {
    const unsigned long* lengths = mysql_fetch_lengths(result);
    Row& values = set.rows.emplace_back();
    values.reserve(count);
    for (unsigned i = 0; i < count; ++i) {
      if (row[i]) {
        values.emplace_back(std::in_place, row[i], lengths[i]);
      } else {
        values.emplace_back();
      }
    }
  }
  return set;
}

const char* or_null(const std::string& text) {
  return text.empty() ? nullptr : text.c_str();
}

void set_tls(st_mysql* handle, const Tls& tls) {
  const auto path = [handle](mysql_option option, const std::string& value) {
    if (!value.empty()) mysql_options(handle, option, value.c_str());
  };
  path(MYSQL_OPT_SSL_CA, tls.ca);
  path(MYSQL_OPT_SSL_CAPATH, tls.ca_path);
  path(MYSQL_OPT_SSL_CERT, tls.certificate);
  path(MYSQL_OPT_SSL_KEY, tls.key);
  path(MYSQL_OPT_SSL_CIPHER, tls.cipher);
  const my_bool on = 1;
  if (tls.required) mysql_options(handle, MYSQL_OPT_SSL_ENFORCE, &on);
  if (tls.verify_server) mysql_options(handle, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &on);
}

}  // namespace

bool Error::connection_lost() const {
  return stage_ == Stage::kStatement &&
         (number_ == CR_SERVER_GONE_ERROR || number_ == CR_SERVER_LOST ||
          number_ == kServerLostExtended || number_ == kConnectionKilled ||
          number_ == ER_SERVER_SHUTDOWN);
}

Value ResultSet::first(std::string_view column) const {
  if (rows.empty()) return std::nullopt;
  const auto found = std::find_if(columns.begin(), columns.end(),
                                  [column](const Column& c) { return c.name == column; });
  if (found == columns.end()) return std::nullopt;
  return rows.front().at(static_cast<size_t>(found - columns.begin()));
}

void Connection::Close::operator()(st_mysql* handle) const {
  mysql_close(handle);
}

Connection::Connection(const Options& options) : handle_(mysql_init(nullptr)) {
  if (!handle_) throw Error(Error::Stage::kConnect, CR_OUT_OF_MEMORY, "HY000", "Out of memory");
  const unsigned connect_timeout = static_cast<unsigned>(options.connect_timeout.count());
  const unsigned read_timeout = static_cast<unsigned>(options.read_timeout.count());
  const unsigned local_infile = 0;  // no server may ask this program for files
  mysql_options(handle_.get(), MYSQL_OPT_CONNECT_TIMEOUT, &connect_timeout);
  if (read_timeout > 0) mysql_options(handle_.get(), MYSQL_OPT_READ_TIMEOUT, &read_timeout);
  mysql_options(handle_.get(), MYSQL_OPT_LOCAL_INFILE, &local_infile);
  mysql_options(handle_.get(), MYSQL_SET_CHARSET_NAME, "utf8mb4");
  set_tls(handle_.get(), options.tls);
  if (!mysql_real_connect(handle_.get(), or_null(options.host), or_null(options.user),
                          options.password ? options.password->c_str() : nullptr,
                          or_null(options.schema), options.port, or_null(options.socket),
                          CLIENT_MULTI_RESULTS)) {
    fail(Error::Stage::kConnect, handle_.get());
  }
}

std::vector<ResultSet> Connection::query(std::string_view statement) {
  st_mysql* handle = handle_.get();
  if (mysql_real_query(handle, statement.data(), statement.size()) != 0) {
    fail(Error::Stage::kStatement, handle);
  }
  std::vector<ResultSet> sets;
  for (;;) {
    const std::unique_ptr<MYSQL_RES, void (*)(MYSQL_RES*)> result(mysql_store_result(handle),
                                                                  mysql_free_result);
    if (result) {
      sets.push_back(read_rows(result.get()));
    } else if (mysql_field_count(handle) != 0) {
      fail(Error::Stage::kStatement, handle);
    }
    const int next = mysql_next_result(handle);
    if (next > 0) fail(Error::Stage::kStatement, handle);
    if (next < 0) return sets;
  }
}

Value Connection::value(std::string_view statement) {
  const std::vector<ResultSet> sets = query(statement);
  if (sets.empty() || sets.front().rows.empty()) return std::nullopt;
  return sets.front().rows.front().at(0);
}

uint64_t Connection::thread_id() const {
  return mysql_thread_id(handle_.get());
}

}  // namespace active_master::sql
