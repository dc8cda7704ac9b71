// active-master-agent: beside a proxy, makes it follow the active master.
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <optional>

#include "client/agent/agent_check.h"
#include "client/agent/faulty.h"
#include "client/agent/options.h"
#include "client/protocol/credentials.h"

namespace active_master::agent {
namespace {

void wait_for_signal() {
  boost::asio::io_context io;
  boost::asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([](const boost::system::error_code&, int number) {
    spdlog::info("signal={} agent=STOPPING proxy=LEFT_AS_IT_IS", number);
  });
  io.run();
}

int run(const Options& options) {
  spdlog::set_level(options.log_level);
  const auto driver = with_fault_points(make_driver(options));
  if (options.is_check) {
    for (const auto& advice : driver->check()) std::printf("Advice: %s.\n", advice.c_str());
    std::puts("The proxy is configured as needed, as far as it tells.");
    return 0;
  }
  std::string error;
  if (!protocol::Credentials::load(options.subscriber.credentials, error)) {
    throw std::runtime_error(error);
  }
  Agent agent(*driver, options.agent);
  client::Subscriber subscriber(options.subscriber, agent);
  std::optional<AgentCheck> agent_check;
  if (options.agent_check.port != 0) {
    agent_check.emplace(options.agent_check,
                        [&] { return subscriber.snapshot().proxy_state.node(); });
  }
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
  CLI::App app("Lets a proxy follow the active master of a MariaDB cluster.");
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
