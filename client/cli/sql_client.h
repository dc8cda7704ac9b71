// SQL over libmariadb: connections that close themselves, results as values, one type of error.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

struct st_mysql;

namespace active_master::sql {

struct Tls {
  bool required = false;
  bool verify_server = false;
  std::string ca;
  std::string ca_path;
  std::string certificate;
  std::string key;
  std::string cipher;
};

// What is empty or zero is left to libmariadb's own default.
struct Options {
  std::string host;
  uint16_t port = 0;
  std::string socket;
  std::string user;
  std::optional<std::string> password;
  std::string schema;
  std::chrono::seconds connect_timeout{10};
  std::chrono::seconds read_timeout{0};
  Tls tls;
};

class Error : public std::runtime_error {
 public:
  enum class Stage { kConnect, kStatement };

  Error(Stage stage, unsigned number, std::string sqlstate, const std::string& text)
      : std::runtime_error(text), stage_(stage), number_(number), sqlstate_(std::move(sqlstate)) {}

  [[nodiscard]] Stage stage() const { return stage_; }
  [[nodiscard]] unsigned number() const { return number_; }
  [[nodiscard]] const std::string& sqlstate() const { return sqlstate_; }
  // The connection is gone, so what the statement did is unknown.
  [[nodiscard]] bool connection_lost() const;

 private:
  Stage stage_;
  unsigned number_;
  std::string sqlstate_;
};

struct Column {
  std::string name;
  bool numeric = false;
};

using Value = std::optional<std::string>;  // nullopt: NULL
using Row = std::vector<Value>;

struct ResultSet {
  std::vector<Column> columns;
  std::vector<Row> rows;

  // The value in the first row; nullopt for NULL, for no row and for no such column.
  [[nodiscard]] Value first(std::string_view column) const;
};

// One connection, for one thread at a time. Everything throws Error.
class Connection {
 public:
  explicit Connection(const Options& options);

  // All result sets of a statement; those without columns (an OK) are left out.
  std::vector<ResultSet> query(std::string_view statement);
  // The first value of the first row of the first result set.
  Value value(std::string_view statement);
  void execute(std::string_view statement) { (void)query(statement); }

  [[nodiscard]] uint64_t thread_id() const;

 private:
  struct Close {
    void operator()(st_mysql* handle) const;
  };

  std::unique_ptr<st_mysql, Close> handle_;
};

}  // namespace active_master::sql
