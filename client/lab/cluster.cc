#include "client/lab/cluster.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iomanip>
#include <random>
#include <sstream>

#include "client/lab/wait.h"

namespace active_master::lab {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr auto kStartLimit = 60s;
constexpr auto kSyncLimit = 120s;
constexpr std::string_view kReplicationPassword = "replicates";
constexpr std::string_view kActiveNode =
    "SELECT ACTIVE_NODE FROM INFORMATION_SCHEMA.ACTIVE_MASTER_STATE";

int64_t number(const sql::Value& value) {
  return std::atoll(value.value_or("0").c_str());
}

bool is_root() {
  return geteuid() == 0;
}

// The first value of a column by name; SHOW SLAVE STATUS can't be selected from.
std::string value_of(sql::Connection& connection, std::string_view statement,
                     std::string_view column) {
  const auto sets = connection.query(statement);
  return sets.empty() ? "" : sets.front().first(column).value_or("");
}

bool replicates(sql::Connection& connection) {
  const auto sets = connection.query("SHOW SLAVE STATUS");
  return !sets.empty() && sets.front().first("Slave_IO_Running") == "Yes" &&
         sets.front().first("Slave_SQL_Running") == "Yes";
}

std::string why_not_replicating(sql::Connection& connection) {
  return value_of(connection, "SHOW SLAVE STATUS", "Last_IO_Error") + " " +
         value_of(connection, "SHOW SLAVE STATUS", "Last_SQL_Error");
}

}  // namespace

Installation default_installation() {
  Installation installation;
  installation.mariadbd = ACTIVE_MASTER_MARIADBD;
  installation.agent = ACTIVE_MASTER_BUILD_DIR "/client/agent/active-master-agent";
  installation.witness = ACTIVE_MASTER_BUILD_DIR "/client/witness/active-master-witness";
  installation.plugin = ACTIVE_MASTER_BUILD_DIR "/plugin/active_master.so";
  installation.install_sql = ACTIVE_MASTER_SOURCE_DIR "/sql/install.sql";
  installation.sql_proxy = ACTIVE_MASTER_SOURCE_DIR "/docs/examples/sql-proxy";
  return installation;
}

Node::Node(int number, fs::path directory)
    : number_(number), name_("node" + std::to_string(number)), directory_(std::move(directory)) {
  fs::create_directory(directory_);
}

Node::Node(int number, fs::path directory, const Wires& wires)
    : Node(number, std::move(directory)) {
  host_ = wires.address(name_);
  there_ = wires.there(name_);
}

NamedAddress Node::plugin_address() const {
  return {name_, {host_, plugin_port_.number()}};
}

sql::Options Node::root() const {
  sql::Options options;
  options.host = "localhost";
  options.socket = socket();
  options.user = "root";
  return options;
}

void Node::start(const Installation& installation) {
  frozen_ = false;
  auto arguments = there_;
  arguments.push_back(installation.mariadbd);
  arguments.push_back("--defaults-file=" + option_file().string());
  process_ = std::make_unique<Process>(Command{
      .name = name_,
      .arguments = std::move(arguments),
      .log = log(),
      .stop_limit = 30s,
  });
  const bool ready = wait_until(kStartLimit, [this] {
    if (!process_->running()) throw LabError(name_ + " ended:\n" + tail(log()));
    try {
      (void)connect();
      return true;
    } catch (const sql::Error&) {
      return false;
    }
  });
  if (!ready) throw LabError(name_ + " doesn't answer:\n" + tail(log()));
}

std::optional<int> Node::stop() {
  if (!process_) return std::nullopt;
  process_->stop();
  return process_->exit_status();
}

void Node::kill() {
  if (process_) process_->kill();
}

void Node::freeze() {
  if (process_) process_->signal(SIGSTOP);
  frozen_ = true;
}

size_t Node::changes_of_master() const {
  size_t changes = 0;
  std::ifstream text(log());
  for (std::string line; std::getline(text, line);)
    changes += line.find("'CHANGE MASTER TO executed'") != std::string::npos ? 1 : 0;
  return changes;
}

