// active-master: shows and moves the role of the active master, over SQL.

#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstring>
#include <iostream>
#include <optional>

#include "client/cli/commands.h"
#include "client/cli/connect_options.h"
#include "client/protocol/names.h"

namespace {

using namespace active_master;
using cli::ExitCode;

constexpr const char* kFooter = R"(Exit codes:
  0  done; for `check`: a switchover would be accepted
  1  refused or aborted by the server, which said why; the active master is the one it was
  2  wrong options or arguments; nothing was sent
  3  can't connect, or the connection was lost while nothing was being changed
  4  the outcome is unknown: the connection or the active master was lost during the switchover,
     which may or may not have happened (see `status` on every node)

Option files are read as by the other MariaDB clients, groups [client], [client-server],
[client-mariadb] and [active-master]. Options on the command line win.)";

// What the command line says; it is applied on top of the option files.
struct CommandLine {
  sql::OptionFiles files;
  std::vector<std::pair<std::string, std::string>> settings;
  bool json = false;
  std::string node;
  std::string secret_file;
  std::string cluster;
  double interval_s = 1;
  bool is_failover = false;
  bool is_forced = false;
  uint64_t switchover = 0;
  std::string svg_file;
};

void add_connection_options(CLI::App& app, CommandLine& line) {
  // -h is the host, as with the other clients.
  app.set_help_flag("-?,--help", "Print this help message and exit");
  auto* none = app.add_flag("--no-defaults", line.files.none, "Read no option files");
  auto* only = app.add_option("--defaults-file", line.files.only, "Read this option file only");
  auto* extra = app.add_option("--defaults-extra-file", line.files.extra,
                               "Read this option file after the global ones");
  none->excludes(only)->excludes(extra);
  only->excludes(extra);

  // As with the other clients, an option that is given twice counts as given last.
  const auto setting = [&app, &line](const std::string& flags, const std::string& name,
                                     const std::string& text) {
    app.add_option_function<std::string>(
           flags,
           [&line, name](const std::string& value) { line.settings.emplace_back(name, value); },
           text)
        ->take_last();
  };
  setting("-h,--host", "host", "Server to connect to; any node will do");
  setting("-P,--port", "port", "Its SQL port; without --host, on 127.0.0.1");
  setting("-S,--socket", "socket", "Its socket file");
  setting("-u,--user", "user", "Account to use");
  setting("--connect-timeout", "connect_timeout",
          "Seconds to wait for the connection (default 10)");
  setting("--ssl-ca", "ssl_ca", "File of the certificate authorities to trust");
  setting("--ssl-capath", "ssl_capath", "Directory of the certificate authorities to trust");
  setting("--ssl-cert", "ssl_cert", "File of this client's certificate");
  setting("--ssl-key", "ssl_key", "File of this client's key");
  setting("--ssl-cipher", "ssl_cipher", "Permitted ciphers");
  const auto flag = [&app, &line](const std::string& flags, const std::string& name,
                                  const std::string& text) {
    app.add_flag_callback(
        flags, [&line, name] { line.settings.emplace_back(name, ""); }, text);
  };
  flag("--ssl", "ssl", "Refuse a connection without TLS");
  flag("--ssl-verify-server-cert", "ssl_verify_server_cert", "Verify the server's certificate");
  // Both are taken out before parsing (see take_password); they are here for --help.
  static bool help_only = false;
  app.add_flag("-p,--password", help_only, "--password=VALUE; asked for when there is no value");
}

sql::Options connection_of(const CommandLine& line, const cli::PasswordArgument& password) {
  sql::Options options;
  for (const auto& setting : sql::read_option_files(line.files, cli::option_groups())) {
    cli::apply(setting, options);
  }
  const auto given = [&line](const char* name) {
    return std::any_of(line.settings.begin(), line.settings.end(),
                       [name](const auto& setting) { return setting.first == name; });
  };
  // A port that was asked for must not lose against "localhost", which means the socket file.
  if (given("port") && !given("host") && !given("socket")) {
    options.host = "127.0.0.1";
    options.socket.clear();
  }
  // A host that was asked for must not lose against an option file's socket.
  if (given("host") && !given("socket")) options.socket.clear();
  if (given("socket") && !given("host")) options.host.clear();
  for (const auto& [name, value] : line.settings) cli::apply({name, value}, options);
  if (password.given) options.password = password.value;
  if (password.ask) options.password = cli::ask_password();
  return options;
}

