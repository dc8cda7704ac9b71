#include "client/agent/haproxy_readers.h"

#include <algorithm>

#include "client/agent/server_address.h"

namespace active_master::agent {
namespace {

// Bits of srv_admin_state.
constexpr unsigned long kMaintenance = 0x01 | 0x02 | 0x04 | 0x20 | 0x40;
constexpr unsigned long kDrain = 0x08;

}  // namespace

HaproxyReaders::HaproxyReaders(Options options)
    : options_(std::move(options)), socket_([this] {
        Haproxy::Options of_socket;
        of_socket.socket = options_.socket;
        of_socket.command_timeout = options_.command_timeout;
        return of_socket;
      }()) {}

std::vector<HaproxyReaders::Server> HaproxyReaders::read() const {
  const std::string answer = socket_.command("show servers state " + options_.backend);
  std::vector<Server> servers;
  for (const auto& row : parse_servers_state(answer)) {
    const auto admin = number(value(row, "srv_admin_state")).value_or(0);
    const auto port = number(value(row, "srv_port")).value_or(0);
    servers.push_back({std::string(value(row, "srv_name")),
                       {std::string(value(row, "srv_addr")), static_cast<uint16_t>(port)},
                       value(row, "srv_op_state") != "0",
                       (admin & kDrain) != 0,
                       (admin & kMaintenance) != 0});
  }
  if (servers.empty()) {
    throw Failure("HAProxy at " + options_.socket + ": there is no backend '" + options_.backend +
                  "' with a server in it (" + answer.substr(0, 100) +
                  "): correct --read-backend or haproxy.cfg");
  }
  return servers;
}

// "NAME state drain" and "NAME state ready", as far as they are needed.
std::vector<std::string> HaproxyReaders::changes(const std::vector<Server>& servers,
                                                 const Target& target) const {
  const auto is_active = [&](const Server& server) {
    return is_same_server(server.address, target.active.address);
  };
  const bool has_other = std::ranges::any_of(servers, [&](const auto& server) {
    return server.is_up && !server.is_in_maintenance && !is_active(server);
  });
  std::vector<std::string> result;
  for (const auto& server : servers) {
    const bool shall_drain = has_other && is_active(server);
    if (server.is_in_maintenance || server.is_draining == shall_drain) continue;
    result.push_back(server.name + " state " + (shall_drain ? "drain" : "ready"));
  }
  return result;
}

void HaproxyReaders::open(const Target& target) {
  // What becomes ready first: there shall always be a server for reads.
  auto todo = changes(read(), target);
  std::ranges::sort(todo, [](const auto& a, const auto& b) {
    return a.ends_with("ready") && !b.ends_with("ready");
  });
  for (const auto& change : todo) {
    (void)socket_.command("set server " + options_.backend + "/" + change);
  }
  if (todo.empty()) return;
  const auto left = changes(read(), target);
  if (!left.empty()) {
    throw Failure("HAProxy at " + options_.socket + ": backend " + options_.backend +
                  " didn't take '" + left.front() + "'");
  }
}

std::vector<std::string> HaproxyReaders::check() {
  (void)read();
  return {};
}

}  // namespace active_master::agent
