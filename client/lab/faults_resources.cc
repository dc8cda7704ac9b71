// Servers that have run out of something: connections, file descriptors, disk.
#include <sys/resource.h>

#include <filesystem>
#include <fstream>

#include "client/lab/faults.h"
#include "client/lab/play.h"

namespace active_master::lab {
namespace {

constexpr unsigned kTooManyConnections = 1040;
// A server whose disk is full looks for room once a minute.
constexpr auto kServerLooksAgain = 90s;

// Whoever is connected can still move the role.
void no_connection_is_left(Play& play) {
  sql::Connection director = play.master.connect();
  director.execute("SET GLOBAL max_connections = 10");
  std::vector<sql::Connection> all;
  unsigned refused_by = 0;
  for (int i = 0; i < 50 && refused_by == 0; ++i) {
    try {
      all.push_back(play.master.connect());
    } catch (const sql::Error& error) {
      refused_by = error.number();
    }
  }
  must(refused_by == kTooManyConnections, "the server has connections left");
  const auto result = Cluster::switch_to(play.candidate.name(), director);
  all.clear();
  director.execute("SET GLOBAL max_connections = 500");
  play.add(result);
  must(result.summary.done, "a switchover failed: " + result.summary.text);
  play.traffic_must_run();
}

// It may succeed or not, but it ends, and the server goes on when there are some again.
void no_descriptor_is_left(Play& play) {
  sql::Connection director = play.master.connect();
  rlimit before{};
  must(prlimit(play.master.pid(), RLIMIT_NOFILE, nullptr, &before) == 0, "no limit can be read");
  rlimit now = before;
  now.rlim_cur = 3;  // what is open stays open
  must(prlimit(play.master.pid(), RLIMIT_NOFILE, &now, nullptr) == 0, "no limit can be set");
  const auto result = Cluster::switch_to(play.candidate.name(), director);
  must(prlimit(play.master.pid(), RLIMIT_NOFILE, &before, nullptr) == 0, "no limit can be set");
  play.add(result);
  play.traffic_must_run();
}

// What fills a node's disk until it is destroyed.
class FullDisk {
 public:
  explicit FullDisk(const Node& node) : filler_(node.data() / "filler") {
    std::ofstream out(filler_, std::ios::binary);
    const std::string block(1 << 16, 'x');
    while (out.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
  ~FullDisk() {
    std::error_code ignored;
    std::filesystem::remove(filler_, ignored);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  std::filesystem::path filler_;
};

// Its server can write no binlog: the switchover ends all the same, and traffic runs again as soon
// as there is room (a full binlog disk makes the server wait, not fail).
void disk_of_active_is_full(Play& play) {
  SwitchoverResult result;
  {
    const FullDisk disk(play.master);
    result = play.end(play.begin_switchover());
  }
  play.traffic_must_run(kServerLooksAgain);
}

void disk_of_candidate_is_full(Play& play) {
  SwitchoverResult result;
  {
    const FullDisk disk(play.candidate);
    result = play.end(play.begin_switchover());
  }
  play.traffic_must_run(kServerLooksAgain);
}

}  // namespace

std::vector<Scenario> exhausted_resources() {
  return {
      {.name = "no_connection_left",
       .rows = "S47",
       .verifies = "max_connections is reached on the active master: who is connected can move the "
                   "role",
       .play = no_connection_is_left},
      {.name = "no_descriptor_left",
       .rows = "S47",
       .verifies = "the active master's server can open no file: the switchover ends",
       .play = no_descriptor_is_left,
       .is_representative = false,
       .clients_may_see_it = true},
      {.name = "disk_full_on_active",
       .rows = "S45",
       .verifies = "the active master's disk is full: the switchover ends, traffic runs again when "
                   "there is room",
       .play = disk_of_active_is_full,
       .setting = Setting::kSmallDisks,
       .is_representative = false,
       .clients_may_see_it = true},
      {.name = "disk_full_on_candidate",
       .rows = "S45",
       .verifies = "the candidate's disk is full: the same",
       .play = disk_of_candidate_is_full,
       .setting = Setting::kSmallDisks,
       .is_representative = false,
       .clients_may_see_it = true},
  };
}

}  // namespace active_master::lab
