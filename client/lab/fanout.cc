#include "client/lab/fanout.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "client/lab/outcome.h"
#include "client/lab/wait.h"
#include "client/subscriber/subscriber.h"

namespace active_master::lab {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::ordered_json;
namespace asio = boost::asio;

constexpr auto kConnectLimit = 60s;
constexpr auto kIdle = 3 * protocol::kProxyHeartbeat;
constexpr auto kSettle = 2s;

// A proxy without traffic.
class Ready : public client::Handler {
 public:
  void answer_to(client::Subscriber& subscriber) { subscriber_ = &subscriber; }
  void hold(const client::Hold& hold) override { subscriber_->held(hold.epoch); }
  void open(const client::Route& route) override { subscriber_->opened(route.epoch); }

 private:
  client::Subscriber* subscriber_ = nullptr;
};

class Crowd {
 public:
  Crowd(const Cluster& cluster, int size) : io_(1), handlers_(static_cast<size_t>(size)) {
    for (int i = 0; i < size; ++i) {
      Ready& handler = handlers_[static_cast<size_t>(i)];
      auto& subscriber = subscribers_.emplace_back(std::make_unique<client::Subscriber>(
          client::Subscriber::Options{.name = "crowd" + std::to_string(i + 1),
                                      .cluster = std::string(kClusterName),
                                      .nodes = cluster.plugin_addresses(),
                                      .credentials = {.secret = cluster.secret_file()},
                                      .io = &io_},
          handler));
      handler.answer_to(*subscriber);
      subscriber->start();
    }
    thread_ = std::jthread([this] { io_.run(); });
  }
  ~Crowd() {
    io_.stop();
    thread_.join();
  }
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

 private:
  asio::io_context io_;
  std::vector<Ready> handlers_;
  std::vector<std::unique_ptr<client::Subscriber>> subscribers_;
  std::jthread thread_;
};

int64_t resident_bytes(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/statm");
  int64_t all = 0;
  int64_t resident = 0;
  in >> all >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

// Of the whole process, in seconds.
double cpu_seconds(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(in, text);
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

// In percent of one core, while nothing else happens.
double idle_cpu(pid_t pid) {
  const double before = cpu_seconds(pid);
  pass(kIdle);
  return (cpu_seconds(pid) - before) * 100 / std::chrono::duration<double>(kIdle).count();
}

std::string open_in(const std::string& active) {
  return "SELECT COUNT(*) FROM INFORMATION_SCHEMA.ACTIVE_MASTER_PROXIES "
         "WHERE PROXY LIKE 'crowd%' AND STATE = 'CONNECTED' AND SWITCH = 0 AND NODE = '" +
         active + "'";
}

void wait_until_open(Cluster& cluster, int size, const std::string& active) {
  for (const auto& node : cluster.nodes()) {
    sql::Connection connection = node->connect();
    require(std::to_string(size) + " subscribers aren't all open at " + node->name(), kConnectLimit,
            [&] { return connection.value(open_in(active)) == std::to_string(size); });
  }
}

Json measure(const FanoutOptions& options, int size) {
  ClusterOptions cluster_options = options.lab.cluster;
  cluster_options.proxy = false;
  Cluster cluster(options.lab.installation, cluster_options, [](const std::string&) {});
  Node& first = *cluster.nodes().front();
  Node& second = *cluster.nodes().back();
  pass(kSettle);
  const double idle_without = idle_cpu(first.pid());
  const int64_t memory_without = resident_bytes(first.pid());
  const int64_t start_us = now_us();
  const Crowd crowd(cluster, size);
  wait_until_open(cluster, size, first.name());
  const int64_t connect_us = now_us() - start_us;
  pass(kSettle);
  const int64_t memory = resident_bytes(first.pid()) - memory_without;
  const double idle_with = idle_cpu(first.pid());
  std::vector<int64_t> holds;
  std::vector<int64_t> opens;
  std::vector<int64_t> pauses;
  Node* active = &first;
  for (int i = 0; i < options.switchovers; ++i) {
    Node& target = active == &first ? second : first;
    sql::Connection connection = active->connect();
    const SwitchoverResult result = Cluster::switch_to(target.name(), connection);
    if (result.error != 0) throw LabError("switchover: " + result.summary.text);
    for (const Phase& phase : result.phases) {
      if (phase.name == "PAUSE") holds.push_back(phase.duration_us);
      if (phase.name == "RESUME") opens.push_back(phase.duration_us);
    }
    pauses.push_back(result.write_pause_us);
    active = &target;
    wait_until_open(cluster, size, active->name());
  }
  return {{"subscribers", size},
          {"connect_us", connect_us},
          {"hold_us", to_json(spread(holds))},
          {"write_pause_us", to_json(spread(pauses))},
          {"resume_us", to_json(spread(opens))},
          {"bytes_each", memory / size},
          {"idle_cpu_percent", idle_with},
          {"idle_cpu_percent_without", idle_without}};
}

std::string row(const Json& json) {
  const auto ms = [](const Json& us) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", us.get<double>() / 1000);
    return std::string(text);
  };
  const auto of = [&](const char* key) {
    return ms(json[key]["median"]) + " (" + ms(json[key]["max"]) + ")";
  };
  char cpu[64];
  std::snprintf(cpu, sizeof cpu, "%.2f %% (%.2f %%)", json["idle_cpu_percent"].get<double>(),
                json["idle_cpu_percent_without"].get<double>());
  return "| " + std::to_string(json["subscribers"].get<int>()) + " | " + of("hold_us") + " | " +
         of("write_pause_us") + " | " + of("resume_us") + " | " +
         std::to_string(json["bytes_each"].get<int64_t>() / 1024) + " KiB | " + cpu + " |\n";
}

}  // namespace

void run_fanout(const FanoutOptions& options) {
  std::filesystem::create_directories(options.out);
  spdlog::set_level(spdlog::level::off);  // thousands of subscribers have much to say
  Json results = Json::array();
  std::string table =
      "Milliseconds, median (longest); no writes meanwhile. CPU of the whole server, in percent of "
      "one core (without subscribers).\n\n"
      "| subscribers | all hold | write pause | all open again | memory each, in the node | CPU "
      "when idle |\n"
      "| --- | --- | --- | --- | --- | --- |\n";
  for (const int size : options.subscribers) {
    results.push_back(measure(options, size));
    table += row(results.back());
    std::cout << size << " subscribers: " << results.back().dump() << std::endl;
  }
  write_file(options.out / "fanout.json", results.dump(2) + "\n");
  write_file(options.out / "fanout.md", table);
  std::cout << '\n' << table << "\nWritten to " << options.out.string() << std::endl;
}

}  // namespace active_master::lab
