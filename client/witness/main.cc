// active-master-witness: a vote without a server, so that two nodes and this are a majority.
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <functional>

#include "client/witness/host.h"
#include "client/witness/options.h"

namespace active_master::witness {
namespace {

void log(const LogLine& line) {
  spdlog::log(line.level == LogLine::Level::kNote      ? spdlog::level::info
              : line.level == LogLine::Level::kWarning ? spdlog::level::warn
                                                       : spdlog::level::err,
              "{}", line.text);
}

int run(const CommandLine& line) {
  spdlog::set_level(line.log_level);
  boost::asio::io_context io;
  Host host(io, line.options, log);
  boost::asio::signal_set signals(io, SIGINT, SIGTERM, SIGHUP);
  std::function<void()> await_signal = [&] {
    signals.async_wait([&](const boost::system::error_code& error, int number) {
      if (error) return;
      if (number != SIGHUP) {
        spdlog::info("signal={} witness=STOPPING", number);
        return io.stop();
      }
      host.reload();
      await_signal();
    });
  };
  await_signal();
  io.run();
  return 0;
}

}  // namespace
}  // namespace active_master::witness

int main(int argc, char** argv) {
  CLI::App app("Has a vote in a MariaDB cluster with the plugin active_master, and no server.");
  try {
    active_master::witness::CommandLine line;
    active_master::witness::add_options(app, line);
    CLI11_PARSE(app, argc, argv);
    return active_master::witness::run(line);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "active-master-witness: %s\n", error.what());
    return 1;
  }
}
