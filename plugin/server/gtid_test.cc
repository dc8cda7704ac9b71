#include "plugin/server/gtid.h"

#include <gtest/gtest.h>

namespace active_master {
namespace {

TEST(ErrantTransactions, NoneWhenTheOtherHasAllThatThisServerOriginated) {
  EXPECT_EQ(errant_transactions("0-1-10,0-2-7", "0-1-12,0-2-7", 2), "");
  EXPECT_EQ(errant_transactions("0-1-10", "0-1-9", 2), "") << "what server 1 wrote is not ours";
  EXPECT_EQ(errant_transactions("", "0-1-9", 2), "");
}

TEST(ErrantTransactions, AreNamedByDomain) {
  EXPECT_EQ(errant_transactions("0-1-10,0-2-8", "0-1-12,0-2-7", 2), "up to 0-2-8");
  EXPECT_EQ(errant_transactions("0-2-8,5-2-1", "0-1-12", 2), "up to 0-2-8, 5-2-1");
}

TEST(ErrantTransactions, GarbageIsNoTransaction) {
  EXPECT_EQ(errant_transactions("x,0-2,-,0-2-", "", 2), "up to 0-2-0");
}

TEST(VersionNumber, Compares) {
  EXPECT_LT(version_number("10.6.19-MariaDB"), version_number("10.11.2-MariaDB-log"));
  EXPECT_LT(version_number("10.11.9"), version_number("10.11.10"));
  EXPECT_LT(version_number("10.11.19-MariaDB-0+deb12u1"), version_number("11.4.3-MariaDB"));
  EXPECT_EQ(version_number("unknown"), 0u);
}

}  // namespace
}  // namespace active_master
