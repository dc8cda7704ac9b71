// active-master-agent: beside a HAProxy, follows the active master.
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>

#include "client/agent/agent.h"
#include "client/agent/haproxy.h"
#include "client/protocol/names.h"
#include "client/subscriber/subscriber.h"

namespace active_master::agent {
namespace {

std::string check_name(const std::string& text) {
  return is_valid_name(text) ? "" : "'" + text + "' is not a name (letters, digits, '_', '.', '-')";
}

std::string check_address(const std::string& text) {
  return parse_address(text) ? "" : "'" + text + "' is not of the form host:port";
}

struct Options {
  client::Subscriber::Options subscriber;
  Haproxy::Options haproxy;
  bool is_check = false;
  spdlog::level::level_enum log_level = spdlog::level::info;
};

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
                  const char* help) {
  app.add_option_function<int64_t>(
         option, [&duration](int64_t count) { duration = Duration(count); }, help)
      ->check(CLI::Range(least, int64_t{600'000}))
      ->default_str(std::to_string(duration.count()));
}

void add_options(CLI::App& app, Options& options) {
  auto& subscriber = options.subscriber;
  auto& haproxy = options.haproxy;
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
  app.add_option("--haproxy-socket", haproxy.socket, "Path of HAProxy's admin socket")->required();
  add_name(app, "--backend", haproxy.backend, "The TCP backend (required)");
  add_name(app, "--server", haproxy.server, "Its one server (required)");
  add_address(app, "--frontend", haproxy.frontend, "host:port where clients connect")->required();
  add_address(app, "--park", haproxy.park, "A port that nobody listens on")
      ->default_str(haproxy.park.to_string());
  app.add_option("--maxconn", haproxy.maxconn, "maxconn of the server while traffic is open")
      ->check(CLI::Range(2u, 4'000'000'000u))
      ->capture_default_str();
  add_duration(app, "--pause", haproxy.pause, 1, "The longest pause to expect, s");
  add_duration(app, "--heartbeat", subscriber.heartbeat, 10, "To the nodes, ms");
  add_duration(app, "--peer-timeout", subscriber.peer_timeout, 50,
               "A node that is silent for so long is dialled again, ms");
  add_duration(app, "--startup-wait", subscriber.startup_wait, 0,
               "For nodes that don't answer at start, ms");
  app.add_option("--state-file", subscriber.state_file,
                 "Keeps the highest epoch seen over restarts (default: none)");
  app.add_option_function<std::string>(
         "--log-level",
         [&options](const std::string& text) { options.log_level = spdlog::level::from_str(text); })
      ->check(CLI::IsMember({"debug", "info", "warning", "error", "off"}))
      ->default_str("info");
  app.add_flag("--check", options.is_check, "Only see whether HAProxy is configured as needed");
  for (const char* required : {"--name", "--backend", "--server"}) {
    app.get_option(required)->required();
  }
}

void wait_for_signal() {
  boost::asio::io_context io;
  boost::asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([](const boost::system::error_code&, int number) {
    spdlog::info("signal={} agent=STOPPING haproxy=LEFT_AS_IT_IS", number);
  });
  io.run();
}

int run(const Options& options) {
  spdlog::set_level(options.log_level);
  Haproxy haproxy(options.haproxy);
  if (options.is_check) {
    haproxy.check();
    std::puts("HAProxy is configured as needed, as far as it tells.");
    return 0;
  }
  Agent agent(haproxy, {});
  client::Subscriber subscriber(options.subscriber, agent);
  agent.start(subscriber);
  subscriber.start();
  wait_for_signal();
  subscriber.stop();
  agent.stop();
  return 0;
}

}  // namespace
}  // namespace active_master::agent

int main(int argc, char** argv) {
  CLI::App app("Lets a HAProxy follow the active master of a MariaDB cluster.");
  try {
    active_master::agent::Options options;
    active_master::agent::add_options(app, options);
    CLI11_PARSE(app, argc, argv);
    return active_master::agent::run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "active-master-agent: %s\n", error.what());
    return 1;
  }
}
