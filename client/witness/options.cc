#include "client/witness/options.h"

#include <algorithm>
#include <vector>

#include "client/protocol/names.h"
#include "client/protocol/option_checks.h"

namespace active_master::witness {
namespace {

using protocol::check_address;
using protocol::check_name;

void add_milliseconds(CLI::App& app, const char* option, Duration& duration, int64_t least,
                      const char* help) {
  app.add_option_function<int64_t>(
         option, [&duration](int64_t ms) { duration = std::chrono::milliseconds(ms); }, help)
      ->check(CLI::Range(least, int64_t{600'000}))
      ->default_str(std::to_string(duration.count() / 1000));
}

// What no option can tell by itself.
void check(const Options& options) {
  const auto& config = options.config;
  auto voters = config.voters;
  if (std::ranges::find(config.peers, config.identity.node, &NamedAddress::name) !=
      config.peers.end())
    throw CLI::ValidationError("--node", "names '" + config.identity.node + "', this witness");
  if (std::ranges::find(voters, config.identity.node) == voters.end())
    throw CLI::ValidationError(
        "--voters", "must name this witness, '" + config.identity.node + "', as on the nodes");
  std::ranges::sort(voters);
  if (std::ranges::adjacent_find(voters) != voters.end())
    throw CLI::ValidationError("--voters", "must name each voter once");
}

}  // namespace

void add_options(CLI::App& app, CommandLine& line) {
  auto& options = line.options;
  auto& config = options.config;
  config.identity.cluster = "cluster";
  app.set_version_flag("--version", "0.1.0");
  app.set_config("--config", "", "File with these options, as name=value lines");
  app.add_option("--name", config.identity.node, "Of this witness, unique in the cluster")
      ->check(check_name)
      ->required();
  app.add_option("--cluster", config.identity.cluster, "active_master_cluster_name of the nodes")
      ->check(check_name)
      ->capture_default_str();
  app.add_option_function<std::vector<std::string>>(
         "--node",
         [&config](const std::vector<std::string>& items) {
           std::string text, error;
           for (const auto& item : items) text += (text.empty() ? "" : ",") + item;
           const auto nodes = parse_named_addresses(text, error);
           if (!nodes) throw CLI::ValidationError("--node", error);
           config.peers = *nodes;
         },
         "name=host:port of every node (its active_master_port); repeat it, or separate by commas")
      ->required()
      ->allow_extra_args(false);
  app.add_option_function<std::vector<std::string>>(
         "--voters",
         [&config](const std::vector<std::string>& items) {
           config.voters = items;
           for (const auto& name : items) {
             if (const auto error = check_name(name); !error.empty())
               throw CLI::ValidationError("--voters", error);
           }
         },
         "active_master_voters of the nodes: the same names in the same order")
      ->delimiter(',')
      ->required();
  app.add_option_function<std::string>(
         "--listen",
         [&options](const std::string& text) {
           const auto address = *parse_address(text);
           options.listen_address = address.host;
           options.port = address.port;
         },
         "IP address and port that the nodes connect to, as in their active_master_witnesses")
      ->check(check_address)
      ->default_str(Address{options.listen_address, options.port}.to_string());
  app.add_option("--state-file", options.state_file,
                 "Keeps what it has promised; on a disk that survives a restart")
      ->required();
  auto& files = options.credentials;
  app.add_option("--secret-file", files.secret, "File with the cluster's secret");
  app.add_option("--tls-ca", files.tls_ca, "PEM file of the CA that certifies nodes and witnesses");
  app.add_option("--tls-cert", files.tls_cert, "PEM file of a certificate with this one's name");
  app.add_option("--tls-key", files.tls_key, "PEM file of its key");
  app.add_option("--tls-crl", files.tls_crl, "PEM file of the revoked certificates");
  add_milliseconds(app, "--lease", config.lease, 200, "active_master_lease of the nodes, ms");
  add_milliseconds(app, "--heartbeat", config.heartbeat_interval, 10, "To the nodes, ms");
  add_milliseconds(app, "--peer-timeout", config.peer_timeout, 50,
                   "A node that is silent for so long is dialled again, ms");
  app.add_option_function<std::string>(
         "--log-level",
         [&line](const std::string& text) { line.log_level = spdlog::level::from_str(text); })
      ->check(CLI::IsMember({"debug", "info", "warning", "error", "off"}))
      ->default_str("info");
  app.callback([&options] { check(options); });
}

}  // namespace active_master::witness