// A password on the command line is hidden from process lists, as the usual clients do.
void hide_passwords(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const bool is_long = std::strncmp(argv[i], "--password=", 11) == 0;
    const bool is_short = !is_long && std::strncmp(argv[i], "-p", 2) == 0;
    if (!is_long && !is_short) continue;
    for (char* c = argv[i] + (is_long ? 11 : 2); *c != 0; ++c) *c = 'x';
  }
}

int code(ExitCode exit_code) {
  return static_cast<int>(exit_code);
}

int usage(const std::string& text) {
  std::cerr << text << "\nRun with --help for more information.\n";
  return code(ExitCode::kUsage);
}

int run(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  const cli::PasswordArgument password = cli::take_password(arguments);
  hide_passwords(argc, argv);

  CommandLine line;
  CLI::App app("Shows and moves the role of the active master between MariaDB servers.",
               "active-master");
  app.footer(kFooter);
  app.set_version_flag("--version", "active-master " ACTIVE_MASTER_VERSION);
  app.require_subcommand(1);
  app.fallthrough();  // connection options may stand after the subcommand, too
  app.add_flag("--json", line.json, "Print JSON, for scripts");
  add_connection_options(app, line);

  auto* status = app.add_subcommand("status", "Who is the active master; all nodes and proxies");
  auto* switch_to = app.add_subcommand("switch", "Make NODE the active master");
  auto* check =
      app.add_subcommand("check", "Would a switchover to NODE be accepted? Changes nothing");
  check->add_flag("--failover", line.is_failover, "Would a failover be, and what would be lost?");
  auto* failover =
      app.add_subcommand("failover", "Make NODE the active master although the old one is gone");
  failover->add_flag("--force", line.is_forced,
                     "Nodes that are not connected are off, and what NODE lacks is lost");
  auto* trace = app.add_subcommand("trace", "Show a switchover on one time line");
  trace->add_option("ID", line.switchover, "Of ACTIVE_MASTER_SWITCHOVERS (default: the last one)");
  trace->add_option("--svg", line.svg_file, "Also draw it into this file");
  auto* watch = app.add_subcommand("watch", "Show the status again and again");
  auto* proxy_key = app.add_subcommand(
      "proxy-key", "Print a proxy's own key, for its secret file; connects to nothing");
  proxy_key->add_option("--secret-file", line.secret_file, "The cluster's secret file")->required();
  proxy_key->add_option("--cluster", line.cluster, "active_master_cluster_name")->required();
  proxy_key->add_option("NAME", line.node, "The proxy's name")->required();
  for (CLI::App* command : {switch_to, check, failover}) {
    command->add_option("NODE", line.node, "The node's active_master_node_name")->required();
  }
  watch->add_option("--interval", line.interval_s, "Seconds between two looks (default 1)")
      ->check(CLI::Range(0.05, 86400.0));

  try {
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? code(ExitCode::kDone) : code(ExitCode::kUsage);
  }
  if (!line.node.empty() && !is_valid_name(line.node)) {
    return usage("'" + line.node +
                 "' can't be the name of a node or proxy: 1 to 64 letters, digits, '_', '.' "
                 "or '-' are needed, the first a letter or digit.");
  }

  if (proxy_key->parsed()) {
    return code(cli::proxy_key(line.secret_file, line.cluster, line.node));
  }

  cli::Request request;
  request.json = line.json;
  try {
    request.connection = connection_of(line, password);
  } catch (const cli::OptionError& error) {
    return usage(error.what());
  } catch (const sql::OptionFileError& error) {
    return usage(error.what());
  }

  if (status->parsed()) return code(cli::status(request));
  if (check->parsed()) return code(cli::check(request, line.node, line.is_failover));
  if (trace->parsed()) return code(cli::trace(request, line.switchover, line.svg_file));
  if (watch->parsed()) {
    const auto interval = std::chrono::duration<double>(line.interval_s);
    return code(
        cli::watch(request, std::chrono::duration_cast<std::chrono::milliseconds>(interval)));
  }
  sigset_t interrupt;  // blocked before there are threads: the switchover takes it from there
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  pthread_sigmask(SIG_BLOCK, &interrupt, nullptr);
  if (failover->parsed()) return code(cli::failover(request, line.node, line.is_forced));
  return code(cli::switch_to(request, line.node));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "active-master: " << error.what() << '\n';
    return code(ExitCode::kRefused);
  }
}
