#include "client/agent/options.h"

#include <cstdint>
#include <tuple>
#include <utility>

#include "client/agent/credentials.h"
#include "client/agent/haproxy_readers.h"
#include "client/agent/together.h"
#include "client/protocol/names.h"
#include "client/protocol/option_checks.h"

namespace active_master::agent {
namespace {

using protocol::check_address;
using protocol::check_name;

void add_name(CLI::App& app, const char* option, std::string& name, const char* help) {
  app.add_option(option, name, help)->check(check_name)->capture_default_str();
}

CLI::Option* add_address(CLI::App& app, const char* option, Address& address, const char* help) {
  return app
      .add_option_function<std::string>(
          option, [&address](const std::string& text) { address = *parse_address(text); }, help)
      ->check(check_address);
}

template <typename Duration>
void add_duration(CLI::App& app, const char* option, Duration& duration, int64_t least,
                  const char* help, int64_t most = 600'000) {
  app.add_option_function<int64_t>(
         option, [&duration](int64_t count) { duration = Duration(count); }, help)
      ->check(CLI::Range(least, most))
      ->default_str(std::to_string(duration.count()));
}

void add_haproxy(CLI::App& app, Options& options) {
  auto& haproxy = options.haproxy;
  app.add_option("--haproxy-socket", haproxy.socket, "Path of HAProxy's admin socket");
  app.add_option("--backend", options.backends,
                 "A TCP backend; repeat it with its --server and --frontend for more")
      ->check(check_name)
      ->allow_extra_args(false);
  app.add_option("--server", options.servers, "Its one server")
      ->check(check_name)
      ->allow_extra_args(false);
  app.add_option("--frontend", options.frontends, "host:port where its clients connect")
      ->check(check_address)
      ->allow_extra_args(false);
  app.add_option("--read-backend", options.read_backends,
                 "A backend for reads: the active master is drained there")
      ->check(check_name)
      ->allow_extra_args(false);
  add_address(app, "--park", haproxy.park, "A port that nobody listens on")
      ->default_str(haproxy.park.to_string());
  app.add_option("--maxconn", haproxy.maxconn, "maxconn of the server while traffic is open")
      ->check(CLI::Range(2u, 4'000'000'000u))
      ->capture_default_str();
  add_address(app, "--agent-check", options.agent_check, "host:port to answer agent checks on");
}

void add_proxysql(CLI::App& app, Proxysql::Options& proxysql) {
  add_address(app, "--proxysql-admin", proxysql.admin, "host:port of its admin interface")
      ->default_str(proxysql.admin.to_string());
  app.add_option("--proxysql-writer", proxysql.writer_hostgroup, "Hostgroup for writes")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option_function<int>(
         "--proxysql-reader", [&proxysql](int group) { proxysql.reader_hostgroup = group; },
         "Hostgroup for reads, if there is one")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--proxysql-statement-rule", proxysql.statement_rule,
                 "rule_id of the rule that --install-statement makes")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

void add_maxscale(CLI::App& app, Maxscale::Options& maxscale) {
  add_address(app, "--maxscale-rest", maxscale.rest, "host:port of its REST API")
      ->default_str(maxscale.rest.to_string());
  add_name(app, "--maxscale-monitor", maxscale.monitor, "The monitor of the servers");
  app.add_option("--maxscale-service", maxscale.services, "A service that routes writes; repeat it")
      ->check(check_name)
      ->allow_extra_args(false);
}

void add_exec(CLI::App& app, Exec::Options& exec) {
  app.add_option("--exec-program", exec.program, "Path of the program that does it")
      ->check(CLI::ExistingFile);
  add_duration(app, "--exec-timeout", exec.timeout, 1, "For each call of it, ms");
}

}  // namespace

void add_options(CLI::App& app, Options& options) {
  auto& subscriber = options.subscriber;
  subscriber.driver = "haproxy";
  app.set_version_flag("--version", "0.1.0");
  app.set_config("--config", "", "File with these options, as name=value lines");
  add_name(app, "--name", subscriber.name, "Of this proxy, unique in the cluster (required)");
  add_name(app, "--cluster", subscriber.cluster, "active_master_cluster_name of the nodes");
  app.add_option_function<std::vector<std::string>>(
         "--node",
         [&subscriber](const std::vector<std::string>& items) {
           std::string text;
           for (const auto& item : items) text += (text.empty() ? "" : ",") + item;
           std::string error;
           const auto nodes = parse_named_addresses(text, error);
           if (!nodes) throw CLI::ValidationError("--node", error);
           subscriber.nodes = *nodes;
         },
         "name=host:port of each node (its active_master_port); repeat it, or separate by commas")
      ->required()
      ->allow_extra_args(false);
  auto& files = subscriber.credentials;
  app.add_option("--secret-file", files.secret,
                 "File with the cluster's secret or this proxy's key; read again when it changes");
  app.add_option("--tls-ca", files.tls_ca, "PEM file of the CA that certifies nodes and proxies");
  app.add_option("--tls-cert", files.tls_cert, "PEM file of a certificate with this proxy's name");
  app.add_option("--tls-key", files.tls_key, "PEM file of its key");
  app.add_option("--tls-crl", files.tls_crl, "PEM file of the revoked certificates");
  app.add_option("--driver", subscriber.driver,
                 "What is beside: haproxy, proxysql, maxscale, exec, none")
      ->check(CLI::IsMember({"haproxy", "proxysql", "maxscale", "exec", "none"}))
      ->capture_default_str();
  add_haproxy(app, options);
  add_proxysql(app, options.proxysql);
  add_maxscale(app, options.maxscale);
  add_exec(app, options.exec);
  app.add_option(
      "--credentials", options.credentials,
      "File with user and password for ProxySQL or MaxScale, in [proxysql] or [maxscale]");
  app.add_flag("--install-statement", options.install_statement,
               "Let ProxySQL or MaxScale rewrite SET ACTIVE MASTER node");
  app.add_option_function<std::string>(
         "--when-alone",
         [&options](const std::string& text) {
           options.agent.alone = text == "hold" ? Alone::kHold : Alone::kKeep;
         },
         "While no node is heard: keep traffic as it is, or hold it")
      ->check(CLI::IsMember({"keep", "hold"}))
      ->default_str("keep");
  add_duration(app, "--drain", options.agent.drain, 0,
               "How long running statements are waited for here, not at the node, ms");
  add_duration(app, "--pause", options.pause, 1, "The longest pause to expect, s");
  add_duration(app, "--heartbeat", subscriber.heartbeat, 10, "To the nodes, ms",
               std::chrono::milliseconds(protocol::kProxyHeartbeat).count());  // nodes expect one
  add_duration(app, "--peer-timeout", subscriber.peer_timeout, 50,
               "A node whose machine is silent for so long is dialled again, ms");
  add_duration(app, "--startup-wait", subscriber.startup_wait, 0,
               "For nodes that don't answer at start, ms");
  app.add_option("--state-file", subscriber.state_file,
                 "Keeps the highest epoch seen over restarts (default: none)");
  app.add_option_function<std::string>(
         "--log-level",
         [&options](const std::string& text) { options.log_level = spdlog::level::from_str(text); })
      ->check(CLI::IsMember({"debug", "info", "warning", "error", "off"}))
      ->default_str("info");
  app.add_flag("--check", options.is_check, "Only see whether the proxy is configured as needed");
  app.get_option("--name")->required();
}

namespace {

void need(bool is_there, const std::string& driver, const char* option) {
  if (!is_there) throw Failure("--driver " + driver + " needs " + option);
}

// The driver "none": HAProxy asks us by its agent checks; nothing is told to it.
class Silent : public Driver {
 public:
  void hold(const client::Hold&) override {}
  void open(const Target&) override {}
  std::vector<std::string> check() override { return {}; }
};

std::unique_ptr<Driver> make_haproxy(const Options& options) {
  const auto& [haproxy, backends] = std::tie(options.haproxy, options.backends);
  need(!haproxy.socket.empty(), "haproxy", "--haproxy-socket");
  need(!backends.empty() || !options.read_backends.empty(), "haproxy", "--backend");
  if (options.servers.size() != backends.size() || options.frontends.size() != backends.size()) {
    throw Failure("each --backend needs its --server and its --frontend");
  }
  std::vector<std::unique_ptr<Driver>> drivers;
  for (size_t i = 0; i < backends.size(); ++i) {
    Haproxy::Options one = haproxy;
    one.backend = backends[i];
    one.server = options.servers[i];
    one.frontend = *parse_address(options.frontends[i]);
    one.pause = options.pause;
    drivers.push_back(std::make_unique<Haproxy>(one));
  }
  for (const auto& backend : options.read_backends) {
    drivers.push_back(std::make_unique<HaproxyReaders>(
        HaproxyReaders::Options{haproxy.socket, backend, haproxy.command_timeout}));
  }
  return std::make_unique<Together>(std::move(drivers));
}

}  // namespace

std::unique_ptr<Driver> make_driver(const Options& options) {
  const std::string& name = options.subscriber.driver;
  if (name == "haproxy") return make_haproxy(options);
  if (name == "exec") {
    need(!options.exec.program.empty(), name, "--exec-program");
    Exec::Options exec = options.exec;
    exec.proxy = options.subscriber.name;
    exec.cluster = options.subscriber.cluster;
    return std::make_unique<Exec>(exec);
  }
  if (name == "none") {
    need(options.agent_check.port != 0, name, "--agent-check");
    return std::make_unique<Silent>();
  }
  need(!options.credentials.empty(), name, "--credentials");
  const Credentials account = read_credentials(options.credentials, name);
  if (name == "proxysql") {
    Proxysql::Options proxysql = options.proxysql;
    proxysql.account = account;
    proxysql.install_statement = options.install_statement;
    proxysql.pause = options.pause;
    return std::make_unique<Proxysql>(proxysql);
  }
  need(!options.maxscale.monitor.empty(), name, "--maxscale-monitor");
  need(!options.maxscale.services.empty(), name, "--maxscale-service");
  Maxscale::Options maxscale = options.maxscale;
  maxscale.account = account;
  maxscale.install_statement = options.install_statement;
  return std::make_unique<Maxscale>(maxscale);
}

}  // namespace active_master::agent
