// For tests: ProxySQL's admin interface. Speaks MySQL's protocol, checks the password, and lets
// SQLite answer, as ProxySQL does, over tables of the same names and columns as in ProxySQL 2.7.
// LOAD and SAVE copy between them.
#pragma once

#include <openssl/sha.h>
#include <sqlite3.h>

#include <array>
#include <atomic>
#include <boost/asio.hpp>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "client/protocol/names.h"

namespace active_master::agent {

class FakeProxysql {
 public:
  enum class Manner { kWell, kHangs, kGarbage };

  FakeProxysql() {
    sqlite3_open(":memory:", &db_);
    for (const char* table : {"mysql_servers", "runtime_mysql_servers", "disk_mysql_servers"}) {
      sql(std::string("CREATE TABLE ") + table +
          " (hostgroup_id INT NOT NULL DEFAULT 0, hostname VARCHAR NOT NULL, port INT NOT NULL "
          "DEFAULT 3306,"
          " gtid_port INT NOT NULL DEFAULT 0, status VARCHAR CHECK (UPPER(status) IN ('ONLINE', "
          "'SHUNNED',"
          " 'OFFLINE_SOFT', 'OFFLINE_HARD')) NOT NULL DEFAULT 'ONLINE', weight INT NOT NULL "
          "DEFAULT 1,"
          " compression INT NOT NULL DEFAULT 0, max_connections INT NOT NULL DEFAULT 1000,"
          " max_replication_lag INT NOT NULL DEFAULT 0, use_ssl INT NOT NULL DEFAULT 0,"
          " max_latency_ms INT NOT NULL DEFAULT 0, comment VARCHAR NOT NULL DEFAULT '',"
          " PRIMARY KEY (hostgroup_id, hostname, port))");
    }
    for (const char* table :
         {"mysql_query_rules", "runtime_mysql_query_rules", "disk_mysql_query_rules"}) {
      sql(std::string("CREATE TABLE ") + table +
          " (rule_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, active INT NOT NULL DEFAULT 0,"
          " match_pattern VARCHAR, re_modifiers VARCHAR DEFAULT 'CASELESS', replace_pattern "
          "VARCHAR,"
          " destination_hostgroup INT DEFAULT NULL, apply INT NOT NULL DEFAULT 0, comment "
          "VARCHAR)");
    }
    sql("CREATE TABLE runtime_mysql_replication_hostgroups (writer_hostgroup INT NOT NULL PRIMARY "
        "KEY,"
        " reader_hostgroup INT NOT NULL, check_type VARCHAR NOT NULL DEFAULT 'read_only', comment "
        "VARCHAR)");
    sql("CREATE TABLE runtime_global_variables (variable_name VARCHAR PRIMARY KEY, variable_value "
        "VARCHAR)");
    sql("CREATE TABLE runtime_proxysql_servers (hostname VARCHAR, port INT, weight INT, comment "
        "VARCHAR)");
    sql("CREATE TABLE stats_mysql_processlist (ThreadID INT, SessionID INTEGER PRIMARY KEY, user "
        "VARCHAR,"
        " db VARCHAR, cli_host VARCHAR, cli_port INT, hostgroup INT, l_srv_host VARCHAR, "
        "l_srv_port INT,"
        " srv_host VARCHAR, srv_port INT, command VARCHAR, time_ms INT, info VARCHAR)");
    sql("INSERT INTO runtime_global_variables VALUES ('mysql-connect_timeout_server_max', '60000'),"
        " ('mysql-auto_increment_delay_multiplex', '0'), ('mysql-query_retries_on_failure', '1'),"
        " ('admin-cluster_mysql_servers_diffs_before_sync', '3'),"
        " ('mysql-monitor_writer_is_also_reader', 'false')");
    start(0);
  }
  ~FakeProxysql() {
    stop();
    sqlite3_close(db_);
  }
  FakeProxysql(const FakeProxysql&) = delete;
  FakeProxysql& operator=(const FakeProxysql&) = delete;

  [[nodiscard]] Address address() const { return {"127.0.0.1", port_}; }
  void behave(Manner manner) { manner_ = manner; }

