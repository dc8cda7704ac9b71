// INFORMATION_SCHEMA tables, made with the server's public headers only.
//
// The structures behind such a table are private to the server, and packages rarely ship their
// headers. This is the one place that knows their layout: what we declare of them stands in
// schema_table.cc and here (Column), and before the first row of each query is written, what the
// server handed us is compared with it. If it differs, the query fails with an error that says so,
// and nothing was written.
#pragma once

#include <my_global.h>
// my_global.h comes before any other header of the server.
#include <mysql/plugin.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "plugin/core/types.h"

struct TABLE;
struct TABLE_LIST;
class Type_handler;
extern const Type_handler type_handler_varchar;
extern const Type_handler type_handler_slonglong;
extern const Type_handler type_handler_ulonglong;
extern const Type_handler type_handler_datetime2;

namespace active_master {

// One column. The layout is the server's ST_FIELD_INFO; an array of them ends with an empty one.
struct Column {
  struct Text {
    const char* data = nullptr;
    size_t size = 0;
  };

  const Type_handler* type = nullptr;
  unsigned length = 0;  // characters of a text, digits of a number, fractional digits of a time
  unsigned unsigned_flag = 0;
  const void* typelib = nullptr;
  Text name;
  int nullable = 0;
  Text old_name;        // that SHOW commands use; we have none
  int open_method = 0;  // no table needs to be opened to fill this column
};

constexpr Column make_column(const Type_handler& type, std::string_view name, unsigned length) {
  Column column;
  column.type = &type;
  column.length = length;
  column.name = {name.data(), name.size()};
  return column;
}

constexpr Column text(std::string_view name, unsigned characters) {
  return make_column(type_handler_varchar, name, characters);
}
constexpr Column integer(std::string_view name) {
  return make_column(type_handler_slonglong, name, 21);
}
constexpr Column counter(std::string_view name) {
  Column column = make_column(type_handler_ulonglong, name, 21);
  column.unsigned_flag = 1;
  return column;
}
constexpr Column time(std::string_view name) {
  return make_column(type_handler_datetime2, name, 6);
}
constexpr Column nullable(Column column) {
  column.nullable = 1;
  return column;
}

// Writes the rows of one query, each of them column by column in the order of the declaration:
//   rows.text("node1").counter(7).null().end_row();
// What doesn't fit the declaration throws std::logic_error before it is written.
class RowWriter {
 public:
  // Throws std::runtime_error if the server's structures aren't laid out as we know them.
  RowWriter(THD* thd, TABLE_LIST* tables, const Column* columns);

  // Cut at the column's length; what isn't valid in the column's character set becomes '?'.
  RowWriter& text(std::string_view value);
  RowWriter& integer(int64_t value);
  RowWriter& counter(uint64_t value);
  // Shown in the session's time zone, as NOW() is.
  RowWriter& time(WallTime value);
  RowWriter& null();

  // A text that may tell of other accounts, such as whose transaction runs for how long. Who may
  // not see the process list reads that here instead. Empty: NULL where the column takes it.
  RowWriter& about_accounts(std::string_view value);

  RowWriter& text_or_null(std::string_view value) { return value.empty() ? null() : text(value); }
  RowWriter& counter_or_null(uint64_t value) { return value == 0 ? null() : counter(value); }
  RowWriter& time_or_null(std::optional<WallTime> value) { return value ? time(*value) : null(); }

  void end_row();

 private:
  // The field to write the next value to; nullptr when the query doesn't read that column.
  void* next_field(const Type_handler& type);
  void check_layout() const;

  THD* thd_;
  TABLE* table_;
  const Column* columns_;
  const bool may_see_accounts_;
  size_t position_ = 0;
};

using FillFunction = int (*)(THD* thd, TABLE_LIST* tables, Item* condition);

// For a plugin's init function: says which columns its table has and who fills it.
// Returns 0, or 1 after writing the reason to the server's log.
int declare_table(void* schema_table, const Column* columns, FillFunction fill);

// For a fill function: runs `produce`, and turns whatever fails into an error of the statement.
int fill_table(THD* thd, TABLE_LIST* tables, const Column* columns,
               const std::function<void(RowWriter&)>& produce);

}  // namespace active_master
