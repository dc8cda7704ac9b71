// Child processes and TCP ports that belong to an object, and end with it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace active_master::lab {

struct Command {
  std::string name;  // for messages
  std::vector<std::string> arguments;
  std::filesystem::path log;                    // standard output and error, appended
  std::filesystem::path input = "/dev/null";    // standard input
  std::chrono::milliseconds stop_limit{10000};  // from SIGTERM to SIGKILL
};

// One child. It is the leader of its own process group (a Ctrl-C at the terminal is ours alone to
// handle), and the kernel kills it when the *thread* that started it ends: start it from one that
// lives long enough.
class Process {
 public:
  explicit Process(Command command);
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  ~Process() { stop(); }

  [[nodiscard]] const std::string& name() const { return command_.name; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool running() { return !exit_status(); }
  // As a shell says it: the exit code, or 128 + signal; nothing while it runs.
  std::optional<int> exit_status();

  void signal(int number);  // nothing happens once it has ended
  // SIGTERM, then SIGKILL past the limit. Returns when the process is gone.
  void stop() noexcept;
  void kill() noexcept;  // SIGKILL, at once

 private:
  void reap(bool wait) noexcept;

  Command command_;
  pid_t pid_ = -1;
  std::optional<int> status_;
};

// Runs a command to its end; throws LabError with the log's tail if it fails or takes too long.
void run(Command command, std::chrono::milliseconds limit);

// Throws LabError when it can't.
void write_file(const std::filesystem::path& file, const std::string& text);

// The last lines of a file, for messages.
[[nodiscard]] std::string tail(const std::filesystem::path& file, size_t lines = 20);

// A TCP port on 127.0.0.1 that nobody else is given as long as this lives. The socket that is bound
// to it never listens, so a server that sets SO_REUSEADDR (all of ours do) can, again and again.
class Port {
 public:
  Port();
  Port(Port&& other) noexcept;
  Port& operator=(Port&& other) noexcept;
  ~Port();

  [[nodiscard]] uint16_t number() const { return number_; }
  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(number_); }

 private:
  int socket_ = -1;
  uint16_t number_ = 0;
};

// A new directory that is removed with all its content, unless keep() was called.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  void keep() { keep_ = true; }

 private:
  std::filesystem::path path_;
  bool keep_ = false;
};

}  // namespace active_master::lab