void Node::thaw() {
  if (process_) process_->signal(SIGCONT);
  frozen_ = false;
}

Cluster::~Cluster() {
  if (!options_.small_disks) return;
  (void)stop();
  for (const auto& node : nodes_) ::umount2(node->data().c_str(), MNT_DETACH);
}

Cluster::Cluster(Installation installation, ClusterOptions options, const Progress& progress)
    : installation_(std::move(installation)), options_(std::move(options)) {
  for (const fs::path& needed :
       {installation_.mariadbd, installation_.plugin, installation_.install_sql}) {
    if (!fs::exists(needed)) throw LabError(needed.string() + " is missing");
  }
  try {
    make_secrets();
    make_template(progress);
    if (options_.wires) {
      std::vector<std::string> machines = {kWitnessName};
      for (int i = 1; i <= options_.nodes; ++i) machines.push_back("node" + std::to_string(i));
      wires_ = std::make_unique<Wires>(machines, directory() / "wires.log");
    }
    for (int i = 1; i <= options_.nodes; ++i) {
      const auto home = directory() / ("node" + std::to_string(i));
      nodes_.push_back(wires_ ? std::make_unique<Node>(i, home, *wires_)
                              : std::make_unique<Node>(i, home));
    }
    if (options_.witness) start_witness();
    progress("Starting " + std::to_string(options_.nodes) + " MariaDB servers");
    for (const auto& node : nodes_) {
      if (options_.small_disks) {
        fs::create_directory(node->data());
        if (::mount("tmpfs", node->data().c_str(), "tmpfs", 0, "size=300m") != 0)
          throw LabError("no file system can be mounted for " + node->name());
      }
      fs::copy(directory() / "template", node->data(), fs::copy_options::recursive);
      write_option_file(*node);
      node->start(installation_);
      make_accounts(*node);
    }
    progress(std::string("Configuring replication by GTID: ") +
             (options_.star ? "all from node1" : "a ring"));
    make_replication();
    progress("Making node1 the active master");
    bootstrap();
    if (options_.proxy) {
      progress("Starting HAProxy and its agent");
      start_proxy();
    }
    wait_until_healthy("node1");
  } catch (const LabError&) {
    keep_files();
    progress("Failed; the logs are in " + directory().string());
    throw;
  }
}

// Only nodes and proxies of this very cluster have a say in it.
void Cluster::make_secrets() const {
  std::random_device random;
  std::ostringstream secret;
  for (int i = 0; i < 8; ++i) secret << std::hex << std::setw(8) << std::setfill('0') << random();
  write_file(secret_file(), secret.str() + "\n");
  write_file(replication_password_file(), std::string(kReplicationPassword) + "\n");
  for (const auto& file : {secret_file(), replication_password_file()})
    fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
}

// Making a data directory takes longer than copying one.
void Cluster::make_template(const Progress& progress) {
  progress("Making a data directory");
  const fs::path plugins = directory() / "plugins";
  fs::create_directory(plugins);
  // A copy: a new build doesn't pull the library away from under a running server.
  fs::copy(installation_.plugin, plugins / "active_master.so");
  // The server's own, by which leaked locks are seen.
  if (const fs::path locks = "/usr/lib/mysql/plugin/metadata_lock_info.so"; fs::exists(locks)) {
    fs::copy(locks, plugins / locks.filename());
  }
  Command command{
      .name = "mariadb-install-db",
      .arguments = {installation_.install_db, "--no-defaults",
                    "--auth-root-authentication-method=normal", "--skip-test-db",
                    "--innodb-log-file-size=64M",
                    "--datadir=" + (directory() / "template").string()},
      .log = directory() / "install.log",
  };
  if (is_root()) command.arguments.emplace_back("--user=root");
  run(std::move(command), kStartLimit);
}

