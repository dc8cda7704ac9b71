// A real cluster on this machine: MariaDB servers with the plugin, replicating in a ring or all
// from the first, and a HAProxy with its agent in front of them. Everything listens on 127.0.0.1
// only, or with wires in networks that exist for this cluster alone; it keeps its data in one
// temporary directory, and ends with the Cluster object.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/checker/history.h"
#include "client/cli/sql_client.h"
#include "client/lab/process.h"
#include "client/lab/wires.h"
#include "client/protocol/names.h"

namespace active_master::lab {

// The programs and files that a cluster is made of.
struct Installation {
  std::filesystem::path mariadbd;
  std::filesystem::path install_db = "/usr/bin/mariadb-install-db";
  std::filesystem::path mariadb = "/usr/bin/mariadb";
  std::filesystem::path haproxy = "/usr/sbin/haproxy";
  std::filesystem::path agent;
  std::filesystem::path witness;
  std::filesystem::path plugin;       // active_master.so
  std::filesystem::path install_sql;  // makes schema active_master
  std::filesystem::path sql_proxy;    // docs/examples/sql-proxy
};

// As built here.
[[nodiscard]] Installation default_installation();

struct ClusterOptions {
  int nodes = 2;
  bool proxy = true;
  // Standbys replicate from the first node only, the first from nobody: who is to follow another
  // active master must change its master. Else a ring.
  bool star = false;
  int parallel_threads = 4;            // slave_parallel_threads
  std::chrono::milliseconds lease{0};  // active_master_lease, with voters: all, the witness too
  bool wires = false;                  // each server is a machine that can be cut off
  bool small_disks = false;  // each server has a file system of its own, which can be filled
  bool witness = false;      // with them a machine, too; it shall be named in the voters, "witness"
  std::vector<std::string> settings = {};  // more lines for every server's option file
};

inline constexpr std::string_view kClusterName = "lab";
inline constexpr std::string_view kAppUser = "app";  // ordinary rights in schema lab, nothing else
inline constexpr std::string_view kAppPassword = "app";
inline constexpr std::string_view kReplicationUser = "repl";
inline constexpr const char* kWitnessName = "witness";

class Node {
 public:
  Node(int number, std::filesystem::path directory);
  // On a machine of its own.
  Node(int number, std::filesystem::path directory, const Wires& wires);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] uint32_t server_id() const { return static_cast<uint32_t>(number_); }
  [[nodiscard]] const std::string& host() const { return host_; }
  [[nodiscard]] std::string sql_address() const {
    return Address{host_, sql_port_.number()}.to_string();
  }
  [[nodiscard]] uint16_t sql_port() const { return sql_port_.number(); }
  [[nodiscard]] NamedAddress plugin_address() const;
  [[nodiscard]] std::filesystem::path socket() const { return directory_ / "socket"; }
  [[nodiscard]] std::filesystem::path log() const { return directory_ / "log"; }
  [[nodiscard]] std::filesystem::path data() const { return directory_ / "data"; }
  [[nodiscard]] std::filesystem::path option_file() const { return directory_ / "my.cnf"; }

  // As root, over the socket file.
  [[nodiscard]] sql::Options root() const;
  [[nodiscard]] sql::Connection connect() const { return sql::Connection(root()); }

  void start(const Installation& installation);  // and waits until it answers
  std::optional<int> stop();                     // its exit status
  void kill();                                   // kill -9
  void freeze();                                 // SIGSTOP
  void thaw();                                   // SIGCONT
  // How often CHANGE MASTER was run there, by whomever.
  [[nodiscard]] size_t changes_of_master() const;
  [[nodiscard]] bool running() { return process_ && process_->running(); }
  // Runs, and isn't frozen.
  [[nodiscard]] bool answers() { return running() && !frozen_; }
  [[nodiscard]] pid_t pid() const { return process_ ? process_->pid() : -1; }

 private:
  int number_;
  std::string name_;
  std::filesystem::path directory_;
  std::string host_ = "127.0.0.1";
  std::vector<std::string> there_;  // what its command line begins with
  Port sql_port_;
  Port plugin_port_;
  std::unique_ptr<Process> process_;
  bool frozen_ = false;
};

