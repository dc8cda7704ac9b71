#include "plugin/server/transaction_summary.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "plugin/server/gtid.h"

namespace active_master {
namespace {

constexpr size_t kMaxTables = 20;  // in the text

// DOMAIN-SERVER- and the number.
std::pair<std::string, uint64_t> split(std::string_view gtid) {
  const auto end = gtid.rfind('-');
  if (end == std::string_view::npos) return {};
  return {std::string(gtid.substr(0, end + 1)), number(gtid.substr(end + 1))};
}

std::string_view after(std::string_view text, std::string_view what) {
  const auto at = text.find(what);
  return at == std::string_view::npos ? std::string_view() : text.substr(at + what.size());
}

}  // namespace

TransactionSummary::TransactionSummary(std::string_view gtids) {
  for_each_part(gtids, ',', [&](std::string_view part) {
    part.remove_prefix(std::min(part.find_first_not_of(' '), part.size()));
    const auto [source, first] = split(part.substr(0, part.find(' ')));
    if (source.empty()) return;
    const auto to = after(part, " to ");
    ranges_.push_back({source, first, to.empty() ? first : split(to).second});
  });
}

void TransactionSummary::add(std::string_view type, std::string_view info) {
  if (type == "Gtid") {  // "BEGIN GTID 0-1-7", or "GTID 0-1-7" of a statement that is not row-based
    const auto text = after(info, "GTID ");
    const auto [source, sequence] = split(text.substr(0, text.find(' ')));
    inside_ = std::ranges::any_of(ranges_, [&, &s = source, n = sequence](const Range& range) {
      return range.source == s && n >= range.first && n <= range.last;
    });
    transactions_ += inside_ ? 1 : 0;
  } else if (inside_ && type == "Table_map") {  // "table_id: 31 (shop.item)"
    const auto name = after(info, "(");
    changes(name.substr(0, name.rfind(')')));
  } else if (inside_ && type == "Query") {  // "use `shop`; CREATE TABLE ..."
    const auto database = after(info, "use `");
    if (!database.empty()) changes(database.substr(0, database.find('`')));
  }
}

void TransactionSummary::changes(std::string_view table) {
  auto& entry = tables_[std::string(table)];
  if (entry.last == transactions_) return;
  entry.last = transactions_;
  ++entry.transactions;
}

bool TransactionSummary::begins_before(std::string_view gtid_list) const {
  bool begins = false;
  for_each_part(gtid_list, ',', [&](std::string_view gtid) {
    gtid.remove_prefix(std::min(gtid.find_first_not_of("[ \n"), gtid.size()));
    const auto [source, sequence] = split(gtid);
    begins |= std::ranges::any_of(ranges_, [&, &s = source, n = sequence](const Range& range) {
      return range.source == s && range.first <= n;
    });
  });
  return begins;
}

std::string TransactionSummary::text() const {
  std::string text =
      std::to_string(transactions_) + (transactions_ == 1 ? " transaction" : " transactions");
  size_t count = 0;
  for (const auto& [table, entry] : tables_) {
    if (++count > kMaxTables) return text + ", ...";
    text += (count == 1 ? ", in " : ", ") + table + " (" + std::to_string(entry.transactions) + ")";
  }
  return text;
}

}  // namespace active_master