void Cluster::write_option_file(const Node& node) const {
  std::string peers;
  for (const auto& other : nodes_) {
    const NamedAddress address = other->plugin_address();
    if (address.name == node.name()) continue;
    peers += (peers.empty() ? "" : ",") + address.name + "=" + address.address.to_string();
  }
  std::string text = "[mariadbd]\n";
  const auto set = [&text](std::string_view name, const std::string& value) {
    text.append(name).append("=").append(value).append("\n");
  };
  if (is_root()) set("user", "root");
  set("datadir", node.data());
  set("socket", node.socket());
  set("pid_file", node.data() / "pid");
  // A server that starts removes temporary tables from it, whosever they are.
  set("tmpdir", node.data());
  set("plugin_dir", directory() / "plugins");
  set("bind_address", node.host());
  set("port", std::to_string(node.sql_port()));
  text += "skip_name_resolve\n";
  set("performance_schema", "OFF");
  set("max_connections", "500");
  set("innodb_buffer_pool_size", "128M");
  set("innodb_log_file_size", "64M");
  set("server_id", std::to_string(node.server_id()));
  set("gtid_domain_id", "0");
  set("gtid_strict_mode", "1");
  set("log_bin", "binlog");
  set("binlog_format", "ROW");
  text += "log_slave_updates\n";
  set("slave_parallel_threads", std::to_string(options_.parallel_threads));
  // Nothing that was acknowledged may be lost in a crash, or the checker would find it.
  set("sync_binlog", "1");
  // A replica that connects in the moment in which its master is killed else waits for a minute.
  set("slave_net_timeout", "5");
  set("innodb_flush_log_at_trx_commit", "1");
  set("plugin_load_add", "active_master");
  set("active_master_node_name", node.name());
  set("active_master_cluster_name", std::string(kClusterName));
  set("active_master_port", std::to_string(node.plugin_address().address.port));
  set("active_master_peers", peers);
  set("active_master_listen_address", node.host());
  if (options_.witness)
    set("active_master_witnesses", std::string(kWitnessName) + "=" +
                                       Address{witness_host(), witness_port_.number()}.to_string());
  set("active_master_secret_file", secret_file());
  set("active_master_sql_address", node.sql_address());
  set("active_master_replication_user", std::string(kReplicationUser));
  set("active_master_replication_password_file", replication_password_file());
  if (options_.lease.count() > 0) {
    std::string voters;
    for (const auto& voter : nodes_) voters += (voters.empty() ? "" : ",") + voter->name();
    if (options_.witness) voters += std::string(",") + kWitnessName;
    set("active_master_voters", voters);
    set("active_master_lease", std::to_string(options_.lease.count()));
    set("active_master_auto_failover", "ON");
    // Faults come one after the other here.
    set("active_master_failover_cooldown", "0");
    set("active_master_max_failovers", "0");
  }
  for (const std::string& setting : options_.settings) text += setting + "\n";
  write_file(node.option_file(), text);
}

// On each node for itself, and not replicated: replication needs them to begin.
void Cluster::make_accounts(const Node& node) const {
  sql::Connection connection = node.connect();
  const std::string from = wires_ ? "'@'10.77.%'" : "'@'127.0.0.1'";
  const auto create = [&](std::string_view user, std::string_view password) {
    connection.execute("CREATE USER '" + std::string(user) + from + " IDENTIFIED BY '" +
                       std::string(password) + "'");
  };
  connection.execute("SET SESSION sql_log_bin = 0");
  create(kReplicationUser, kReplicationPassword);
  connection.execute("GRANT REPLICATION SLAVE ON *.* TO '" + std::string(kReplicationUser) + from);
  create(kAppUser, kAppPassword);
  connection.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON lab.* TO '" + std::string(kAppUser) +
                     from);
}

void Cluster::replicate(const Node& node, const Node& source) const {
  if (&node == &source) return;
  sql::Connection connection = node.connect();
  connection.execute("CHANGE MASTER TO MASTER_HOST = '" + source.host() +
                     "', MASTER_PORT = " + std::to_string(source.sql_port()) + ", MASTER_USER = '" +
                     std::string(kReplicationUser) + "', MASTER_PASSWORD = '" +
                     std::string(kReplicationPassword) +
                     "', MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1");
  connection.execute("START SLAVE");
  const bool ready = wait_until(kStartLimit, [&connection] { return replicates(connection); });
  if (!ready) {
    throw LabError(node.name() + " doesn't replicate: " + why_not_replicating(connection));
  }
}

