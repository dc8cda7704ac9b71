// A real ProxySQL or MaxScale in front of a cluster, with its agent or with nothing but its own
// monitor, which looks at read_only. They are not in Debian: the
// program is looked for in PROXYSQL_BIN or MAXSCALE_BIN, then in PATH.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/lab/cluster.h"

namespace active_master::lab {

enum class ForeignKind { kProxysql, kMaxscale };

[[nodiscard]] std::string to_string(ForeignKind kind);
[[nodiscard]] std::optional<std::filesystem::path> find_program(ForeignKind kind);

class ForeignProxy {
 public:
  // `name` is the proxy's in the cluster. Returns when its agent has opened traffic.
  ForeignProxy(Cluster& cluster, ForeignKind kind, std::string name, bool has_agent);

  // Several ProxySQL with agents are a ProxySQL cluster: this one gets the other for a peer.
  void meet(const ForeignProxy& other) const;

  // Where clients connect.
  [[nodiscard]] uint16_t port() const { return port_.number(); }

  [[nodiscard]] bool has_agent() const { return agent_ != nullptr; }

  // SET ACTIVE MASTER through the proxy: in several spellings with a node that doesn't exist, which
  // our CALL refuses, then with this one, which becomes the active master. What went wrong.
  [[nodiscard]] std::vector<std::string> wrong_with_statement(const std::string& node) const;

 private:
  // The options that its agent needs.
  [[nodiscard]] std::vector<std::string> start_proxysql(const std::filesystem::path& program);
  [[nodiscard]] std::vector<std::string> start_maxscale(const std::filesystem::path& program);
  void start_agent(const std::vector<std::string>& options);
  void start(std::unique_ptr<Process>& process, const std::string& what,
             std::vector<std::string> arguments);

  Cluster& cluster_;
  ForeignKind kind_;
  std::string name_;
  std::filesystem::path directory_;
  Port port_;
  Port control_port_;  // of the admin interface or the REST API
  std::unique_ptr<Process> proxy_;
  std::unique_ptr<Process> agent_;
};

}  // namespace active_master::lab
