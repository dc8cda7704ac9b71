// Any text as the agent's configuration file (after a '#') or, a line each, as its arguments:
// options come out, or an error that says so; then a driver of them. --config and --credentials are
// left out: they would read this machine's files.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <sstream>
#include <string>
#include <vector>

#include "client/agent/options.h"

namespace {

template <typename Parse>
void try_to(Parse parse) {
  CLI::App app;
  active_master::agent::Options options;
  active_master::agent::add_options(app, options);
  app.set_config();
  try {
    parse(app);
    if (options.credentials.empty()) (void)active_master::agent::make_driver(options);
  } catch (const std::exception&) {  // what main() shows
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const bool is_file = data[0] == '#';
  std::istringstream in(std::string(reinterpret_cast<const char*>(data + 1), size - 1));
  try_to([&](CLI::App& app) {
    if (is_file) return app.parse_from_stream(in);
    std::vector<std::string> arguments;
    for (std::string line; std::getline(in, line);) arguments.push_back(line);
    std::ranges::reverse(arguments);  // parse() wants them so
    app.parse(arguments);
  });
  return 0;
}