void Cluster::make_replication() const {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const size_t before = (i + nodes_.size() - 1) % nodes_.size();
    replicate(*nodes_[i], *nodes_[options_.star ? 0 : before]);
  }
}

void Cluster::bootstrap() {
  Node& first = *nodes_.front();
  run({.name = "sql/install.sql",
       .arguments = {installation_.mariadb, "--no-defaults", "--user=root",
                     "--socket=" + first.socket().string()},
       .log = directory() / "install.log",
       .input = installation_.install_sql},
      kStartLimit);
  sql::Connection connection = first.connect();
  connection.execute("CREATE DATABASE lab");
  // Without a unique key, on purpose: a write that is applied twice must show.
  connection.execute(
      "CREATE TABLE lab.writes (client INT UNSIGNED NOT NULL, sequence BIGINT UNSIGNED NOT NULL, "
      "server_id INT UNSIGNED NOT NULL, KEY (client, sequence))");
  wait_until_in_sync();
  require("The nodes didn't find each other", kStartLimit, [&connection] {
    return connection.value(
               "SELECT COUNT(*) FROM INFORMATION_SCHEMA.ACTIVE_MASTER_NODES "
               "WHERE LINK NOT IN ('SELF', 'CONNECTED')") == "0";
  });
  connection.execute("CALL active_master.bootstrap()");
}

std::string Cluster::haproxy_configuration() const {
  // What the agent needs: one server without `check`, connections that wait long enough for the
  // longest pause, and tries that don't give up while they do.
  std::ostringstream text;
  text << "global\n"
       << "  stats socket " << proxy_socket().string() << " mode 600 level admin\n"
       << "  maxconn 2000\n"
       << "defaults\n"
       << "  mode tcp\n"
       << "  timeout connect 200ms\n"
       << "  timeout client 1h\n"
       << "  timeout server 1h\n"
       << "  timeout queue 60s\n"
       << "  option redispatch 1\n"
       << "  retries 300\n"
       << "frontend mariadb\n"
       << "  bind " << proxy_port_.address() << "\n"
       << "  default_backend active_master\n"
       << "backend active_master\n"
       << "  server active " << nodes_.front()->sql_address() << "\n";
  return text.str();
}

void Cluster::start_proxy() {
  const fs::path configuration = directory() / "haproxy.cfg";
  const fs::path log = directory() / "haproxy.log";
  write_file(configuration, haproxy_configuration());
  haproxy_ = std::make_unique<Process>(
      Command{.name = "haproxy",
              .arguments = {installation_.haproxy, "-db", "-f", configuration},
              .log = log});
  require("HAProxy isn't ready", kStartLimit, [this, &log] {
    if (!haproxy_->running()) throw LabError("HAProxy ended:\n" + tail(log));
    return fs::exists(proxy_socket());
  });
  start_agent();
}

std::vector<std::string> Cluster::agent_arguments(const std::string& name) const {
  std::vector<std::string> arguments = {installation_.agent, "--name=" + name,
                                        "--cluster=" + std::string(kClusterName),
                                        "--secret-file=" + secret_file().string()};
  for (const NamedAddress& node : plugin_addresses()) {
    arguments.push_back("--node=" + node.name + "=" + node.address.to_string());
  }
  return arguments;
}

void Cluster::start_agent(const std::string& faults) {
  auto arguments = agent_arguments("haproxy1");
  for (const std::string& argument :
       {"--haproxy-socket=" + proxy_socket().string(), std::string("--backend=active_master"),
        std::string("--server=active"), "--frontend=" + proxy_port_.address(),
        "--park=" + closed_port_.address()}) {
    arguments.push_back(argument);
  }
  if (!faults.empty()) {
    arguments.insert(arguments.begin(), {"/usr/bin/env", "ACTIVE_MASTER_FAULT=" + faults});
  }
  agent_ = std::make_unique<Process>(Command{.name = "active-master-agent",
                                             .arguments = std::move(arguments),
                                             .log = directory() / "agent.log"});
}

std::string Cluster::witness_host() const {
  return wires_ ? wires_->address(kWitnessName) : "127.0.0.1";
}

