#include "client/lab/yardsticks.h"

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "client/checker/checker.h"
#include "client/lab/wait.h"
#include "client/protocol/frame.h"

namespace active_master::lab {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;

constexpr uint64_t kWritesBetween = 200;
constexpr auto kWriteLimit = 30s;
constexpr auto kAfterwards = 300ms;  // clients of the old server come over

std::string gtid_wait(const std::string& gtid) {
  return "SELECT MASTER_GTID_WAIT('" + gtid + "', 10)";
}

void ask_haproxy(const Cluster& cluster, const std::string& command) {
  asio::io_context io;
  asio::local::stream_protocol::socket socket(io);
  socket.connect(cluster.proxy_socket().string());
  asio::write(socket, asio::buffer(command + "\n"));
  std::string answer;
  boost::system::error_code end;
  asio::read(socket, asio::dynamic_buffer(answer), end);
  if (answer.find("No such") != std::string::npos) throw LabError("HAProxy: " + answer);
}

void switch_classically(const Cluster& cluster, Node& from, Node& to) {
  sql::Connection old_master = from.connect();
  sql::Connection new_master = to.connect();
  old_master.execute("SET GLOBAL read_only = 1");
  const auto gtid = old_master.value("SELECT @@gtid_binlog_pos").value_or("");
  if (new_master.value(gtid_wait(gtid)) != "0") throw LabError(to.name() + " does not catch up");
  new_master.execute("SET GLOBAL read_only = 0");
  ask_haproxy(cluster, "set server active_master/active addr 127.0.0.1 port " +
                           std::to_string(to.sql_port()));
  ask_haproxy(cluster, "shutdown sessions server active_master/active");
}

}  // namespace

std::vector<int64_t> replicated_commits(Cluster& cluster, int count) {
  sql::Connection active = cluster.node(Cluster::active_node(*cluster.nodes().front())).connect();
  std::vector<sql::Connection> standbys;
  for (const auto& node : cluster.nodes()) {
    if (node->name() != Cluster::active_node(*node)) standbys.push_back(node->connect());
  }
  active.execute("CREATE TABLE IF NOT EXISTS lab.yardstick (number INT PRIMARY KEY) ENGINE=InnoDB");
  std::vector<int64_t> times;
  for (int i = 0; i < count; ++i) {
    const int64_t start = now_us();
    active.execute("INSERT INTO lab.yardstick VALUES (" + std::to_string(i) + ")");
    const auto gtid = active.value("SELECT @@last_gtid").value_or("");
    for (auto& standby : standbys) {
      if (standby.value(gtid_wait(gtid)) != "0") throw LabError("A standby does not catch up");
    }
    times.push_back(now_us() - start);
  }
  active.execute("DROP TABLE lab.yardstick");
  return times;
}

// A greeting, which the node answers with its challenge; then it is hung up on.
std::vector<int64_t> message_round_trips(const Cluster& cluster, int count) {
  protocol::Frame frame;
  frame.mutable_hello()->set_protocol_version(protocol::kProtocolVersion);
  frame.mutable_hello()->set_cluster(std::string(kClusterName));
  frame.mutable_hello()->set_name("yardstick");
  frame.mutable_hello()->set_kind(protocol::PEER_KIND_PROXY);
  frame.mutable_hello()->set_nonce(std::string(32, 'n'));
  const std::string hello = protocol::encode(frame);
  const Address address = cluster.plugin_addresses().front().address;
  std::vector<int64_t> times;
  asio::io_context io;
  for (int i = 0; i < count; ++i) {
    asio::ip::tcp::socket socket(io);
    socket.connect({asio::ip::make_address(address.host), address.port});
    socket.set_option(asio::ip::tcp::no_delay(true));
    const int64_t start = now_us();
    asio::write(socket, asio::buffer(hello));
    std::array<char, protocol::kHeaderSize> header;
    asio::read(socket, asio::buffer(header));
    times.push_back(now_us() - start);
  }
  return times;
}

ClassicSwitchovers classic_switchovers(Cluster& cluster, WorkloadOptions load, int count) {
  Node* active = &cluster.node(Cluster::active_node(*cluster.nodes().front()));
  cluster.agent().stop();
  for (const auto& node : cluster.nodes()) {
    sql::Connection connection = node->connect();
    connection.execute("UNINSTALL SONAME 'active_master'");
    connection.execute(node.get() == active ? "SET GLOBAL read_only = 0"
                                            : "SET GLOBAL read_only = 1");
  }
  load.via = Via::kHaproxy;
  load.foreign.reset();
  Workload workload(cluster, load);
  Recording recording;
  for (int i = 0; i < count; ++i) {
    if (!workload.wait_for_writes(kWritesBetween, kWriteLimit))
      throw LabError("The clients' writes don't go on");
    Node& to =
        active == cluster.nodes().front().get() ? *cluster.nodes()[1] : *cluster.nodes().front();
    Switchover switchover{.from = active->name(), .to = to.name(), .start_us = now_us()};
    switch_classically(cluster, *active, to);
    switchover.end_us = now_us();
    switchover.done = true;
    pass(kAfterwards);
    recording.history.switchovers.push_back(std::move(switchover));
    active = &to;
  }
  workload.stop(recording.history);
  // Only to find the gaps: nobody promised this to lose nothing.
  const Report report = check(recording);
  ClassicSwitchovers result;
  result.errors = report.errors_between + report.errors_inside;
  for (const auto& gap : report.switchover_gaps) {
    if (gap) result.gaps.push_back(gap->length_us());
  }
  return result;
}

}  // namespace active_master::lab
