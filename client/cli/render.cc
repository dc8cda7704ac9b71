#include "client/cli/render.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

namespace active_master::cli {
namespace {

constexpr std::string_view kMicroseconds = "_US";

// Code points, not bytes: server messages may hold more than ASCII.
size_t width(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string heading(const sql::Column& column) {
  if (!column.name.ends_with(kMicroseconds)) return column.name;
  return column.name.substr(0, column.name.size() - kMicroseconds.size()) + "_MS";
}

std::string text_of(const sql::Column& column, const sql::Value& value) {
  if (!value || value->empty()) return "-";
  if (!column.name.ends_with(kMicroseconds)) return *value;
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", std::strtod(value->c_str(), nullptr) / 1000);
  return text;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

template <typename Number>
std::optional<Number> parse(const std::string& text) {
  Number number = 0;
  const char* end = text.data() + text.size();
  const auto [parsed, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && parsed == end ? std::optional(number) : std::nullopt;
}

Json json_value(const sql::Column& column, const sql::Value& value) {
  if (!value) return nullptr;
  if (!column.numeric) return *value;
  if (const auto number = parse<int64_t>(*value)) return *number;
  if (const auto number = parse<uint64_t>(*value)) return *number;
  return *value;
}

void append_line(std::string& out, const std::vector<std::string>& cells,
                 const std::vector<size_t>& widths, const std::vector<sql::Column>& columns) {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) {
    const std::string padding(widths[i] - width(cells[i]), ' ');
    if (i > 0) line += "  ";
    line += columns[i].numeric ? padding + cells[i] : cells[i] + padding;
  }
  line.erase(line.find_last_not_of(' ') + 1);
  out += line + '\n';
}

}  // namespace

std::string table(const sql::ResultSet& set) {
  if (set.rows.empty()) return "(none)\n";
  std::vector<std::vector<std::string>> lines(1);
  for (const sql::Column& column : set.columns) lines.front().push_back(heading(column));
  for (const sql::Row& row : set.rows) {
    auto& line = lines.emplace_back();
    for (size_t i = 0; i < row.size(); ++i) line.push_back(text_of(set.columns[i], row[i]));
  }
  std::vector<size_t> widths(set.columns.size());
  for (const auto& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], width(line[i]));
  }
  std::string out;
  for (const auto& line : lines) append_line(out, line, widths, set.columns);
  return out;
}

std::string record(const sql::ResultSet& set) {
  if (set.rows.empty()) return "(none)\n";
  size_t widest = 0;
  for (const sql::Column& column : set.columns) {
    widest = std::max(widest, width(heading(column)));
  }
  std::string out;
  for (size_t i = 0; i < set.columns.size(); ++i) {
    const std::string name = heading(set.columns[i]);
    out += std::string(widest - width(name), ' ') + name + ": " +
           text_of(set.columns[i], set.rows.front()[i]) + '\n';
  }
  return out;
}

sql::ResultSet select(const sql::ResultSet& set, const std::vector<std::string_view>& columns) {
  sql::ResultSet chosen;
  std::vector<size_t> from;
  for (const std::string_view name : columns) {
    const auto found = std::find_if(set.columns.begin(), set.columns.end(),
                                    [name](const sql::Column& c) { return c.name == name; });
    if (found == set.columns.end()) continue;
    chosen.columns.push_back(*found);
    from.push_back(static_cast<size_t>(found - set.columns.begin()));
  }
  for (const sql::Row& row : set.rows) {
    sql::Row& values = chosen.rows.emplace_back();
    for (const size_t i : from) values.push_back(row[i]);
  }
  return chosen;
}

Json json_rows(const sql::ResultSet& set) {
  Json rows = Json::array();
  for (const sql::Row& row : set.rows) {
    Json object = Json::object();
    for (size_t i = 0; i < row.size(); ++i) {
      object[lower(set.columns[i].name)] = json_value(set.columns[i], row[i]);
    }
    rows.push_back(std::move(object));
  }
  return rows;
}

Json json_error(const sql::Error& error) {
  return {{"number", error.number()}, {"sqlstate", error.sqlstate()}, {"text", error.what()}};
}

}  // namespace active_master::cli