void Cluster::start_witness() {
  std::vector<std::string> arguments;
  if (wires_) arguments = wires_->there(kWitnessName);
  std::string voters;
  for (const auto& node : nodes_) voters += node->name() + ",";
  for (const auto& argument :
       {installation_.witness.string(), std::string("--name=") + kWitnessName,
        "--cluster=" + std::string(kClusterName), "--secret-file=" + secret_file().string(),
        "--listen=" + Address{witness_host(), witness_port_.number()}.to_string(),
        "--voters=" + voters + kWitnessName, "--lease=" + std::to_string(options_.lease.count()),
        "--state-file=" + (directory() / "witness.state").string()})
    arguments.push_back(argument);
  for (const NamedAddress& node : plugin_addresses())
    arguments.push_back("--node=" + node.name + "=" + node.address.to_string());
  witness_ = std::make_unique<Process>(Command{.name = "active-master-witness",
                                               .arguments = std::move(arguments),
                                               .log = directory() / "witness.log"});
}

Node& Cluster::node(std::string_view name) {
  for (const auto& node : nodes_) {
    if (node->name() == name) return *node;
  }
  throw LabError("There is no node " + std::string(name));
}

std::vector<NamedAddress> Cluster::plugin_addresses() const {
  std::vector<NamedAddress> addresses;
  for (const auto& node : nodes_) addresses.push_back(node->plugin_address());
  return addresses;
}

sql::Options Cluster::through_proxy() const {
  sql::Options options;
  options.host = "127.0.0.1";
  options.port = proxy_port();
  options.user = kAppUser;
  options.password = kAppPassword;
  options.connect_timeout = 30s;  // while traffic is held, the proxy holds new connections
  return options;
}

std::string Cluster::active_node(const Node& asked) {
  return asked.connect().value(kActiveNode).value_or("");
}

SwitchoverResult Cluster::switch_to(const std::string& to, sql::Connection& connection) {
  SwitchoverResult result;
  result.summary.to = to;
  result.summary.start_us = now_us();
  try {
    result.summary.from = connection.value(kActiveNode).value_or("");
    result.summary.start_us = now_us();
    const auto sets = connection.query("CALL active_master.set_active_master('" + to + "')");
    result.summary.end_us = now_us();
    result.summary.done = true;
    result.write_pause_us = number(connection.value(
        "SELECT MAX(WRITE_PAUSE_US) FROM INFORMATION_SCHEMA.ACTIVE_MASTER_SWITCHOVERS "
        "WHERE EPOCH = (SELECT EPOCH FROM INFORMATION_SCHEMA.ACTIVE_MASTER_STATE)"));
    if (sets.empty()) return result;
    for (const sql::Row& row : sets.front().rows) {
      result.phases.push_back({row.at(0).value_or(""), number(row.at(1)), row.at(2).value_or("")});
    }
  } catch (const sql::Error& error) {
    result.summary.end_us = now_us();
    result.summary.text = error.what();
    result.error = error.number();
  }
  return result;
}

void Cluster::wait_until_in_sync() {
  // Each one logs what it applies, so the ends of their binlogs are the same GTID.
  std::string positions;
  const bool same = wait_until(kSyncLimit, [this, &positions] {
    positions.clear();
    std::optional<std::string> first;
    bool all_same = true;
    for (const auto& node : nodes_) {
      if (!node->running()) continue;
      const std::string position = node->connect().value("SELECT @@gtid_binlog_pos").value_or("");
      positions += " " + node->name() + "=" + position;
      if (!first) first = position;
      all_same = all_same && position == *first;
    }
    return all_same;
  });
  if (!same) throw LabError("The nodes don't come to the same position:" + positions);
  // What is in a replica's binlog is in its tables a moment later; the position of its applier
  // tells.
  for (const auto& node : nodes_) {
    if (!node->running()) continue;
    sql::Connection connection = node->connect();
    const std::string position = connection.value("SELECT @@gtid_binlog_pos").value_or("");
    const std::string own = "-" + std::to_string(node->server_id()) + "-";
    if (position.empty() || position.find(own) != std::string::npos) continue;
    if (connection.value("SELECT MASTER_GTID_WAIT('" + position + "', " +
                         std::to_string(kSyncLimit.count()) + ")") != "0") {
      throw LabError(node->name() + " doesn't apply " + position);
    }
  }
}

