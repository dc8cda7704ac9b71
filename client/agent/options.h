// What the agent's command line and configuration file say.
#pragma once

#include <spdlog/common.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "client/agent/agent.h"
#include "client/agent/driver.h"
#include "client/agent/exec.h"
#include "client/agent/haproxy.h"
#include "client/agent/maxscale.h"
#include "client/agent/proxysql.h"
#include "client/subscriber/subscriber.h"

namespace active_master::agent {

struct Options {
  client::Subscriber::Options subscriber;
  Agent::Options agent;
  // HAProxy: the n-th backend has the n-th server and frontend.
  Haproxy::Options haproxy;
  std::vector<std::string> backends;
  std::vector<std::string> servers;
  std::vector<std::string> frontends;
  std::vector<std::string> read_backends;
  Address agent_check;  // port 0: none
  Proxysql::Options proxysql;
  Maxscale::Options maxscale;
  Exec::Options exec;
  std::string credentials;
  bool install_statement = false;
  std::chrono::seconds pause{30};
  bool is_check = false;
  spdlog::level::level_enum log_level = spdlog::level::info;
};

// The app writes into the options when it parses.
void add_options(CLI::App& app, Options& options);

// Throws a Failure that names the option that is missing.
std::unique_ptr<Driver> make_driver(const Options& options);

}  // namespace active_master::agent