  // As a crash: connections end. Then it is there again, with what is on its disk.
  void stop() {
    if (!thread_.joinable()) return;
    boost::asio::post(io_, [this] { io_.stop(); });
    thread_.join();
    sessions_.clear();
    acceptor_.reset();
  }
  void restart() {
    stop();
    sql("DELETE FROM mysql_servers; INSERT INTO mysql_servers SELECT * FROM disk_mysql_servers;"
        "DELETE FROM runtime_mysql_servers; INSERT INTO runtime_mysql_servers SELECT * FROM "
        "disk_mysql_servers");
    io_.restart();
    start(port_);
  }

  // What a person configures: in memory, at runtime and on disk.
  void add_server(int hostgroup, const Address& address, const std::string& more = "") {
    for (const char* table : {"mysql_servers", "runtime_mysql_servers", "disk_mysql_servers"}) {
      sql(std::string("INSERT INTO ") + table + " (hostgroup_id, hostname, port) VALUES (" +
          std::to_string(hostgroup) + ", '" + address.host + "', " + std::to_string(address.port) +
          ")");
      if (!more.empty()) {
        sql(std::string("UPDATE ") + table + " SET " + more + " WHERE hostname = '" + address.host +
            "' AND port = " + std::to_string(address.port));
      }
    }
  }

  // The rows of a query, values and rows in one text: "1|a 2|b".
  std::string sql(const std::string& statement) {
    const std::lock_guard lock(mutex_);
    std::string text;
    const Result result = run(statement);
    if (!result.error.empty()) return "ERROR " + result.error;
    for (const auto& row : result.rows) {
      text += text.empty() ? "" : " ";
      for (size_t i = 0; i < row.size(); ++i) text += (i == 0 ? "" : "|") + row[i].value_or("NULL");
    }
    return text;
  }
  // "hostgroup:port:status" of all that runs, in order.
  std::string servers(const std::string& table = "runtime_mysql_servers") {
    return sql("SELECT hostgroup_id || ':' || port || ':' || status FROM " + table +
               " ORDER BY hostgroup_id, port");
  }
  // Servers that were taken out of a hostgroup while statements ran there.
  [[nodiscard]] int cut() {
    const std::lock_guard lock(mutex_);
    return cut_;
  }
  // So many LOAD MYSQL SERVERS so far.
  [[nodiscard]] int loads() {
    const std::lock_guard lock(mutex_);
    return loads_;
  }
  // Another hand in the tables, right after each LOAD.
  void after_load(std::string statement) {
    const std::lock_guard lock(mutex_);
    after_load_ = std::move(statement);
  }

 private:
  using Row = std::vector<std::optional<std::string>>;
  struct Result {
    std::vector<std::string> columns;
    std::vector<Row> rows;
    std::string error;
  };
  struct Session {
    explicit Session(boost::asio::ip::tcp::socket s) : socket(std::move(s)) {}
    boost::asio::ip::tcp::socket socket;
    std::array<unsigned char, 4> header{};
    std::vector<unsigned char> body;
    bool is_in = false;
  };
  using SessionAt = std::list<Session>::iterator;

  static constexpr const char* kUser = "agent";
  static constexpr const char* kPassword = "secret";
  static constexpr std::string_view kScramble = "abcdefghijklmnopqrst";

  void start(uint16_t port) {
    acceptor_.emplace(
        io_, boost::asio::ip::tcp::endpoint(boost::asio::ip::address_v4::loopback(), port));
    port_ = acceptor_->local_endpoint().port();
    accept();
    thread_ = std::thread([this] { io_.run(); });
  }

  void accept() {
    acceptor_->async_accept(
        [this](boost::system::error_code error, boost::asio::ip::tcp::socket socket) {
          if (error) return;
          socket.set_option(boost::asio::ip::tcp::no_delay(true), error);
          const auto session = sessions_.emplace(sessions_.end(), std::move(socket));
          greet(session);
          accept();
        });
  }

