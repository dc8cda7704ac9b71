// Any text as the configuration file (after a '#') or, a line each, as the arguments of the agent,
// and of the witness: options come out, or an error that says so; then a driver of them. --config
// and --credentials are left out: they would read this machine's files.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <sstream>
#include <string>
#include <vector>

#include "client/agent/options.h"
#include "client/witness/options.h"

namespace {

template <typename Parse>
void try_to(Parse parse) {
  CLI::App agent;
  active_master::agent::Options options;
  active_master::agent::add_options(agent, options);
  agent.set_config();
  try {
    parse(agent);
    if (options.credentials.empty()) (void)active_master::agent::make_driver(options);
  } catch (const std::exception&) {  // what main() shows
  }
  CLI::App witness;
  active_master::witness::CommandLine line;
  active_master::witness::add_options(witness, line);
  witness.set_config();
  try {
    parse(witness);
  } catch (const std::exception&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const bool is_file = data[0] == '#';
  try_to([&](CLI::App& app) {
    std::istringstream in(std::string(reinterpret_cast<const char*>(data + 1), size - 1));
    if (is_file) return app.parse_from_stream(in);
    std::vector<std::string> arguments;
    for (std::string line; std::getline(in, line);) arguments.push_back(line);
    std::ranges::reverse(arguments);  // parse() wants them so
    app.parse(arguments);
  });
  return 0;
}