void Cluster::wait_until_healthy(const std::string& active) {
  std::string missing;
  const auto is_healthy = [&](Node& node) {
    sql::Connection connection = node.connect();
    const auto says = [&connection](const char* statement, const std::string& expected) {
      return connection.value(statement) == expected;
    };
    missing = node.name() + " doesn't take " + active + " for the active master";
    if (!says("SELECT ACTIVE_NODE FROM INFORMATION_SCHEMA.ACTIVE_MASTER_STATE", active))
      return false;
    missing = node.name() + " has a switchover running";
    if (!says("SELECT PHASE FROM INFORMATION_SCHEMA.ACTIVE_MASTER_STATE", "NONE")) return false;
    missing = node.name() + " takes writes, or doesn't, as it should not";
    if (!says("SELECT FENCED FROM INFORMATION_SCHEMA.ACTIVE_MASTER_STATE",
              node.name() == active ? "0" : "1")) {
      return false;
    }
    missing = node.name() + " isn't linked with all others";
    if (!says("SELECT COUNT(*) FROM INFORMATION_SCHEMA.ACTIVE_MASTER_NODES "
              "WHERE LINK NOT IN ('SELF', 'CONNECTED')",
              "0")) {
      return false;
    }
    missing = node.name() + " has a proxy that holds traffic";
    if (!says("SELECT COUNT(*) FROM INFORMATION_SCHEMA.ACTIVE_MASTER_PROXIES "
              "WHERE SWITCH <> 0 AND STATE = 'CONNECTED'",
              "0")) {
      return false;
    }
    missing = node.name() + " misses the agent of HAProxy";
    if (has_proxy() && !says("SELECT STATE FROM INFORMATION_SCHEMA.ACTIVE_MASTER_PROXIES "
                             "WHERE PROXY = 'haproxy1'",
                             "CONNECTED")) {
      return false;
    }
    missing = node.name() + " doesn't replicate";
    if (node.name() == active) return options_.star || replicates(connection);
    if (!replicates(connection)) return false;
    missing = node.name() + " doesn't follow " + active;
    return says(
        "SELECT REPLICATION FROM INFORMATION_SCHEMA.ACTIVE_MASTER_NODES "
        "WHERE LINK = 'SELF'",
        "FOLLOWING");
  };
  const bool healthy = wait_until(kStartLimit, [&] {
    return std::all_of(nodes_.begin(), nodes_.end(),
                       [&](const auto& node) { return is_healthy(*node); });
  });
  if (!healthy) throw LabError("The cluster doesn't become healthy: " + missing);
}

std::vector<NodeRows> Cluster::read_rows() {
  std::vector<NodeRows> all;
  for (const auto& node : nodes_) {
    NodeRows& rows = all.emplace_back(NodeRows{node->name(), node->server_id(), {}});
    const auto sets = node->connect().query("SELECT client, sequence, server_id FROM lab.writes");
    for (const sql::Row& row : sets.at(0).rows) {
      rows.rows.push_back({static_cast<uint32_t>(std::stoul(row[0].value())),
                           std::stoull(row[1].value()),
                           static_cast<uint32_t>(std::stoul(row[2].value()))});
    }
  }
  return all;
}

std::vector<std::string> Cluster::stop() {
  std::vector<std::string> complaints;
  if (agent_) agent_->stop();
  if (haproxy_) haproxy_->stop();
  if (witness_) witness_->stop();
  for (const auto& node : nodes_) {
    const auto status = node->stop();
    if (status && *status != 0 && *status != 128 + SIGKILL) {
      complaints.push_back(node->name() + " ended with status " + std::to_string(*status));
    }
    std::ifstream log(node->log());
    for (std::string line; std::getline(log, line);) {
      if (line.find("got signal") != std::string::npos) {
        complaints.push_back(node->name() + " crashed: " + line);
      }
    }
  }
  return complaints;
}

}  // namespace active_master::lab
