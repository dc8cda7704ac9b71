#include "plugin/core/durable.h"

#include <gtest/gtest.h>

#include <boost/crc.hpp>

namespace active_master {
namespace {

Durable full() {
  Durable durable;
  durable.identity = {"cluster", "node1", 7};
  durable.role = Role::kActive;
  durable.epoch = {42};
  durable.active_node = "node1";
  durable.active_address = "127.0.0.1:3306";
  durable.intent = Intent{{1}, {43}, "node2"};
  durable.grant = Grant{{2}, {44}, "node3", "0-1-100"};
  durable.promise = Promise{{102}, "node3"};
  return durable;
}

TEST(Durable, IsReadAsWritten) {
  std::string error;
  const auto stored = parse_durable(serialize(full(), 7), error);
  ASSERT_TRUE(stored) << error;
  EXPECT_EQ(stored->durable, full());
  EXPECT_EQ(stored->serial, 7U);
  const auto none = parse_durable(serialize(Durable{}, 0), error);
  ASSERT_TRUE(none) << error;
  EXPECT_EQ(none->durable, Durable{});
}

TEST(Durable, ATornOrChangedTextIsRecognised) {  // S46
  const std::string text = serialize(full(), 7);
  for (size_t size = 0; size < text.size(); ++size) {
    std::string error;
    EXPECT_FALSE(parse_durable(text.substr(0, size), error)) << size;
    EXPECT_NE(error, "");
  }
  for (size_t at = 0; at + 1 < text.size(); ++at) {
    std::string changed = text;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    std::string error;
    EXPECT_FALSE(parse_durable(changed, error)) << at;
  }
}

// Nobody writes such a file, but it was read past its end.
TEST(Durable, AChecksumInTheMiddleOfALineIsNone) {
  std::string text = "active_master state 1\nnode";
  boost::crc_32_type crc;
  crc.process_bytes(text.data(), text.size());
  text += "checksum=" + std::to_string(crc.checksum()) + "\n";
  std::string error;
  EXPECT_FALSE(parse_durable(text, error));
  EXPECT_EQ(error, "its checksum is missing or wrong");
}

}  // namespace
}  // namespace active_master
