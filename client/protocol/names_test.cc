#include "client/protocol/names.h"

#include <gtest/gtest.h>

namespace active_master {
namespace {

TEST(Names, AcceptsWhatNeedsNoQuoting) {
  for (const auto* name : {"node1", "a", "db-1.example.com", "9_x"})
    EXPECT_TRUE(is_valid_name(name)) << name;
  EXPECT_TRUE(is_valid_name(std::string(kMaxNameLength, 'a')));
}

TEST(Names, RefusesEverythingElse) {
  for (const auto* name :
       {"", "-a", ".a", "_a", "a b", "a'b", "a`b", "a\"b", "a;b", "nöde", "a\n"}) {
    EXPECT_FALSE(is_valid_name(name)) << name;
  }
  EXPECT_FALSE(is_valid_name(std::string(kMaxNameLength + 1, 'a')));
  EXPECT_FALSE(is_valid_name(std::string_view("a\0b", 3)));
}

TEST(Addresses, Parse) {
  EXPECT_EQ(parse_address("127.0.0.1:3306"), (Address{"127.0.0.1", 3306}));
  EXPECT_EQ(parse_address("[::1]:1"), (Address{"::1", 1}));
  EXPECT_EQ(parse_address("[::1]:1")->to_string(), "[::1]:1");
  EXPECT_EQ(parse_address("db.example.com:65535")->to_string(), "db.example.com:65535");
}

TEST(Addresses, RefuseWhatIsNone) {
  for (const auto* text : {"", ":", "a", "a:", ":1", "a:0", "a:65536", "a:1x", "a:-1", "::1:1",
                           "[::1]", "a b:1", "[a:1"}) {
    EXPECT_FALSE(parse_address(text)) << text;
  }
}

TEST(NamedAddresses, ParseAList) {
  std::string error;
  const auto list = parse_named_addresses(" node1=127.0.0.1:1, node2=[::1]:2 ", error);
  ASSERT_TRUE(list) << error;
  EXPECT_EQ(*list, (std::vector<NamedAddress>{{"node1", {"127.0.0.1", 1}}, {"node2", {"::1", 2}}}));
  EXPECT_TRUE(parse_named_addresses("  ", error)->empty());
}

TEST(NamedAddresses, SayWhichItemIsWrong) {
  std::string error;
  EXPECT_FALSE(parse_named_addresses("node1=a:1,node2", error));
  EXPECT_EQ(error, "'node2' is not of the form name=host:port");
  EXPECT_FALSE(parse_named_addresses("node1=a:1,", error));
  EXPECT_FALSE(parse_named_addresses("node1=a:1,node1=b:2", error));
  EXPECT_EQ(error, "'node1' is there twice");
}

}  // namespace
}  // namespace active_master