  void greet(SessionAt session) {
    if (manner_ == Manner::kHangs) return;
    if (manner_ == Manner::kGarbage) {
      boost::system::error_code ignored;
      boost::asio::write(session->socket,
                         boost::asio::buffer(std::string("HTTP/1.1 400 Bad Request\r\n\r\n")),
                         ignored);
      session->socket.close();
      return;
    }
    std::string text =
        "\x0a"
        "8.0.11 (ProxySQL Admin Module)";
    text += std::string("\0\1\0\0\0", 5) + std::string(kScramble.substr(0, 8)) + '\0';
    text += std::string("\x0d\xa2\x21\x02\0\x08\0\x15", 8) + std::string(10, '\0');
    text += std::string(kScramble.substr(8)) + '\0' + "mysql_native_password" + '\0';
    send(session, 0, text);
    read(session);
  }

  void read(SessionAt session) {
    using boost::asio::buffer;
    boost::asio::async_read(session->socket, buffer(session->header),
                            [this, session](auto error, size_t) {
                              if (error) return end(session, error);
                              const auto& h = session->header;
                              session->body.resize(h[0] | (h[1] << 8) | (h[2] << 16));
                              boost::asio::async_read(session->socket, buffer(session->body),
                                                      [this, session](auto failed, size_t) {
                                                        if (failed) return end(session, failed);
                                                        take(session);
                                                      });
                            });
  }

  void end(SessionAt session, boost::system::error_code error) {
    if (error != boost::asio::error::operation_aborted) sessions_.erase(session);
  }

  void take(SessionAt session) {
    const std::string body(session->body.begin(), session->body.end());
    const uint8_t sequence = session->header[3] + 1;
    if (!session->is_in) {
      if (!is_welcome(body)) {
        send_error(session, sequence, 1045,
                   "ProxySQL Error: Access denied for user (using password: YES)");
        sessions_.erase(session);
        return;
      }
      session->is_in = true;
      send(session, sequence, std::string("\0\0\0\2\0\0\0", 7));
    } else if (body[0] == 3) {
      if (manner_ == Manner::kHangs) return;  // and never reads again
      const std::lock_guard lock(mutex_);
      answer(session, command(body.substr(1)));
    } else {
      send(session, sequence, std::string("\0\0\0\2\0\0\0", 7));
    }
    read(session);
  }

  static bool is_welcome(const std::string& body) {
    if (body.size() < 33) return false;
    const std::string user = body.c_str() + 32;
    const size_t at = 32 + user.size() + 1;
    if (user != kUser || body.size() < at + 21 || body[at] != 20) return false;
    using Digest = std::array<unsigned char, SHA_DIGEST_LENGTH>;
    const auto sha1 = [](const std::string& text) {
      Digest digest;
      SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
      return std::string(digest.begin(), digest.end());
    };
    const std::string once = sha1(kPassword);
    std::string expected = sha1(std::string(kScramble) + sha1(once));
    for (size_t i = 0; i < expected.size(); ++i) expected[i] ^= once[i];
    return body.substr(at + 1, 20) == expected;
  }

  Result command(const std::string& text) {
    const auto copy = [this](const std::string& from, const std::string& to) {
      return run("DELETE FROM " + to + "; INSERT INTO " + to + " SELECT * FROM " + from);
    };
    if (text == "SAVE MYSQL SERVERS TO MEMORY") {
      copy("runtime_mysql_servers", "mysql_servers");
      return run("UPDATE mysql_servers SET status = 'ONLINE' WHERE status = 'SHUNNED'");
    }
    if (text == "LOAD MYSQL SERVERS TO RUNTIME") {
      ++loads_;
      const Result gone =
          run("SELECT COUNT(*) FROM runtime_mysql_servers r JOIN stats_mysql_processlist p ON"
              " p.hostgroup = r.hostgroup_id AND p.srv_host = r.hostname AND p.srv_port = r.port"
              " WHERE p.command = 'Query' AND NOT EXISTS (SELECT 1 FROM mysql_servers m WHERE"
              " m.hostgroup_id = r.hostgroup_id AND m.hostname = r.hostname AND m.port = r.port)");
      cut_ += std::stoi(gone.rows.at(0).at(0).value());
      copy("mysql_servers", "runtime_mysql_servers");
      return run(after_load_.empty() ? "SELECT 1 WHERE 0" : after_load_);
    }
    if (text == "SAVE MYSQL SERVERS TO DISK") return copy("mysql_servers", "disk_mysql_servers");
    if (text == "LOAD MYSQL QUERY RULES TO RUNTIME")
      return copy("mysql_query_rules", "runtime_mysql_query_rules");
    if (text == "SAVE MYSQL QUERY RULES TO DISK")
      return copy("mysql_query_rules", "disk_mysql_query_rules");
    return run(text);
  }

