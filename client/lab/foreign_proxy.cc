#include "client/lab/foreign_proxy.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "client/lab/wait.h"

namespace active_master::lab {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr auto kStartLimit = 60s;
constexpr unsigned kUnknownNode = 33306;
constexpr const char* kAdmin = "agent";  // of ProxySQL, its password too

void write_private_file(const fs::path& file, const std::string& text) {
  write_file(file, text);
  fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
}

}  // namespace

std::string to_string(ForeignKind kind) {
  return kind == ForeignKind::kProxysql ? "proxysql" : "maxscale";
}

std::optional<fs::path> find_program(ForeignKind kind) {
  const char* variable = kind == ForeignKind::kProxysql ? "PROXYSQL_BIN" : "MAXSCALE_BIN";
  if (const char* named = std::getenv(variable)) {
    if (access(named, X_OK) == 0) return named;
    throw LabError(std::string(variable) + "=" + named + " is no program");
  }
  std::istringstream path(std::getenv("PATH") != nullptr ? std::getenv("PATH") : "");
  for (std::string directory; std::getline(path, directory, ':');) {
    const fs::path program = fs::path(directory) / to_string(kind);
    if (access(program.c_str(), X_OK) == 0) return program;
  }
  return std::nullopt;
}

ForeignProxy::ForeignProxy(Cluster& cluster, ForeignKind kind, std::string name, bool has_agent)
    : cluster_(cluster),
      kind_(kind),
      name_(std::move(name)),
      directory_(cluster.directory() / name_) {
  fs::create_directory(directory_);
  const auto program = find_program(kind);
  if (!program) throw LabError("There is no " + to_string(kind));
  const auto options =
      kind == ForeignKind::kProxysql ? start_proxysql(*program) : start_maxscale(*program);
  if (has_agent) start_agent(options);
}

void ForeignProxy::start_agent(const std::vector<std::string>& options) {
  auto arguments = cluster_.agent_arguments(name_);
  arguments.push_back("--install-statement=yes");
  arguments.insert(arguments.end(), options.begin(), options.end());
  start(agent_, "agent", std::move(arguments));
  sql::Connection active = cluster_.node(Cluster::active_node(*cluster_.nodes().front())).connect();
  require(
      "The agent of " + name_ + " doesn't open traffic (its log is in " + directory_.string() + ")",
      kStartLimit, [&] {
        return active.value(
                   "SELECT EPOCH FROM INFORMATION_SCHEMA.ACTIVE_MASTER_PROXIES WHERE PROXY = '" +
                   name_ + "'") ==
               active.value("SELECT EPOCH FROM INFORMATION_SCHEMA.ACTIVE_MASTER_STATE");
      });
  active.execute("GRANT EXECUTE ON PROCEDURE active_master.set_active_master TO '" +
                 std::string(kAppUser) + "'@'127.0.0.1'");
  cluster_.wait_until_in_sync();
}

void ForeignProxy::meet(const ForeignProxy& other) const {
  if (kind_ != ForeignKind::kProxysql || other.kind_ != kind_ || !agent_) return;
  sql::Options admin;
  admin.host = "127.0.0.1";
  admin.port = control_port_.number();
  admin.user = kAdmin;
  admin.password = kAdmin;
  sql::Connection connection(admin);
  connection.execute("REPLACE INTO proxysql_servers (hostname, port) VALUES ('127.0.0.1', " +
                     std::to_string(other.control_port_.number()) + ")");
  connection.execute("LOAD PROXYSQL SERVERS TO RUNTIME");
}

std::vector<std::string> ForeignProxy::wrong_with_statement(const std::string& node) const {
  sql::Options account = cluster_.through_proxy();
  account.port = port();
  std::vector<std::string> wrong;
  for (const char* statement : {"SET ACTIVE MASTER nowhere", "set active master 'nowhere'",
                                "Set  Active Master `nowhere`;", "SET ACTIVE MASTER \"nowhere\""}) {
    std::string answer = "was accepted";
    try {
      sql::Connection(account).execute(statement);
    } catch (const sql::Error& error) {
      if (error.number() == kUnknownNode) continue;
      answer = error.what();
    }
    wrong.push_back(name_ + ": " + statement + ": " + answer);
  }
  const std::string statement = "SET ACTIVE MASTER " + node;
  try {
    sql::Connection(account).execute(statement);
    cluster_.wait_until_healthy(node);
  } catch (const std::runtime_error& error) {
    wrong.push_back(name_ + ": " + statement + ": " + error.what());
  }
  return wrong;
}

void ForeignProxy::start(std::unique_ptr<Process>& process, const std::string& what,
                         std::vector<std::string> arguments) {
  process = std::make_unique<Process>(Command{
      .name = what, .arguments = std::move(arguments), .log = directory_ / (what + ".log")});
}

