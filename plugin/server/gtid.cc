#include "plugin/server/gtid.h"

#include <algorithm>
#include <charconv>
#include <map>

namespace active_master {
namespace {

// Which transactions a server originated: sequence number by domain.
std::map<uint64_t, uint64_t> originated_by(std::string_view binlog_state, uint32_t server_id) {
  std::map<uint64_t, uint64_t> newest;
  for_each_part(binlog_state, ',', [&](std::string_view gtid) {
    const auto first = gtid.find('-');
    const auto last = gtid.rfind('-');
    if (first == std::string_view::npos || first == last) return;
    if (number(gtid.substr(first + 1, last - first - 1)) != server_id) return;
    auto& sequence = newest[number(gtid.substr(0, first))];
    sequence = std::max(sequence, number(gtid.substr(last + 1)));
  });
  return newest;
}

}  // namespace

uint64_t number(std::string_view text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string errant_transactions(std::string_view own, std::string_view other, uint32_t server_id) {
  const auto known = originated_by(other, server_id);
  std::string text;
  for (const auto& [domain, sequence] : originated_by(own, server_id)) {
    const auto it = known.find(domain);
    if (it != known.end() && it->second >= sequence) continue;
    text += (text.empty() ? "up to " : ", ") + std::to_string(domain) + "-" +
            std::to_string(server_id) + "-" + std::to_string(sequence);
  }
  return text;
}

std::string missing_transactions(std::string_view own, std::string_view other,
                                 const std::vector<uint32_t>& servers) {
  std::string text;
  for (const auto server : servers) {
    const auto known = originated_by(other, server);
    for (const auto& [domain, sequence] : originated_by(own, server)) {
      const auto it = known.find(domain);
      const uint64_t last_known = it == known.end() ? 0 : it->second;
      if (last_known >= sequence) continue;
      const auto head = std::to_string(domain) + "-" + std::to_string(server) + "-";
      text += (text.empty() ? "" : ", ") + head + std::to_string(last_known + 1);
      if (last_known + 1 < sequence) text += " to " + head + std::to_string(sequence);
    }
  }
  return text;
}

std::vector<CheckRow> compare_with(const std::vector<ApplyJob::Other>& others, std::string_view own,
                                   const std::vector<uint32_t>& servers) {
  std::vector<CheckRow> rows;
  for (const auto& other : others) {
    const auto missing = missing_transactions(other.gtids, own, servers);
    const char* check = other.answered ? "transactions" : "transactions, as last heard";
    if (missing.empty()) {
      rows.push_back({other.node, check, Verdict::kOk, "it has none that this node lacks", ""});
    } else {
      rows.push_back({other.node, check, other.answered ? Verdict::kFailed : Verdict::kWarning,
                      "has " + cut(missing) + ", which this node lacks",
                      "choose that node, or they are lost"});
    }
  }
  return rows;
}

uint64_t version_number(std::string_view version) {
  uint64_t result = 0;
  int parts = 0;
  for_each_part(version.substr(0, version.find('-')), '.', [&](std::string_view part) {
    if (parts++ < 3) result = result * 1000 + number(part);
  });
  return parts == 3 ? result : 0;
}

}  // namespace active_master