  Result run(const std::string& statements) {
    Result result;
    const char* rest = statements.c_str();
    while (*rest != '\0') {
      sqlite3_stmt* statement = nullptr;
      if (sqlite3_prepare_v2(db_, rest, -1, &statement, &rest) != SQLITE_OK) {
        result.error = sqlite3_errmsg(db_);
        return result;
      }
      if (statement == nullptr) break;
      result = {};
      for (int i = 0; i < sqlite3_column_count(statement); ++i) {
        result.columns.emplace_back(sqlite3_column_name(statement, i));
      }
      int step = SQLITE_OK;
      while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
        Row& row = result.rows.emplace_back();
        for (int i = 0; i < sqlite3_column_count(statement); ++i) {
          const auto* value = reinterpret_cast<const char*>(sqlite3_column_text(statement, i));
          row.push_back(value == nullptr ? std::nullopt : std::optional<std::string>(value));
        }
      }
      if (step != SQLITE_DONE) result.error = sqlite3_errmsg(db_);
      sqlite3_finalize(statement);
      if (!result.error.empty()) return result;
    }
    return result;
  }

  // --- The protocol

  static std::string length_encoded(const std::string& text) {
    std::string size;
    if (text.size() < 251) {
      size = static_cast<char>(text.size());
    } else {
      size = {'\xfc', static_cast<char>(text.size() & 0xff), static_cast<char>(text.size() >> 8)};
    }
    return size + text;
  }

  void answer(SessionAt session, const Result& result) {
    static const std::string kEof("\xfe\0\0\2\0", 5);
    uint8_t sequence = 1;
    if (!result.error.empty()) {
      return send_error(session, sequence, 1045, "ProxySQL Admin Error: " + result.error);
    }
    if (result.columns.empty()) return send(session, sequence, std::string("\0\0\0\2\0\0\0", 7));
    send(session, sequence++, std::string(1, static_cast<char>(result.columns.size())));
    for (const auto& name : result.columns) {
      send(session, sequence++,
           length_encoded("def") + std::string(3, '\0') + length_encoded(name) +
               std::string(1, '\0') + std::string("\x0c\x21\0\0\4\0\0\xfd\0\0\0\0\0", 13));
    }
    send(session, sequence++, kEof);
    for (const auto& row : result.rows) {
      std::string text;
      for (const auto& value : row) text += value ? length_encoded(*value) : std::string("\xfb");
      send(session, sequence++, text);
    }
    send(session, sequence, kEof);
  }

  void send_error(SessionAt session, uint8_t sequence, uint16_t number, const std::string& text) {
    send(session, sequence,
         std::string{'\xff', static_cast<char>(number & 0xff), static_cast<char>(number >> 8)} +
             "#28000" + text);
  }

  void send(SessionAt session, uint8_t sequence, const std::string& text) {
    const std::string header{static_cast<char>(text.size() & 0xff),
                             static_cast<char>((text.size() >> 8) & 0xff),
                             static_cast<char>(text.size() >> 16), static_cast<char>(sequence)};
    boost::system::error_code ignored;
    boost::asio::write(session->socket, boost::asio::buffer(header + text), ignored);
  }

  sqlite3* db_ = nullptr;
  std::mutex mutex_;
  int cut_ = 0;
  int loads_ = 0;
  std::string after_load_;
  std::atomic<Manner> manner_ = Manner::kWell;
  boost::asio::io_context io_;
  std::optional<boost::asio::ip::tcp::acceptor> acceptor_;
  uint16_t port_ = 0;
  std::list<Session> sessions_;
  std::thread thread_;
};

}  // namespace active_master::agent
