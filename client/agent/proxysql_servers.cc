#include "client/agent/proxysql_servers.h"

#include <algorithm>
#include <charconv>

#include "client/agent/server_address.h"

namespace active_master::agent {
namespace {

constexpr std::string_view kOnline = "ONLINE";
constexpr std::string_view kShunned = "SHUNNED";  // ONLINE, but ProxySQL finds it ill
constexpr std::string_view kSoft = "OFFLINE_SOFT";

// Ours alone is taken away: an operator's OFFLINE_SOFT stays.
ProxysqlServer released(ProxysqlServer server) {
  auto& comment = server.settings["comment"];
  if (const auto at = comment.find(kHeldMark); at != std::string::npos) {
    comment.erase(at, kHeldMark.size());
    server.status = kOnline;
  }
  return server;
}

ProxysqlServer held(ProxysqlServer server) {
  if (serves(server)) {
    server.status = kSoft;
    server.settings["comment"] += kHeldMark;
  }
  return server;
}

ProxysqlServer moved(ProxysqlServer server, int hostgroup) {
  server.hostgroup = hostgroup;
  return server;
}

bool to_number(const std::string& text, auto& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

std::optional<ProxysqlServer> to_server(const sql::ResultSet& set, const sql::Row& row) {
  ProxysqlServer server;
  bool has_hostgroup = false;
  for (size_t i = 0; i < std::min(set.columns.size(), row.size()); ++i) {
    const std::string& name = set.columns[i].name;
    std::string value = row[i].value_or("");
    if (name == "hostgroup_id") {
      has_hostgroup = to_number(value, server.hostgroup);
    } else if (name == "hostname") {
      server.address.host = std::move(value);
    } else if (name == "port") {
      if (!to_number(value, server.address.port)) return std::nullopt;
    } else if (name == "status") {
      // It has several kinds of it at runtime.
      server.status = value.starts_with(kShunned) ? std::string(kShunned) : std::move(value);
    } else {
      server.settings[name] = std::move(value);
    }
  }
  const bool is_whole = has_hostgroup && !server.address.host.empty() && server.address.port != 0 &&
                        !server.status.empty();
  return is_whole ? std::optional(server) : std::nullopt;
}

}  // namespace

std::optional<std::vector<ProxysqlServer>> parse_servers(const sql::ResultSet& set) {
  std::vector<ProxysqlServer> servers;
  for (const auto& row : set.rows) {
    auto server = to_server(set, row);
    if (!server) return std::nullopt;
    servers.push_back(*std::move(server));
  }
  return servers;
}

bool serves(const ProxysqlServer& server) {
  return server.status == kOnline || server.status == kShunned;
}

bool is_at(const ProxysqlServer& server, const Address& address) {
  return is_same_server(server.address, address);
}

bool is_as_planned(std::vector<ProxysqlServer> now, std::vector<ProxysqlServer> planned) {
  const auto key = [](const ProxysqlServer& s) {
    return std::pair(s.hostgroup, s.address.to_string());
  };
  const auto less = [&](const auto& a, const auto& b) { return key(a) < key(b); };
  for (auto* servers : {&now, &planned}) {
    std::ranges::sort(*servers, less);
    for (auto& server : *servers) {
      if (server.status == kShunned) server.status = kOnline;
    }
  }
  return now == planned;
}

std::string literal(std::string_view text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("''") : std::string(1, c);
  return result + "'";
}

std::string insert_statement(const ProxysqlServer& server) {
  std::string names = "hostgroup_id, hostname, port, status";
  std::string values =
      std::to_string(server.hostgroup) + ", " + literal(server.address.host) + ", " +
      std::to_string(server.address.port) + ", " +
      literal(server.status == kShunned ? kOnline : std::string_view(server.status));
  for (const auto& [name, value] : server.settings) {
    names += ", " + name;
    values += ", " + literal(value);
  }
  return "INSERT INTO mysql_servers (" + names + ") VALUES (" + values + ")";
}

std::vector<ProxysqlServer> plan_servers(const std::vector<ProxysqlServer>& now,
                                         const Target& target, const Hostgroups& hostgroups,
                                         const std::vector<Address>& stays) {
  const auto& active = target.active.address;
  const auto find = [&](int hostgroup, const Address& address) {
    return std::ranges::find_if(now, [&](const auto& server) {
      return server.hostgroup == hostgroup && is_at(server, address);
    });
  };
  const auto is_standby = [&](const ProxysqlServer& server) {
    return std::ranges::any_of(target.standbys,
                               [&](const auto& node) { return is_at(server, node.address); });
  };

  // The active master as it is known here, else like the writer that it follows.
  ProxysqlServer writer{hostgroups.writer, active, std::string(kOnline), {}};
  auto known = find(hostgroups.writer, active);
  if (known == now.end() && hostgroups.reader) known = find(*hostgroups.reader, active);
  if (known != now.end()) {
    writer = moved(released(*known), hostgroups.writer);
  } else if (!now.empty()) {
    writer.settings = released(now.front()).settings;
  }
  writer.status = kOnline;

  std::vector<ProxysqlServer> plan{writer};
  bool has_reader = false;
  for (const auto& server : now) {
    if (is_at(server, active)) {
      const bool is_reader = hostgroups.reader && server.hostgroup == *hostgroups.reader;
      if (is_reader && hostgroups.writer_also_reads) {
        plan.push_back(released(server));
        has_reader = true;
      }
    } else if (server.hostgroup != hostgroups.writer) {
      plan.push_back(released(server));
      has_reader |= serves(plan.back());
    } else {
      // A server that no node claims isn't ours to give to readers.
      const bool stays_here = !is_standby(server) || std::ranges::any_of(stays, [&](const auto& a) {
        return is_at(server, a);
      });
      if (stays_here) plan.push_back(held(server));
      if (is_standby(server) && hostgroups.reader &&
          find(*hostgroups.reader, server.address) == now.end()) {
        plan.push_back(moved(released(held(server)), *hostgroups.reader));
        has_reader |= serves(plan.back());
      }
    }
  }
  if (hostgroups.reader && !has_reader) plan.push_back(moved(writer, *hostgroups.reader));
  return plan;
}

}  // namespace active_master::agent
