// What transactions have done, by the events of a binlog.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace active_master {

// Looks at a binlog's events in their order, for transactions that missing_transactions() named.
class TransactionSummary {
 public:
  explicit TransactionSummary(std::string_view gtids);

  // An event as SHOW BINLOG EVENTS tells of it: its Event_type, and its Info.
  void add(std::string_view type, std::string_view info);
  // Is any of them in an older file than the one that begins with this Gtid_list?
  [[nodiscard]] bool begins_before(std::string_view gtid_list) const;
  // "3 transactions, in shop.item (2), shop.sale (1)": for each table how many of them changed it.
  [[nodiscard]] std::string text() const;

 private:
  struct Range {
    std::string source;  // DOMAIN-SERVER-
    uint64_t first = 0;
    uint64_t last = 0;
  };
  void changes(std::string_view table);

  std::vector<Range> ranges_;
  bool inside_ = false;  // one of them
  uint64_t transactions_ = 0;
  struct Table {
    uint64_t transactions = 0;
    uint64_t last = 0;  // of them
  };
  std::map<std::string, Table, std::less<>> tables_;
};

}  // namespace active_master
