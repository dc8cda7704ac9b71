#include "client/lab/footprint.h"

#include <algorithm>

namespace active_master::lab {
namespace {

namespace fs = std::filesystem;

// A server has some 26 threads besides those of sessions, and its pools grow and shrink with the
// load and the machine's cores. More than this is a leak, which a soak meets sooner or later.
constexpr int64_t kQuietServer = 48;
// Semi-synchronous replication opens some with the role.
constexpr int64_t kQuietServerFiles = 12;
// An agent opens some when its proxy does something for the first time.
constexpr int64_t kQuietAgent = 16;

// Of a directory that changes while it is read.
std::vector<fs::path> entries(const fs::path& directory) {
  std::vector<fs::path> all;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    all.push_back(entry->path());
  }
  return all;
}

Footprint of_process(const std::string& who, pid_t pid) {
  Footprint footprint{.who = who, .pid = pid};
  const fs::path process = "/proc/" + std::to_string(pid);
  footprint.threads = static_cast<int64_t>(entries(process / "task").size());
  for (const fs::path& file : entries(process / "fd")) {
    std::error_code error;
    const std::string target = fs::read_symlink(file, error).string();
    if (target.starts_with("socket:")) {
      ++footprint.sockets;
    } else if (!error && !target.starts_with('/')) {
      ++footprint.other_files;
    }
  }
  return footprint;
}

int64_t count(sql::Connection& connection, const std::string& from) {
  return std::stoll(connection.value("SELECT COUNT(*) FROM " + from).value_or("0"));
}

}  // namespace

std::vector<Footprint> footprints(Cluster& cluster) {
  std::vector<Footprint> all;
  for (const auto& node : cluster.nodes()) {
    if (!node->answers()) continue;
    sql::Connection connection = node->connect();
    Footprint& footprint = all.emplace_back(of_process(node->name(), node->pid()));
    for (const fs::path& file : entries(node->data())) {
      footprint.state_files += file.filename().string().starts_with("active_master.") ? 1 : 0;
    }
    // Each session has a thread, and a socket if it isn't one of replication's appliers.
    // Replication's own come and go with the role.
    const auto sessions = [&connection](const std::string& which) {
      return count(connection,
                   "INFORMATION_SCHEMA.PROCESSLIST WHERE ID <> CONNECTION_ID()" + which);
    };
    footprint.threads = std::max(footprint.threads - sessions(""), kQuietServer);
    footprint.other_files = std::max(footprint.other_files, kQuietServerFiles);
    footprint.sockets -= sessions(" AND (USER <> 'system user' OR COMMAND = 'Slave_IO')");
    footprint.sessions = sessions(" AND USER <> 'system user' AND COMMAND NOT LIKE 'Binlog Dump%'");
    // Ours of this very statement is not among them: tables that are made for it have none.
    footprint.metadata_locks = count(connection, "INFORMATION_SCHEMA.METADATA_LOCK_INFO");
  }
  if (cluster.has_proxy() && cluster.agent().running()) {
    Footprint& agent = all.emplace_back(of_process(kAgentName, cluster.agent().pid()));
    agent.other_files = std::max(agent.other_files, kQuietAgent);
  }
  return all;
}

bool holds_no_more(const std::vector<Footprint>& before, const std::vector<Footprint>& after) {
  return std::all_of(before.begin(), before.end(), [&after](const Footprint& was) {
    return std::all_of(after.begin(), after.end(), [&was](const Footprint& is) {
      return is.who != was.who || is.pid != was.pid ||
             (is.threads <= was.threads && is.sockets <= was.sockets &&
              is.other_files <= was.other_files && is.state_files <= was.state_files &&
              is.sessions <= was.sessions && is.metadata_locks <= was.metadata_locks);
    });
  });
}

}  // namespace active_master::lab
