#include "plugin/server/transaction_summary.h"

#include <gtest/gtest.h>

namespace active_master {
namespace {

TEST(TransactionSummary, CountsWhatIsNamedAndWhatItChanged) {
  TransactionSummary summary("0-2-7 to 0-2-9, 5-1-3");
  const auto change = [&summary](const char* gtid, const std::vector<const char*>& tables) {
    summary.add("Gtid", std::string("BEGIN GTID ") + gtid);
    for (const auto* table : tables)
      summary.add("Table_map", std::string("table_id: 31 (") + table + ")");
    summary.add("Xid", "COMMIT /* xid=1 */");
  };
  change("0-2-6", {"shop.other"});
  change("0-2-7", {"shop.item", "shop.sale", "shop.item"});
  change("0-1-8", {"shop.other"});
  change("0-2-9", {"shop.item"});
  change("0-2-10", {"shop.other"});
  EXPECT_EQ(summary.text(), "2 transactions, in shop.item (2), shop.sale (1)");
  summary.add("Gtid", "GTID 5-1-3");
  summary.add("Query", "use `stock`; DROP TABLE t");
  EXPECT_EQ(summary.text(), "3 transactions, in shop.item (2), shop.sale (1), stock (1)");
}

TEST(TransactionSummary, KnowsWhichFilesMayHoldThem) {
  const TransactionSummary summary("0-2-7 to 0-2-9, 5-1-3");
  EXPECT_FALSE(summary.begins_before("[]"));
  EXPECT_FALSE(summary.begins_before("[0-1-40,0-2-6]"));
  EXPECT_TRUE(summary.begins_before("[0-1-40,0-2-8]"));
  EXPECT_TRUE(summary.begins_before("[0-2-2,\n5-1-3]"));
}

TEST(TransactionSummary, GarbageIsNothing) {
  TransactionSummary summary(", x, 0-2- to , - to -");
  summary.add("Gtid", "");
  summary.add("Gtid", "BEGIN GTID");
  summary.add("Table_map", "(");
  summary.add("Query", "use `");
  EXPECT_EQ(summary.text(), "0 transactions");
  EXPECT_FALSE(summary.begins_before("x"));
}

TEST(TransactionSummary, LongListsAreCut) {
  TransactionSummary summary("0-2-1");
  summary.add("Gtid", "BEGIN GTID 0-2-1");
  for (int i = 0; i < 30; ++i)
    summary.add("Table_map", "table_id: 1 (s.t" + std::to_string(10 + i) + ")");
  EXPECT_TRUE(summary.text().ends_with("s.t29 (1), ..."));
}

}  // namespace
}  // namespace active_master
