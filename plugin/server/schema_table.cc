#include "plugin/server/schema_table.h"

#include <m_ctype.h>
#include <my_sys.h>
#include <mysql_time.h>
#include <mysqld_error.h>

#include <algorithm>
#include <exception>
#include <stdexcept>
#include <string>

// --- What the server exports, called by its mangled name ---

// A name that this server doesn't have makes INSTALL SONAME fail, which is safe. No method is
// called through a vtable, whose layout we'd have to know.

class Field;

enum privilege_t : unsigned long long;
bool check_global_access(THD* thd, privilege_t wanted, bool no_errors);  // true: it is not granted

class Field_varstring {
 public:
  int store(const char* from, size_t length, CHARSET_INFO* charset);
};

class Field_longlong {
 public:
  int store(longlong value, bool is_unsigned);
};

class Field_datetime {
 public:
  int store_time_dec(const MYSQL_TIME* time, uint decimals);
};

int set_field_to_null(Field* field);
bool schema_table_store_record(THD* thd, TABLE* table);

// The classes of the fields that the server makes for our columns, told apart by their vtables.
extern "C" {
extern const void* const varstring_vtable[] __asm__("_ZTV15Field_varstring");
extern const void* const longlong_vtable[] __asm__("_ZTV14Field_longlong");
extern const void* const datetime_vtable[] __asm__("_ZTV15Field_datetimef");
extern const void* const string_vtable[] __asm__("_ZTV12Field_string");
}

