#include "client/protocol/program.h"

#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>

namespace active_master {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr size_t kMaxOutput = 65536;
constexpr const char* kPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr milliseconds kGlance{5};

std::string last_line(std::string text) {
  text.erase(text.find_last_not_of(" \r\n") + 1);
  const auto at = text.rfind('\n');
  return at == std::string::npos ? text : text.substr(at + 1);
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (auto& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// A child whose standard input, output and error are one end of a socket pair. Spawned, not forked:
// a database server's memory is not to be copied, not even its page tables.
class Child {
 public:
  explicit Child(const Program& program) {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
      failure_ = errno;
      return;
    }
    socket_ = ends[0];
    std::vector<std::string> arguments{program.path};
    arguments.insert(arguments.end(), program.arguments.begin(), program.arguments.end());
    // The same wherever we run: what is in our own environment is none of its business.
    std::vector<std::string> environment{kPath, "LC_ALL=C"};
    environment.insert(environment.end(), program.environment.begin(), program.environment.end());
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    for (const int fd : {0, 1, 2}) posix_spawn_file_actions_adddup2(&files, ends[1], fd);
    posix_spawn_file_actions_addclosefrom_np(&files, 3);  // nor are our connections
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    sigset_t signals;
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes, &signals);
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    failure_ = posix_spawn(&pid_, program.path.c_str(), &files, &attributes,
                           pointers(arguments).data(), pointers(environment).data());
    if (failure_ != 0) pid_ = -1;
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    close(ends[1]);
  }
  ~Child() {
    kill();
    if (socket_ >= 0) close(socket_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] int failure() const { return failure_; }

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
    if (size > 0 && output.size() < kMaxOutput)
      output.append(buffer.data(), static_cast<size_t>(size));
    // Closed before its end: there is nothing to wait for on the socket.
    if (size == 0) poll(nullptr, 0, static_cast<int>(kGlance.count()));
  }

  [[nodiscard]] bool has_ended() {
    if (pid_ > 0 && waitpid(pid_, &status_, WNOHANG) != 0) pid_ = -1;  // a daemon of its may stay
    return pid_ <= 0;
  }
  [[nodiscard]] int status() const { return status_; }

  void kill() {
    if (pid_ <= 0) return;
    ::kill(-pid_, SIGKILL);
    waitpid(pid_, &status_, 0);
    pid_ = -1;
  }

 private:
  int failure_ = 0;
  int socket_ = -1;
  pid_t pid_ = -1;
  int status_ = 0;
};

}  // namespace

ProgramEnd run(const Program& program, const std::function<bool()>& is_cancelled) {
  Child child(program);
  if (child.failure() != 0)
    return {std::string("can't be started: ") + strerrordesc_np(child.failure()), ""};
  child.give(program.input);
  const auto deadline = steady_clock::now() + program.timeout;
  ProgramEnd end;
  while (!child.has_ended()) {
    child.take(end.output);
    if (is_cancelled()) {
      end.error = "cancelled";
    } else if (steady_clock::now() >= deadline) {
      end.error = "killed after " + std::to_string(program.timeout.count()) +
                  " ms: make it quicker, or give it more time";
    }
    if (!end.error.empty()) return end;
  }
  child.take(end.output);
  const int status = child.status();
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    end.error = WIFEXITED(status) ? "exit status " + std::to_string(WEXITSTATUS(status))
                                  : "signal " + std::to_string(WTERMSIG(status));
    if (!end.output.empty()) end.error += ": " + last_line(end.output);
  }
  std::ranges::replace(end.output, '\n', ' ');
  return end;
}

}  // namespace active_master
