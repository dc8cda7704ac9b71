// What the witness's command line and configuration file say.
#pragma once

#include <spdlog/common.h>

#include <CLI/CLI.hpp>
#include <string>

#include "client/witness/host.h"

namespace active_master::witness {

struct CommandLine {
  Options options;
  spdlog::level::level_enum log_level = spdlog::level::info;
};

// The app writes into the command line when it parses, and checks it.
void add_options(CLI::App& app, CommandLine& line);

}  // namespace active_master::witness
