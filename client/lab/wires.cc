#include "client/lab/wires.h"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "client/lab/wait.h"

namespace active_master::lab {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr const char* kIp = "/usr/sbin/ip";
constexpr const char* kTc = "/usr/sbin/tc";
constexpr const char* kNft = "/usr/sbin/nft";
constexpr const char* kUnshare = "/usr/bin/unshare";
constexpr const char* kNsenter = "/usr/bin/nsenter";
constexpr const char* kTable = "lab";

bool is_isolated = false;
int last_number = 0;

std::string network_of(const std::string& process) {
  return "/proc/" + process + "/ns/net";
}

// A new network has a loopback interface, which is down.
bool raise_loopback() {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  ifreq request{};
  std::strncpy(request.ifr_name, "lo", IFNAMSIZ - 1);
  bool done = ioctl(fd, SIOCGIFFLAGS, &request) == 0;
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  done = done && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
  close(fd);
  return done;
}

}  // namespace

bool Wires::isolate(std::string& why_not) {
  for (const char* program : {kIp, kTc, kNft, kUnshare, kNsenter}) {
    if (fs::exists(program)) continue;
    why_not = std::string(program) + " is missing";
    return false;
  }
  if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0 || !raise_loopback() ||
      mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    why_not = std::string("no namespaces can be made: ") + std::strerror(errno);
    return false;
  }
  is_isolated = true;
  return true;
}

Wires::Wires(const std::vector<std::string>& machines, fs::path log) : log_(std::move(log)) {
  if (!is_isolated) throw LabError("Only a lab with a network of its own can cut it");
  write_file("/proc/sys/net/ipv4/ip_forward", "1\n");
  for (const char* what : {"add", "delete", "add"}) run_here({kNft, what, "table", "inet", kTable});
  run_here({kNft, "add", "chain", "inet", kTable, "cuts"});
  for (const char* hook : {"input", "forward", "output"}) {
    run_here({kNft, "add", "chain", "inet", kTable, hook, "{", "type", "filter", "hook", hook,
              "priority", "0", ";", "}"});
    run_here({kNft, "add", "rule", "inet", kTable, hook, "jump", "cuts"});
  }
  for (const auto& name : machines) {
    auto& machine = machines_[name];
    machine.number = ++last_number;  // an earlier cluster's cables may still be there
    plug_in(name, machine);
  }
}

void Wires::plug_in(const std::string& name, Machine& machine) {
  machine.holder = std::make_unique<Process>(Command{
      .name = "network of " + name,
      .arguments = {kUnshare, "--net", "/usr/bin/sleep", "infinity"},
      .log = log_,
  });
  const std::string pid = std::to_string(machine.holder->pid());
  require("The network of " + name + " isn't there", 10s, [&pid] {
    std::error_code error;
    const auto network = fs::read_symlink(network_of(pid), error);
    return !error && network != fs::read_symlink(network_of("self"));
  });
  const std::string subnet = "10.77." + std::to_string(machine.number);
  const std::string plug = "v" + std::to_string(machine.number);
  run_here({kIp, "link", "add", plug, "type", "veth", "peer", "name", "eth0", "netns", pid});
  run_here({kIp, "address", "add", subnet + ".1/24", "dev", plug});
  run_here({kIp, "link", "set", plug, "up"});
  run_at(name, {kIp, "link", "set", "lo", "up"});
  run_at(name, {kIp, "address", "add", subnet + ".2/24", "dev", "eth0"});
  run_at(name, {kIp, "link", "set", "eth0", "up"});
  run_at(name, {kIp, "route", "add", "default", "via", subnet + ".1"});
}

std::string Wires::address(const std::string& machine) const {
  return "10.77." + std::to_string(machines_.at(machine).number) + ".2";
}

std::string Wires::address(const std::string& machine, const std::string& other) const {
  if (machine != kProxies) return address(machine);
  return "10.77." + std::to_string(machines_.at(other).number) + ".1";
}

std::vector<std::string> Wires::there(const std::string& machine) const {
  return {kNsenter, "--net=" + network_of(std::to_string(machines_.at(machine).holder->pid())),
          "--"};
}

void Wires::cut_one_way(const std::string& from, const std::string& to, uint16_t port) {
  std::vector<std::string> rule = {
      kNft, "add",   "rule",           "inet", kTable, "cuts", "ip", "saddr", address(from, to),
      "ip", "daddr", address(to, from)};
  if (port == 0) {
    rule.emplace_back("drop");
    return run_here(rule);
  }
  for (const char* which : {"dport", "sport"}) {
    auto one = rule;
    for (const auto& word :
         {std::string("tcp"), std::string(which), std::to_string(port), std::string("drop")})
      one.push_back(word);
    run_here(one);
  }
}

void Wires::slow_down(const std::string& machine, int kilobits) {
  auto& m = machines_.at(machine);
  m.is_slow = true;
  const std::string rate = std::to_string(kilobits) + "kbit";
  const auto limit = [&rate](const std::string& device) {
    return std::vector<std::string>{kTc,    "qdisc", "replace", "dev",    device,    "root", "tbf",
                                    "rate", rate,    "burst",   "16kbit", "latency", "200ms"};
  };
  run_here(limit("v" + std::to_string(m.number)));
  run_at(machine, limit("eth0"));
}

void Wires::heal() {
  run_here({kNft, "flush", "chain", "inet", kTable, "cuts"});
  for (auto& [name, machine] : machines_) {
    if (!std::exchange(machine.is_slow, false)) continue;
    run_here({kTc, "qdisc", "del", "dev", "v" + std::to_string(machine.number), "root"});
    run_at(name, {kTc, "qdisc", "del", "dev", "eth0", "root"});
  }
}

void Wires::run_here(const std::vector<std::string>& arguments) const {
  run({.name = arguments.front(), .arguments = arguments, .log = log_}, 10s);
}

void Wires::run_at(const std::string& machine, const std::vector<std::string>& arguments) const {
  auto all = there(machine);
  all.insert(all.end(), arguments.begin(), arguments.end());
  run_here(all);
}

}  // namespace active_master::lab
