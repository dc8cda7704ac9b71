#include "client/agent/server_address.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace active_master::agent {

using boost::asio::ip::tcp;

std::set<std::string> resolve_host(const std::string& host) {
  boost::system::error_code error;
  boost::asio::ip::make_address(host, error);
  if (!error) return {host};
  boost::asio::io_context io;
  tcp::resolver resolver(io);
  std::set<std::string> result;
  for (const auto& entry : resolver.resolve(host, "", error)) {
    result.insert(entry.endpoint().address().to_string());
  }
  return result;
}

bool is_same_server(const Address& a, const Address& b) {
  if (a.port != b.port) return false;
  if (a.host == b.host) return true;
  const auto left = resolve_host(a.host);
  const auto right = resolve_host(b.host);
  return std::ranges::any_of(left, [&](const auto& ip) { return right.contains(ip); });
}

}  // namespace active_master::agent
