// Who may come in, before anything is known of them: limits in all and per address, so that
// strangers cost the server a bounded number of file descriptors, buffers and log lines. Knows no
// sockets.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <chrono>
#include <cstddef>
#include <map>
#include <string>

namespace active_master {

// docs/security.md lists them.
struct DoorLimits {
  // Thousands of proxies are within the plan; more than this is a fault or an attack, and the
  // server needs its file descriptors for clients.
  size_t connections = 8192;
  size_t connections_per_address = 6144;  // a host with many applications is one address
  // Connections that have not authenticated yet. When there are more, the oldest one goes: an
  // honest peer is through in milliseconds, one that opens connections to block the door is not.
  size_t handshakes = 1024;
  size_t handshakes_per_address = 256;
  // From accepting to Welcome. A peer on the slowest link that makes sense is quicker.
  std::chrono::milliseconds handshake_time{5000};
  // So many failed authentications at once, then one in this time; beyond that the address is not
  // listened to. A peer with a wrong secret dials less often than this, and never shuts out others
  // on its host.
  int failures = 20;
  std::chrono::milliseconds failure_interval{200};
  // Refusals are logged at this rate; the rest is counted.
  int log_lines = 20;
  std::chrono::milliseconds log_interval{5000};
};

// `burst` at once, then one in each interval.
class TokenBucket {
 public:
  using Clock = std::chrono::steady_clock;

  TokenBucket(int burst, std::chrono::milliseconds interval) : burst_(burst), interval_(interval) {}

  [[nodiscard]] bool has_token(Clock::time_point now) const { return tokens(now) >= 1; }
  // False: there was none to take.
  bool take(Clock::time_point now);
  [[nodiscard]] bool is_full(Clock::time_point now) const { return tokens(now) >= burst_; }

 private:
  [[nodiscard]] double tokens(Clock::time_point now) const;

  const int burst_;
  const std::chrono::milliseconds interval_;
  double left_ = burst_;
  Clock::time_point at_{};
};

class Doorkeeper {
 public:
  using Clock = TokenBucket::Clock;
  using Address = boost::asio::ip::address;

  explicit Doorkeeper(const DoorLimits& limits) : limits_(limits) {}

  // Empty: it may come in, and leave() is to be called for it. Else why not.
  [[nodiscard]] std::string enter(const Address& address, Clock::time_point now);
  void leave(const Address& address);

  void failed_authentication(const Address& address, Clock::time_point now);

 private:
  // Of a network that one party can have many addresses in, the network.
  static Address key(const Address& address);
  void forget_the_good(Clock::time_point now);

  const DoorLimits limits_;
  size_t connections_ = 0;
  std::map<Address, size_t> by_address_;
  std::map<Address, TokenBucket> failures_;
};

}  // namespace active_master