// One phase of a switchover, as CALL set_active_master() reports it.
struct Phase {
  std::string name;
  int64_t duration_us = 0;
  std::string detail;
};

struct SwitchoverResult {
  Switchover summary;
  unsigned error = 0;          // number; 0: done
  int64_t write_pause_us = 0;  // as the plugin measured it
  // PREDICTION, which says how long writes were expected to pause, the phases, and DONE.
  std::vector<Phase> phases;
};

class Cluster {
 public:
  using Progress = std::function<void(const std::string&)>;

  // Returns with the cluster bootstrapped, node1 active, and table lab.writes there on all nodes.
  Cluster(Installation installation, ClusterOptions options, const Progress& progress);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  [[nodiscard]] const std::filesystem::path& directory() const { return directory_.path(); }
  void keep_files() { directory_.keep(); }
  [[nodiscard]] const Installation& installation() const { return installation_; }

  [[nodiscard]] std::vector<std::unique_ptr<Node>>& nodes() { return nodes_; }
  [[nodiscard]] const std::vector<std::unique_ptr<Node>>& nodes() const { return nodes_; }
  [[nodiscard]] Node& node(std::string_view name);
  [[nodiscard]] std::vector<NamedAddress> plugin_addresses() const;
  [[nodiscard]] std::filesystem::path secret_file() const { return directory() / "secret"; }
  [[nodiscard]] std::filesystem::path replication_password_file() const {
    return directory() / "replication_password";
  }
  [[nodiscard]] bool has_proxy() const { return haproxy_ != nullptr; }
  // As a client, through the HAProxy.
  [[nodiscard]] sql::Options through_proxy() const;
  [[nodiscard]] uint16_t proxy_port() const { return proxy_port_.number(); }
  [[nodiscard]] std::filesystem::path proxy_socket() const {
    return directory() / "haproxy.socket";
  }

  [[nodiscard]] Process& agent() { return *agent_; }
  // With these fault points armed, if it has any.
  void start_agent(const std::string& faults = "");
  [[nodiscard]] bool has_wires() const { return wires_ != nullptr; }
  [[nodiscard]] Wires& wires() { return *wires_; }
  [[nodiscard]] Process& witness() { return *witness_; }
  void start_witness();

  // What every agent of this cluster is started with.
  [[nodiscard]] std::vector<std::string> agent_arguments(const std::string& name) const;

  // The active master as `asked` knows it; empty when it doesn't know one.
  [[nodiscard]] static std::string active_node(const Node& asked);

  // CALL set_active_master(to) on the node that `director` is connected to.
  static SwitchoverResult switch_to(const std::string& to, sql::Connection& director);

  // Waits until every running node has applied what every other one has.
  void wait_until_in_sync();
  // Waits until the nodes agree that `active` is the active master and takes writes, all of them
  // are linked, every standby follows it, and the proxies have opened traffic.
  void wait_until_healthy(const std::string& active);
  // lab.writes of every node.
  [[nodiscard]] std::vector<NodeRows> read_rows();
  // Stops everything. What is wrong with it: servers that crashed, now or before.
  [[nodiscard]] std::vector<std::string> stop();

 private:
  void make_secrets() const;
  void make_template(const Progress& progress);
  void write_option_file(const Node& node) const;
  [[nodiscard]] std::string witness_host() const;
  void make_accounts(const Node& node) const;
  void replicate(const Node& node, const Node& source) const;
  void make_replication() const;
  void bootstrap();
  [[nodiscard]] std::string haproxy_configuration() const;
  void start_proxy();

  Installation installation_;
  ClusterOptions options_;
  // Before the processes, which live in it.
  TemporaryDirectory directory_;
  std::unique_ptr<Wires> wires_;
  std::vector<std::unique_ptr<Node>> nodes_;
  Port witness_port_;
  std::unique_ptr<Process> witness_;
  Port proxy_port_;
  Port closed_port_;  // nobody ever listens here
  std::unique_ptr<Process> haproxy_;
  std::unique_ptr<Process> agent_;
};

}  // namespace active_master::lab
