// What can be told from GTID sets and version texts alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "plugin/core/jobs.h"

namespace active_master {

template <typename Function>
void for_each_part(std::string_view text, char separator, Function function) {
  while (!text.empty()) {
    const auto end = text.find(separator);
    function(text.substr(0, end));
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

// Transactions in `own` (a gtid_binlog_state) that the server `server_id` originated beyond what
// `other` has of it, as text; empty when there are none. These exist on one side only.
[[nodiscard]] std::string errant_transactions(std::string_view own, std::string_view other,
                                              uint32_t server_id);

// What of `own` (a gtid_binlog_state) is not in `other`, by the domains and servers in it, as far
// as these servers originated it; as text, empty if nothing.
[[nodiscard]] std::string missing_transactions(std::string_view own, std::string_view other,
                                               const std::vector<uint32_t>& servers);

// One row for each of the others: whether it has transactions that `own` lacks.
[[nodiscard]] std::vector<CheckRow> compare_with(const std::vector<ApplyJob::Other>& others,
                                                 std::string_view own,
                                                 const std::vector<uint32_t>& servers);

// "10.11.19-MariaDB-..." as a number that can be compared; 0 if it is none.
[[nodiscard]] uint64_t version_number(std::string_view version);

// The number that the text begins with; 0 if none.
[[nodiscard]] uint64_t number(std::string_view text);

}  // namespace active_master
