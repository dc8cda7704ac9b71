// What the program does: one function for each subcommand. Each prints its result and returns the
// program's exit code.
#pragma once

#include <chrono>
#include <string>

#include "client/cli/sql_client.h"

namespace active_master::cli {

enum class ExitCode {
  kDone = 0,
  kRefused = 1,   // the server answered with an error: refused, aborted, not allowed, ...
  kUsage = 2,     // wrong options or arguments; nothing was sent
  kNoServer = 3,  // no connection, or it was lost while nothing was being changed
  kUnknown = 4,   // a switchover may or may not have happened: whoever knew was lost from sight
};

enum class Action { kRead, kSwitch };

[[nodiscard]] ExitCode exit_code(const sql::Error& error, Action action);

struct Request {
  sql::Options connection;
  bool json = false;
};

// Prints the error as the other output is printed and returns its exit code.
ExitCode report(const sql::Error& error, Action action, const Request& request);

ExitCode status(const Request& request);
// Would a switchover to the node, or a failover, be accepted?
ExitCode check(const Request& request, const std::string& node, bool failover);
// Ctrl-C cancels the switchover (possible until the role is granted); a second one leaves at once.
// SIGINT must be blocked in every thread of the program.
ExitCode switch_to(const Request& request, const std::string& node);
// `forced`: nodes that are not connected are off, and what the node lacks is lost.
ExitCode failover(const Request& request, const std::string& node, bool forced);
// The time line of that switchover, 0: of the last one; also as a picture if a file is named.
ExitCode trace(const Request& request, uint64_t id, const std::string& svg_file);
// Prints the status again and again until the program is ended.
ExitCode watch(const Request& request, std::chrono::milliseconds interval);

// Prints the key with which that proxy proves itself in place of the secret: a line for its own
// secret file, for each secret of the cluster's.
ExitCode proxy_key(const std::string& secret_file, const std::string& cluster,
                   const std::string& proxy);

}  // namespace active_master::cli
