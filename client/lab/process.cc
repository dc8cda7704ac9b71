#include "client/lab/process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <thread>
#include <utility>

#include "client/lab/wait.h"

namespace active_master::lab {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw LabError(what + ": " + std::strerror(errno));
}

// Between fork and exec of a program with threads, only async-signal-safe calls are allowed: all
// memory that is needed here was allocated before.
[[noreturn]] void become(char* const* arguments, const char* log, const char* input, pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // it died before the line above took effect
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::signal(SIGINT, SIG_DFL);
  ::signal(SIGTERM, SIG_DFL);
  const int in = open(input, O_RDONLY);
  const int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (in < 0 || out < 0) _exit(127);
  dup2(in, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(out, STDERR_FILENO);
  close_range(3, ~0U, 0);
  execv(arguments[0], arguments);
  const char* error = std::strerror(errno);
  (void)!write(STDERR_FILENO, error, std::strlen(error));
  _exit(127);
}

}  // namespace

Process::Process(Command command) : command_(std::move(command)) {
  std::vector<char*> arguments;
  for (std::string& argument : command_.arguments) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) fail("Can't start " + command_.name);
  if (pid_ == 0) become(arguments.data(), command_.log.c_str(), command_.input.c_str(), parent);
  setpgid(pid_, pid_);  // here as well as there: whoever comes first
}

Process::Process(Process&& other) noexcept
    : command_(std::move(other.command_)),
      pid_(std::exchange(other.pid_, -1)),
      status_(other.status_) {}

Process& Process::operator=(Process&& other) noexcept {
  if (this != &other) {
    stop();
    command_ = std::move(other.command_);
    pid_ = std::exchange(other.pid_, -1);
    status_ = other.status_;
  }
  return *this;
}

std::optional<int> Process::exit_status() {
  reap(false);
  return status_;
}

void Process::reap(bool wait) noexcept {
  if (pid_ < 0 || status_) return;
  int status = 0;
  pid_t ended = 0;
  do {
    ended = waitpid(pid_, &status, wait ? 0 : WNOHANG);
  } while (ended < 0 && errno == EINTR);
  if (ended != pid_) return;
  status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void Process::signal(int number) {
  if (pid_ > 0 && running()) ::kill(pid_, number);
}

void Process::kill() noexcept {
  if (pid_ < 0 || status_) return;
  ::kill(pid_, SIGKILL);
  reap(true);
}

void Process::stop() noexcept {
  reap(false);
  if (pid_ < 0 || status_) return;
  ::kill(pid_, SIGCONT);  // a stopped process doesn't see SIGTERM
  ::kill(pid_, SIGTERM);
  // Not wait_until(): this goes on after a Ctrl-C.
  const auto deadline = std::chrono::steady_clock::now() + command_.stop_limit;
  while (!status_ && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(kPollInterval);
    reap(false);
  }
  kill();
}

void run(Command command, std::chrono::milliseconds limit) {
  const std::filesystem::path log = command.log;
  Process process(std::move(command));
  require(process.name() + " didn't end", limit, [&process] { return !process.running(); });
  if (process.exit_status() != 0) {
    throw LabError(process.name() + " failed:\n" + tail(log));
  }
}

void write_file(const std::filesystem::path& file, const std::string& text) {
  std::ofstream out(file);
  out << text;
  if (!out.flush()) throw LabError("Can't write " + file.string());
}

std::string tail(const std::filesystem::path& file, size_t lines) {
  std::ifstream in(file);
  std::deque<std::string> last;
  for (std::string line; std::getline(in, line);) {
    last.push_back(std::move(line));
    if (last.size() > lines) last.pop_front();
  }
  std::string text;
  for (const std::string& line : last) text += "  " + line + '\n';
  return text;
}

Port::Port() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  if (socket_ < 0) fail("socket");
  const int on = 1;
  setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(socket_, generic, size) != 0 || getsockname(socket_, generic, &size) != 0) {
    const int error = errno;
    close(socket_);
    errno = error;
    fail("Can't reserve a port");
  }
  number_ = ntohs(address.sin_port);
}

Port::Port(Port&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)), number_(std::exchange(other.number_, 0)) {}

Port& Port::operator=(Port&& other) noexcept {
  std::swap(socket_, other.socket_);
  std::swap(number_, other.number_);
  return *this;
}

Port::~Port() {
  if (socket_ >= 0) close(socket_);
}

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = std::filesystem::temp_directory_path() / "active-master-lab.XXXXXX";
  if (!mkdtemp(pattern.data())) fail("Can't make a temporary directory");
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  if (keep_) return;
  std::error_code ignored;  // a left-over file is no reason to end a program
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace active_master::lab
