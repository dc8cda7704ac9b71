#include "client/cli/commands.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <iostream>
#include <thread>

#include "client/cli/render.h"
#include "client/cli/trace.h"
#include "client/protocol/credentials.h"

namespace active_master::cli {
namespace {

// The plugin's own error for it: the director was lost from sight during the switchover.
constexpr unsigned kOutcomeUnknown = 33318;

struct Status {
  sql::ResultSet state;
  sql::ResultSet nodes;
  sql::ResultSet proxies;
};

sql::ResultSet only(std::vector<sql::ResultSet> sets) {
  return sets.empty() ? sql::ResultSet{} : std::move(sets.front());
}

// From INFORMATION_SCHEMA, not by CALL status(): this needs no EXECUTE privilege, and it works
// while the procedures aren't installed yet.
Status read_status(sql::Connection& connection) {
  Status status;
  status.state = only(connection.query("SELECT * FROM INFORMATION_SCHEMA.ACTIVE_MASTER_STATE"));
  status.nodes =
      only(connection.query("SELECT * FROM INFORMATION_SCHEMA.ACTIVE_MASTER_NODES ORDER BY NODE"));
  status.proxies = only(
      connection.query("SELECT * FROM INFORMATION_SCHEMA.ACTIVE_MASTER_PROXIES ORDER BY PROXY"));
  return status;
}

std::string headline(const sql::ResultSet& state) {
  const std::string cluster = state.first("CLUSTER").value_or("");
  const sql::Value active = state.first("ACTIVE_NODE");
  const sql::Value phase = state.first("PHASE");
  std::string line = "Cluster " + cluster + ": ";
  if (active) {
    line += *active + " is the active master of epoch " + state.first("EPOCH").value_or("?") +
            ", writes go to " + state.first("ACTIVE_SQL_ADDRESS").value_or("?");
  } else {
    line += "no active master is known";
  }
  if (phase && *phase != "NONE") line += "; a switchover runs (" + *phase + ")";
  return line + '\n';
}

Json json_of(const Status& status) {
  const Json state = json_rows(status.state);
  return {{"state", state.empty() ? Json(nullptr) : state.front()},
          {"nodes", json_rows(status.nodes)},
          {"proxies", json_rows(status.proxies)}};
}

std::string text_of(const Status& status) {
  return headline(status.state) + "\nThis node\n" + record(status.state) + "\nNodes\n" +
         table(select(status.nodes, {"NODE", "LINK", "ROLE", "EPOCH", "ADDRESS", "SQL_ADDRESS",
                                     "FENCED", "READ_ONLY", "GTID_POSITION", "LAST_ERROR"})) +
         "\nProxies\n" +
         table(select(status.proxies,
                      {"PROXY", "IP", "SWITCH", "STATE", "DRIVER", "EPOCH", "NODE", "LAST_ERROR"}));
}

void print(const Json& json, int indent) {
  // Text from a server may be of any character set: replaced where it isn't UTF-8, never thrown at.
  std::cout << json.dump(indent, ' ', false, Json::error_handler_t::replace) << std::endl;
}

// While it lives, Ctrl-C cancels the statement that `thread_id` runs, and a second one leaves.
class CancelOnInterrupt {
 public:
  CancelOnInterrupt(sql::Options connection, uint64_t thread_id)
      : worker_([connection = std::move(connection), thread_id](const std::stop_token& stop) {
          int seen = 0;
          while (!stop.stop_requested()) {
            if (!interrupted()) continue;
            if (++seen > 1) {
              std::cerr << "Left; the outcome of the switchover is unknown.\n";
              _exit(static_cast<int>(ExitCode::kUnknown));
            }
            cancel(connection, thread_id);
          }
        }) {}

 private:
  // Waits a little for SIGINT.
  static bool interrupted() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    const timespec limit{0, 50'000'000};
    return sigtimedwait(&signals, nullptr, &limit) == SIGINT;
  }

  static void cancel(const sql::Options& connection, uint64_t thread_id) {
    std::cerr << "Cancelling the switchover, unless the role has been granted already. "
                 "Press Ctrl-C again to leave without knowing the outcome.\n";
    try {
      sql::Connection(connection).execute("KILL QUERY " + std::to_string(thread_id));
    } catch (const sql::Error& error) {
      std::cerr << "Can't cancel: " << error.what() << '\n';
    }
  }

  std::jthread worker_;
};

}  // namespace

ExitCode exit_code(const sql::Error& error, Action action) {
  if (error.stage() == sql::Error::Stage::kConnect) return ExitCode::kNoServer;
  if (error.number() == kOutcomeUnknown) return ExitCode::kUnknown;
  if (!error.connection_lost()) return ExitCode::kRefused;
  return action == Action::kSwitch ? ExitCode::kUnknown : ExitCode::kNoServer;
}

