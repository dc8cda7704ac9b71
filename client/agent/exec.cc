#include "client/agent/exec.h"

#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <nlohmann/json.hpp>

namespace active_master::agent {
namespace {

using Json = nlohmann::ordered_json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr size_t kMaxOutput = 65536;
constexpr const char* kPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr milliseconds kGlance{5};

Json to_json(const NamedAddress& server) {
  return {{"node", server.name}, {"host", server.address.host}, {"port", server.address.port}};
}

std::string last_line(std::string text) {
  text.erase(text.find_last_not_of(" \r\n") + 1);
  const auto at = text.rfind('\n');
  return at == std::string::npos ? text : text.substr(at + 1);
}

// A child whose standard input, output and error are one end of a socket pair.
class Child {
 public:
  explicit Child(const std::string& program, const std::string& action) {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) return;
    socket_ = ends[0];
    std::array<char*, 3> arguments{const_cast<char*>(program.c_str()),
                                   const_cast<char*>(action.c_str()), nullptr};
    // The same wherever the agent runs: what is in its own environment is none of its business.
    std::array<char*, 3> environment{const_cast<char*>(kPath), const_cast<char*>("LC_ALL=C"),
                                     nullptr};
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ == 0) {
      // Only what may be called between fork and exec in a program with threads.
      setpgid(0, 0);
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      for (const int fd : {0, 1, 2}) dup2(ends[1], fd);
      close_range(3, ~0U, 0);  // our connections are none of its business
      if (getppid() == parent) execve(arguments[0], arguments.data(), environment.data());
      const char* reason = strerrordesc_np(errno);
      (void)!write(2, reason, strlen(reason));
      _exit(127);
    }
    close(ends[1]);
    if (pid_ > 0) setpgid(pid_, pid_);  // whichever of the two comes first
  }
  ~Child() {
    kill();
    if (socket_ >= 0) close(socket_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] bool is_started() const { return pid_ > 0; }

  void give(const std::string& input) const {
    (void)!send(socket_, input.data(), input.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(socket_, SHUT_WR);
  }

  // Waits a moment for more of what it writes.
  void take(std::string& output) const {
    pollfd ready{socket_, POLLIN, 0};
    if (poll(&ready, 1, static_cast<int>(kGlance.count())) <= 0) return;
    std::array<char, 4096> buffer;
    const ssize_t size = recv(socket_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size > 0 && output.size() < kMaxOutput) output.append(buffer.data(), size);
    // Closed before its end: there is nothing to wait for on the socket.
    if (size == 0) poll(nullptr, 0, static_cast<int>(kGlance.count()));
  }

  [[nodiscard]] bool has_ended() {
    if (pid_ <= 0 || waitpid(pid_, &status_, WNOHANG) != pid_) return pid_ <= 0;
    pid_ = -1;  // a daemon that it started may stay
    return true;
  }
  [[nodiscard]] int status() const { return status_; }

  void kill() {
    if (pid_ <= 0) return;
    ::kill(-pid_, SIGKILL);
    waitpid(pid_, &status_, 0);
    pid_ = -1;
  }

 private:
  int socket_ = -1;
  pid_t pid_ = -1;
  int status_ = 0;
};

}  // namespace

void Exec::hold(const client::Hold& hold) {
  const auto remaining =
      std::chrono::duration_cast<milliseconds>(hold.deadline - client::Clock::now());
  reach("hold", "held",
        {{"epoch", hold.epoch},
         {"switchover_id", std::to_string(hold.switchover_id)},
         {"remaining_ms", std::max<int64_t>(remaining.count(), 0)}});
}

void Exec::open(const Target& target) {
  Json standbys = Json::array();
  for (const auto& standby : target.standbys) standbys.push_back(to_json(standby));
  reach("open", "open",
        {{"epoch", target.epoch},
         {"active", to_json(target.active)},
         {"standbys", std::move(standbys)}});
}

std::vector<std::string> Exec::check() {
  run("check", Json::object());
  return {};
}

// Once by its action; repeated, it is only looked at, unless that finds it undone.
void Exec::reach(const char* action, const char* state, Json input) {
  std::string wanted = action + std::string(" ") + std::to_string(input["epoch"].get<uint64_t>());
  if (wanted == done_) {
    Json question = input;
    question["state"] = state;
    try {
      return run("verify", question);
    } catch (const Failure& failure) {
      spdlog::warn("traffic={} verify=FAILED reason=\"{}\"", state, failure.what());
    }
  }
  done_.clear();
  run(action, input);
  done_ = std::move(wanted);
}

void Exec::run(const std::string& action, const Json& input) const {
  Json object{{"action", action}, {"proxy", options_.proxy}, {"cluster", options_.cluster}};
  object.update(input);
  Child child(options_.program, action);
  if (!child.is_started()) fail(action, std::string("can't be started: ") + std::strerror(errno));
  child.give(object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  const auto deadline = steady_clock::now() + options_.timeout;
  std::string output;
  while (!child.has_ended()) {
    child.take(output);
    if (steady_clock::now() >= deadline) {
      child.kill();
      fail(action, "killed after " + std::to_string(options_.timeout.count()) +
                       " ms: make it quicker, or raise --exec-timeout");
    }
  }
  child.take(output);
  if (!output.empty()) {
    std::string line = output;
    std::ranges::replace(line, '\n', ' ');
    spdlog::log(action == "verify" ? spdlog::level::debug : spdlog::level::info,
                "program={} action={} output=\"{}\"", options_.program, action, line);
  }
  const int status = child.status();
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  const std::string end = WIFEXITED(status) ? "exit status " + std::to_string(WEXITSTATUS(status))
                                            : "signal " + std::to_string(WTERMSIG(status));
  fail(action, end + (output.empty() ? "" : ": " + last_line(output)));
}

void Exec::fail(const std::string& action, const std::string& what) const {
  throw Failure(options_.program + " " + action + ": " + what);
}

}  // namespace active_master::agent
