// SQL on the server that this plugin is loaded into, through the server's own SQL service: no
// network, no user, all privileges, and not held by the fence.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

struct st_mysql;

namespace active_master {

class SqlError : public std::runtime_error {
 public:
  SqlError(unsigned int number, const std::string& text)
      : std::runtime_error(text + " (" + std::to_string(number) + ")"), number_(number) {}
  [[nodiscard]] unsigned int number() const { return number_; }

 private:
  unsigned int number_;
};

// One row; the column names are the statement's.
using Row = std::map<std::string, std::optional<std::string>, std::less<>>;

// Longer than any statement of ours needs on a healthy server.
inline constexpr std::chrono::seconds kStatementLimit{5};

// Belongs to the thread that made it, which must be known to the server: see ServerThread.
class Session {
 public:
  // The server ends every statement of it that takes longer than `limit`, so that nothing of ours
  // is left waiting there, holding others up or keeping the plugin from being uninstalled: KILL
  // can't do that, as a local session has no thread id.
  explicit Session(std::chrono::microseconds limit = kStatementLimit);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Throws SqlError, also when the server has begun to shut down.
  std::vector<Row> query(const std::string& sql);
  // The one value of the one row; empty text for NULL or no row.
  std::string value(const std::string& sql);

 private:
  st_mysql* mysql_;
};

// Makes the calling thread known to the server for as long as it lives.
class ServerThread {
 public:
  ServerThread();
  ~ServerThread();
  ServerThread(const ServerThread&) = delete;
  ServerThread& operator=(const ServerThread&) = delete;

  // Is the calling thread one of these?
  [[nodiscard]] static bool is_current();
};

// Sets read_only. From MariaDB 12 on it has levels: the one that is set then binds accounts with
// READ ONLY ADMIN, too, and waits for no locks of other sessions.
void set_read_only(Session& session, bool on);

// SQL for 1 if read_only is on, on any level, else 0.
inline constexpr const char* kReadOnlyIsOn = "CAST(@@read_only AS CHAR) NOT IN ('0', 'OFF')";

// The text as an SQL string literal, quotes included.
[[nodiscard]] std::string quoted(std::string_view text);

// True once the server shuts down: no session may be opened any more.
[[nodiscard]] bool server_is_stopping();

// True once SQL that opens tables may be run: before that it would crash the server.
[[nodiscard]] bool server_is_started();

}  // namespace active_master
