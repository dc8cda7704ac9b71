// Results as people read them (aligned columns) and as scripts do (JSON).
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "client/cli/sql_client.h"

namespace active_master::cli {

// Keeps the order of keys: the order of the columns is the order that makes sense to read.
using Json = nlohmann::ordered_json;

// An aligned table with a heading; NULL is "-". Columns named ..._US (microseconds) show as
// milliseconds. No rows give "(none)".
[[nodiscard]] std::string table(const sql::ResultSet& set);

// The first row, one "name: value" in each line.
[[nodiscard]] std::string record(const sql::ResultSet& set);

// A subset of the columns, in the given order; unknown ones are left out.
[[nodiscard]] sql::ResultSet select(const sql::ResultSet& set,
                                    const std::vector<std::string_view>& columns);

// An array of objects with lower-case keys; numeric columns give numbers.
[[nodiscard]] Json json_rows(const sql::ResultSet& set);

[[nodiscard]] Json json_error(const sql::Error& error);

}  // namespace active_master::cli
