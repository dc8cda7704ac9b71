#include "plugin/net/doorkeeper.h"

#include <algorithm>

namespace active_master {

namespace {

// Addresses whose failures are remembered at once.
constexpr size_t kMaxRemembered = 4096;

}  // namespace

double TokenBucket::tokens(Clock::time_point now) const {
  const std::chrono::duration<double> passed = now - at_;
  const std::chrono::duration<double> interval = interval_;
  return std::min<double>(burst_, left_ + passed / interval);
}

bool TokenBucket::take(Clock::time_point now) {
  left_ = tokens(now);
  at_ = now;
  if (left_ < 1) return false;
  left_ -= 1;
  return true;
}

Doorkeeper::Address Doorkeeper::key(const Address& address) {
  if (!address.is_v6()) return address;
  const auto v6 = address.to_v6();
  if (v6.is_v4_mapped()) return make_address_v4(boost::asio::ip::v4_mapped, v6);
  if (v6.is_loopback()) return address;
  auto bytes = v6.to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), 0);  // whoever has one address has its /64
  return boost::asio::ip::address_v6(bytes);
}

std::string Doorkeeper::enter(const Address& address, Clock::time_point now) {
  const auto from = key(address);
  if (const auto it = failures_.find(from); it != failures_.end() && !it->second.has_token(now)) {
    return "too many failed authentications from this address";
  }
  if (connections_ >= limits_.connections) return "too many connections";
  auto& count = by_address_[from];
  if (count >= limits_.connections_per_address) return "too many connections from this address";
  ++count;
  ++connections_;
  return {};
}

void Doorkeeper::leave(const Address& address) {
  const auto it = by_address_.find(key(address));
  if (it == by_address_.end()) return;
  --connections_;
  if (--it->second == 0) by_address_.erase(it);
}

void Doorkeeper::failed_authentication(const Address& address, Clock::time_point now) {
  if (failures_.size() >= kMaxRemembered) forget_the_good(now);
  failures_.try_emplace(key(address), limits_.failures, limits_.failure_interval)
      .first->second.take(now);
}

// Those that have not failed for a while; when that helps nothing, all: thousands of addresses that
// fail at once are not held off by remembering them.
void Doorkeeper::forget_the_good(Clock::time_point now) {
  std::erase_if(failures_, [now](const auto& entry) { return entry.second.is_full(now); });
  if (failures_.size() >= kMaxRemembered) failures_.clear();
}

}  // namespace active_master
