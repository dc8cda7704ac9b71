#include "plugin/net/doorkeeper.h"

#include <gtest/gtest.h>

namespace active_master {
namespace {

using std::chrono::milliseconds;

const auto kNow = Doorkeeper::Clock::now();

boost::asio::ip::address ip(const char* text) {
  return boost::asio::ip::make_address(text);
}

TEST(Doorkeeper, LimitsConnectionsPerAddressAndInAll) {
  DoorLimits limits;
  limits.connections = 5;
  limits.connections_per_address = 3;
  Doorkeeper door(limits);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(door.enter(ip("10.0.0.1"), kNow), "");
  EXPECT_EQ(door.enter(ip("10.0.0.1"), kNow), "too many connections from this address");
  EXPECT_EQ(door.enter(ip("10.0.0.2"), kNow), "");
  EXPECT_EQ(door.enter(ip("10.0.0.3"), kNow), "");
  EXPECT_EQ(door.enter(ip("10.0.0.4"), kNow), "too many connections");
  door.leave(ip("10.0.0.1"));
  EXPECT_EQ(door.enter(ip("10.0.0.4"), kNow), "");
}

TEST(Doorkeeper, LimitsFailuresOfAnAddressOverTime) {
  DoorLimits limits;
  limits.failures = 3;
  limits.failure_interval = milliseconds(100);
  Doorkeeper door(limits);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(door.enter(ip("10.0.0.1"), kNow), "");
    door.failed_authentication(ip("10.0.0.1"), kNow);
  }
  EXPECT_EQ(door.enter(ip("10.0.0.1"), kNow), "too many failed authentications from this address");
  EXPECT_EQ(door.enter(ip("10.0.0.2"), kNow), "") << "others may come in";
  EXPECT_EQ(door.enter(ip("10.0.0.1"), kNow + milliseconds(150)), "");
  door.failed_authentication(ip("10.0.0.1"), kNow + milliseconds(150));
  EXPECT_NE(door.enter(ip("10.0.0.1"), kNow + milliseconds(160)), "");
}

TEST(Doorkeeper, TakesTheAddressesOfOneNetworkForOne) {
  DoorLimits limits;
  limits.connections_per_address = 1;
  Doorkeeper door(limits);
  EXPECT_EQ(door.enter(ip("2001:db8::1"), kNow), "");
  EXPECT_NE(door.enter(ip("2001:db8::2"), kNow), "") << "of the same /64";
  EXPECT_EQ(door.enter(ip("2001:db8:0:1::2"), kNow), "");
  EXPECT_EQ(door.enter(ip("10.0.0.1"), kNow), "");
  EXPECT_NE(door.enter(ip("::ffff:10.0.0.1"), kNow), "");
}

TEST(Doorkeeper, RemembersABoundedNumberOfAddresses) {
  Doorkeeper door({});
  for (uint32_t i = 0; i < 100'000; ++i) {
    door.failed_authentication(boost::asio::ip::address_v4(i), kNow);
  }
  EXPECT_EQ(door.enter(ip("10.0.0.1"), kNow), "");
}

}  // namespace
}  // namespace active_master