std::vector<std::string> ForeignProxy::start_proxysql(const fs::path& program) {
  std::ostringstream text;
  text << "datadir=\"" << directory_.string() << "\"\n"
       << "admin_variables=\n{\n  admin_credentials=\"" << kAdmin << ":" << kAdmin << "\"\n"
       << "  cluster_username=\"" << kAdmin << "\"\n  cluster_password=\"" << kAdmin << "\"\n"
       << "  cluster_check_interval_ms=200\n  cluster_mysql_servers_diffs_before_sync=0\n"
       << "  mysql_ifaces=\"" << control_port_.address() << "\"\n}\n"
       << "mysql_variables=\n{\n  threads=2\n  interfaces=\"" << port_.address() << "\"\n"
       << "  connect_timeout_server_max=60000\n  auto_increment_delay_multiplex=0\n"
       << "  monitor_username=\"" << kAppUser << "\"\n  monitor_password=\"" << kAppPassword
       << "\"\n"
       << "  monitor_writer_is_also_reader=false\n}\n"
       << "mysql_replication_hostgroups=\n(\n  { writer_hostgroup=10, reader_hostgroup=20,"
       << " check_type=\"read_only\" }\n)\n"
       // Each write reads @@server_id, which else would tie its session to the server.
       << "mysql_query_rules=\n(\n  { rule_id=100, active=1, match_pattern=\"@@server_id\","
       << " multiplex=2, apply=0 }\n)\n"
       << "mysql_users=\n(\n  { username=\"" << kAppUser << "\", password=\"" << kAppPassword
       << "\", default_hostgroup=10 }\n)\nmysql_servers=\n(\n";
  const auto& nodes = cluster_.nodes();
  for (size_t i = 0; i < nodes.size(); ++i) {
    text << "  { address=\"127.0.0.1\", port=" << nodes[i]->sql_port()
         << ", hostgroup=" << (i == 0 ? 10 : 20) << " }" << (i + 1 < nodes.size() ? "," : "")
         << "\n";
  }
  text << ")\n";
  const fs::path configuration = directory_ / "proxysql.cnf";
  write_private_file(configuration, text.str());
  start(proxy_, "proxysql",
        {program, "-f", "--initial", "-c", configuration, "-D", directory_.string()});
  const fs::path credentials = directory_ / "credentials";
  write_private_file(credentials,
                     std::string("[proxysql]\nuser=") + kAdmin + "\npassword=" + kAdmin + "\n");
  return {"--driver=proxysql", "--credentials=" + credentials.string(),
          "--proxysql-admin=" + control_port_.address(), "--proxysql-writer=10",
          "--proxysql-reader=20"};
}

std::vector<std::string> ForeignProxy::start_maxscale(const fs::path& program) {
  // The monitor's and the service's account, as its documentation asks for, and more.
  sql::Connection connection = cluster_.nodes().front()->connect();
  connection.execute("CREATE OR REPLACE USER maxscale@'127.0.0.1' IDENTIFIED BY 'maxscale'");
  connection.execute("GRANT ALL PRIVILEGES ON *.* TO maxscale@'127.0.0.1'");
  cluster_.wait_until_in_sync();

  std::ostringstream text;
  text << "[maxscale]\nthreads=2\nadmin_host=127.0.0.1\nadmin_port=" << control_port_.number()
       << "\nadmin_secure_gui=false\n";
  for (const char* kind : {"logdir", "datadir", "cachedir", "piddir", "persistdir"}) {
    const fs::path directory = directory_ / kind;
    fs::create_directory(directory);
    text << kind << "=" << directory.string() << "\n";
  }
  std::string names;
  for (const auto& node : cluster_.nodes()) {
    names += (names.empty() ? "" : ",") + node->name();
    text << "[" << node->name() << "]\ntype=server\naddress=127.0.0.1\nport=" << node->sql_port()
         << "\n";
  }
  const std::string account = "user=maxscale\npassword=maxscale\n";
  text << "[monitor]\ntype=monitor\nmodule=mariadbmon\nmonitor_interval=100ms\nservers=" << names
       << "\n"
       << account << "[writes]\ntype=service\nrouter=readwritesplit\ntransaction_replay=true\n"
       << "delayed_retry=true\nservers=" << names << "\n"
       << account
       << "[listener]\ntype=listener\nservice=writes\naddress=127.0.0.1\nport=" << port_.number()
       << "\n";
  const fs::path configuration = directory_ / "maxscale.cnf";
  write_private_file(configuration, text.str());
  std::vector<std::string> started = {program, "--nodaemon", "--config=" + configuration.string()};
  if (geteuid() == 0) started.emplace_back("--user=root");
  start(proxy_, "maxscale", std::move(started));

  const fs::path credentials = directory_ / "credentials";
  write_private_file(credentials,
                     "[maxscale]\nuser=admin\npassword=mariadb\n");  // as it is shipped
  return {"--driver=maxscale", "--credentials=" + credentials.string(),
          "--maxscale-rest=" + control_port_.address(), "--maxscale-monitor=monitor",
          "--maxscale-service=writes"};
}

}  // namespace active_master::lab