ExitCode report(const sql::Error& error, Action action, const Request& request) {
  const ExitCode code = exit_code(error, action);
  if (request.json) {
    print({{"error", json_error(error)}, {"exit_code", static_cast<int>(code)}}, 2);
    return code;
  }
  std::cerr << "ERROR " << error.number() << " (" << error.sqlstate() << "): " << error.what()
            << '\n';
  if (code == ExitCode::kUnknown) {
    std::cerr << "The switchover may or may not have happened: "
                 "see `active-master status` on every node.\n";
  }
  return code;
}

ExitCode status(const Request& request) {
  try {
    sql::Connection connection(request.connection);
    const Status status = read_status(connection);
    if (request.json) {
      print(json_of(status), 2);
    } else {
      std::cout << text_of(status);
    }
    return ExitCode::kDone;
  } catch (const sql::Error& error) {
    return report(error, Action::kRead, request);
  }
}

ExitCode check(const Request& request, const std::string& node, bool failover) {
  try {
    sql::Connection connection(request.connection);
    const sql::ResultSet checks =
        only(connection.query(std::string("CALL active_master.") +
                              (failover ? "failover_check" : "check") + "('" + node + "')"));
    const Json rows = json_rows(checks);
    const bool accepted = std::none_of(rows.begin(), rows.end(), [](const Json& row) {
      return row.value("verdict", "") == "FAILED";
    });
    if (request.json) {
      print({{"node", node}, {"accepted", accepted}, {"checks", rows}}, 2);
    } else {
      std::cout << table(checks) << (failover ? "\nA failover to " : "\nA switchover to ") << node
                << " would be " << (accepted ? "accepted.\n" : "refused.\n");
    }
    return accepted ? ExitCode::kDone : ExitCode::kRefused;
  } catch (const sql::Error& error) {
    return report(error, Action::kRead, request);
  }
}

namespace {

ExitCode move_role(const Request& request, const std::string& procedure, const std::string& node) {
  try {
    sql::Connection connection(request.connection);
    const CancelOnInterrupt cancel(request.connection, connection.thread_id());
    const sql::ResultSet phases =
        only(connection.query("CALL active_master." + procedure + "('" + node + "')"));
    if (request.json) {
      print({{"node", node}, {"result", "DONE"}, {"phases", json_rows(phases)}}, 2);
    } else {
      std::cout << table(phases) << '\n' << node << " is the active master.\n";
    }
    return ExitCode::kDone;
  } catch (const sql::Error& error) {
    return report(error, Action::kSwitch, request);
  }
}

}  // namespace

ExitCode switch_to(const Request& request, const std::string& node) {
  return move_role(request, "set_active_master", node);
}

ExitCode failover(const Request& request, const std::string& node, bool forced) {
  return move_role(request, forced ? "force_failover" : "failover", node);
}

ExitCode trace(const Request& request, uint64_t id, const std::string& svg_file) {
  try {
    const Trace trace = read_trace(request.connection, id);
    if (!svg_file.empty()) {
      std::ofstream file(svg_file);
      file << trace_svg(trace);
      if (!file.flush()) {
        std::cerr << "Can't write '" << svg_file << "'\n";
        return ExitCode::kUsage;
      }
    }
    if (request.json) {
      print(trace_json(trace), 2);
    } else {
      std::cout << trace_text(trace);
    }
    return ExitCode::kDone;
  } catch (const sql::Error& error) {
    return report(error, Action::kRead, request);
  }
}

ExitCode watch(const Request& request, std::chrono::milliseconds interval) {
  const bool terminal = isatty(STDOUT_FILENO) == 1;
  std::optional<sql::Connection> connection;
  for (;;) {
    try {
      if (!connection) connection.emplace(request.connection);
      const Status status = read_status(*connection);
      if (request.json) {
        print(json_of(status), -1);
      } else {
        std::cout << (terminal ? "\033[H\033[2J" : "") << text_of(status) << std::endl;
      }
    } catch (const sql::Error& error) {
      // A node that restarts is a thing to watch: go on and show it again when it is back.
      if (error.stage() != sql::Error::Stage::kConnect && !error.connection_lost()) {
        return report(error, Action::kRead, request);
      }
      connection.reset();
      (void)report(error, Action::kRead, request);
    }
    std::this_thread::sleep_for(interval);
  }
}

ExitCode proxy_key(const std::string& secret_file, const std::string& cluster,
                   const std::string& proxy) {
  std::string error;
  const auto credentials = protocol::Credentials::load({.secret = secret_file}, error);
  if (credentials && credentials->has_proxy_key()) {
    error = "the secret file '" + secret_file + "' holds a proxy's key, not the cluster's secret";
  }
  if (!error.empty()) {
    std::cerr << error << '\n';
    return ExitCode::kUsage;
  }
  for (const auto& secret : credentials->secrets()) {
    std::cout << protocol::proxy_key_line(protocol::proxy_key(secret.key, cluster, proxy)) << '\n';
  }
  return ExitCode::kDone;
}

}  // namespace active_master::cli
