// A real ProxySQL or MaxScale with its agent in front of a cluster. They are not in Debian: the
// program is looked for in PROXYSQL_BIN or MAXSCALE_BIN, then in PATH.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "client/lab/cluster.h"

namespace active_master::lab {

enum class ForeignKind { kProxysql, kMaxscale };

[[nodiscard]] std::string to_string(ForeignKind kind);
[[nodiscard]] std::optional<std::filesystem::path> find_program(ForeignKind kind);

class ForeignProxy {
 public:
  // Returns when the agent has opened traffic.
  ForeignProxy(Cluster& cluster, ForeignKind kind);

  // Where clients connect.
  [[nodiscard]] uint16_t port() const { return port_.number(); }

 private:
  void start_proxysql(const std::filesystem::path& program);
  void start_maxscale(const std::filesystem::path& program);
  void start(std::unique_ptr<Process>& process, const std::string& what,
             std::vector<std::string> arguments);

  Cluster& cluster_;
  std::string name_;
  std::filesystem::path directory_;
  Port port_;
  Port control_port_;  // of the admin interface or the REST API
  std::unique_ptr<Process> proxy_;
  std::unique_ptr<Process> agent_;
};

}  // namespace active_master::lab