namespace active_master {
namespace {

// --- What the server keeps private (10.11, 64 bit) ---

// ST_SCHEMA_TABLE.
struct SchemaTable {
  const char* table_name;
  const Column* fields_info;
  int (*reset_table)();
  FillFunction fill_table;
  int (*old_format)(THD*, SchemaTable*);
  int (*process_table)(THD*, TABLE_LIST*, TABLE*, bool, const void*, const void*);
  int idx_field1;
  int idx_field2;
  bool hidden;
  uint i_s_requested_object;
};

constexpr size_t kTableListTable = 264;  // TABLE_LIST::table
constexpr size_t kTableInUse = 64;       // TABLE::in_use, the session that reads the table
constexpr size_t kTableField = 168;      // TABLE::field, an array that ends with nullptr
constexpr size_t kFieldNullByte = 16;    // Field::null_ptr, nullptr if the column is NOT NULL
constexpr size_t kFieldTable = 24;       // Field::table
constexpr size_t kFieldName = 48;        // Field::field_name

template <class T>
T read_at(const void* object, size_t offset) {
  return *reinterpret_cast<const T*>(static_cast<const char*>(object) + offset);
}

// The vtable pointer of an object points behind two words: offset to top and type information.
bool is_a(const void* field, const void* const* vtable) {
  return read_at<const void*>(field, 0) == vtable + 2;
}

// The server makes an empty CHAR(0) of a column that the query doesn't use; none of ours is a CHAR.
bool is_placeholder(const void* field) {
  return is_a(field, string_vtable);
}

bool is_field_for(const void* field, const Type_handler* type) {
  if (type == &type_handler_varchar) return is_a(field, varstring_vtable);
  if (type == &type_handler_datetime2) return is_a(field, datetime_vtable);
  return is_a(field, longlong_vtable);
}

void* const* fields_of(const TABLE* table) {
  return read_at<void* const*>(table, kTableField);
}

void require(bool holds, const char* what) {
  if (holds) return;
  throw std::runtime_error(std::string("this server lays out INFORMATION_SCHEMA tables in another "
                                       "way than the plugin was built for (") +
                           what + "); use a plugin built for this server version");
}

// A null bit is shared with other columns in one byte, and its position is known to the server
// only. So let it set the bit in an empty byte, and look which one it is.
uchar null_bit_of(void* field, uchar* null_byte) {
  uchar before = *null_byte;
  *null_byte = 0;
  set_field_to_null(static_cast<Field*>(field));
  uchar bit = *null_byte;
  *null_byte = before;
  return bit;
}

void set_not_null(void* field) {
  auto* null_byte = read_at<uchar*>(field, kFieldNullByte);
  if (null_byte == nullptr) return;
  auto others = static_cast<uchar>(~null_bit_of(field, null_byte));
  *null_byte &= others;
}

// --- Values ---

bool continues_character(char byte) {
  return (static_cast<uchar>(byte) & 0xC0) == 0x80;
}

// Length of the well-formed character that the text begins with; 0 if there is none that the
// server's utf8mb3, which ends at U+FFFF, can hold.
size_t character_length(std::string_view text) {
  auto first = static_cast<uchar>(text[0]);
  auto second = static_cast<uchar>(text.size() > 1 ? text[1] : 0);
  if (first < 0x80) return 1;
  if (!continues_character(static_cast<char>(second))) return 0;
  if (first >= 0xC2 && first < 0xE0) return 2;
  if (first < 0xE0 || first >= 0xF0) return 0;
  if (text.size() < 3 || !continues_character(text[2])) return 0;
  bool overlong = first == 0xE0 && second < 0xA0;
  bool surrogate = first == 0xED && second >= 0xA0;
  return overlong || surrogate ? 0 : 3;
}

// Texts come from other machines, too. The server would refuse a bad one in strict mode
// (CREATE TABLE ... SELECT), and a table that shows trouble must not add some.
std::string storable(std::string_view text, size_t max_characters) {
  std::string result;
  for (size_t count = 0; count < max_characters && !text.empty(); ++count) {
    size_t length = character_length(text);
    if (length > 0) {
      result += text.substr(0, length);
    } else {
      result += '?';
      length = 1;
      while (length < text.size() && continues_character(text[length])) ++length;
    }
    text.remove_prefix(length);
  }
  return result;
}

MYSQL_TIME local_time(THD* thd, WallTime value) {
  constexpr WallTime kSecond = 1'000'000;
  constexpr WallTime kLast = 253'402'214'400;  // the last day of the year 9999, in any time zone
  MYSQL_TIME result{};
  thd_gmt_sec_to_TIME(thd, &result, static_cast<my_time_t>(std::min(value / kSecond, kLast)));
  result.second_part = value % kSecond;
  result.time_type = MYSQL_TIMESTAMP_DATETIME;
  return result;
}

// PROCESS_ACL of the server's private privilege.h; mtr-tests show that it is this privilege.
constexpr auto kProcessPrivilege = static_cast<privilege_t>(1ULL << 8);

// Ends a fill whose error the server has already reported.
struct AlreadyReported {};

}  // namespace

RowWriter::RowWriter(THD* thd, TABLE_LIST* tables, const Column* columns)
    : thd_(thd),
      table_(read_at<TABLE*>(tables, kTableListTable)),
      columns_(columns),
      may_see_accounts_(!check_global_access(thd, kProcessPrivilege, true)) {
  check_layout();
}

void RowWriter::check_layout() const {
  require(table_ != nullptr && read_at<THD*>(table_, kTableInUse) == thd_, "TABLE::in_use");
  void* const* fields = fields_of(table_);
  require(fields != nullptr, "TABLE::field");
  for (const Column* column = columns_; column->type != nullptr; ++column, ++fields) {
    const void* field = *fields;
    require(field != nullptr, "number of columns");
    require(read_at<TABLE*>(field, kFieldTable) == table_, "Field::table");
    auto name = read_at<Column::Text>(field, kFieldName);
    require(name.data == column->name.data && name.size == column->name.size, "Field::field_name");
    if (is_placeholder(field)) continue;
    require(is_field_for(field, column->type), "class of a field");
    bool nullable = read_at<uchar*>(field, kFieldNullByte) != nullptr;
    require(nullable == (column->nullable == 1), "Field::null_ptr");
  }
  require(*fields == nullptr, "number of columns");
}

void* RowWriter::next_field(const Type_handler& type) {
  const Column& column = columns_[position_];
  if (column.type != &type) {
    throw std::logic_error("a value of the wrong type for column " + std::to_string(position_ + 1));
  }
  void* field = fields_of(table_)[position_++];
  if (is_placeholder(field)) return nullptr;
  set_not_null(field);
  return field;
}

RowWriter& RowWriter::text(std::string_view value) {
  unsigned length = columns_[position_].length;
  if (void* field = next_field(type_handler_varchar)) {
    std::string stored = storable(value, length);
    static_cast<Field_varstring*>(field)->store(stored.data(), stored.size(),
                                                &my_charset_utf8mb3_general_ci);
  }
  return *this;
}

RowWriter& RowWriter::integer(int64_t value) {
  if (void* field = next_field(type_handler_slonglong)) {
    static_cast<Field_longlong*>(field)->store(value, false);
  }
  return *this;
}

RowWriter& RowWriter::counter(uint64_t value) {
  if (void* field = next_field(type_handler_ulonglong)) {
    static_cast<Field_longlong*>(field)->store(static_cast<longlong>(value), true);
  }
  return *this;
}

RowWriter& RowWriter::time(WallTime value) {
  if (void* field = next_field(type_handler_datetime2)) {
    MYSQL_TIME shown = local_time(thd_, value);
    static_cast<Field_datetime*>(field)->store_time_dec(&shown, 6);
  }
  return *this;
}

RowWriter& RowWriter::about_accounts(std::string_view value) {
  if (value.empty()) return columns_[position_].nullable != 0 ? null() : text(value);
  return text(may_see_accounts_ ? value : "(needs the PROCESS privilege)");
}

RowWriter& RowWriter::null() {
  const Column& column = columns_[position_];
  if (column.nullable == 0) {
    throw std::logic_error("NULL for column " + std::to_string(position_ + 1));
  }
  void* field = fields_of(table_)[position_++];
  if (!is_placeholder(field)) set_field_to_null(static_cast<Field*>(field));
  return *this;
}

void RowWriter::end_row() {
  if (columns_[position_].type != nullptr) {
    throw std::logic_error("a row ends before column " + std::to_string(position_ + 1));
  }
  position_ = 0;
  if (schema_table_store_record(thd_, table_)) throw AlreadyReported{};
}

int declare_table(void* schema_table, const Column* columns, FillFunction fill) {
  auto* table = static_cast<SchemaTable*>(schema_table);
  // So does the server hand it over: anything else isn't the structure that we know.
  if (table->fields_info != nullptr || table->fill_table != nullptr || table->idx_field1 != -1 ||
      table->idx_field2 != -1) {
    my_printf_error(ER_UNKNOWN_ERROR,
                    "active_master: this server declares INFORMATION_SCHEMA tables in another way "
                    "than the plugin was built for",
                    MYF(ME_ERROR_LOG));
    return 1;
  }
  table->fields_info = columns;
  table->fill_table = fill;
  return 0;
}

int fill_table(THD* thd, TABLE_LIST* tables, const Column* columns,
               const std::function<void(RowWriter&)>& produce) {
  try {
    RowWriter rows(thd, tables, columns);
    produce(rows);
    return 0;
  } catch (const AlreadyReported&) {
  } catch (const std::exception& error) {
    my_printf_error(ER_UNKNOWN_ERROR, "active_master: %s", MYF(0), error.what());
  } catch (...) {
    my_printf_error(ER_UNKNOWN_ERROR, "active_master: unknown error in a table", MYF(0));
  }
  return 1;
}

}  // namespace active_master
