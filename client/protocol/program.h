// Runs a program of the user's: by its path, without a shell, with nothing of ours but what is
// given.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace active_master {

struct Program {
  std::string path;
  std::vector<std::string> arguments;    // after its own name
  std::vector<std::string> environment;  // NAME=VALUE, beside PATH and LC_ALL=C
  std::string input;                     // on its standard input
  std::chrono::milliseconds timeout{0};  // then it is killed with its children
};

struct ProgramEnd {
  std::string error;   // empty: exit status 0. With what it wrote last
  std::string output;  // both standard output and error, the first 64 KiB; one line
};

// Returns when it has ended, or when `is_cancelled`, which is asked now and then, says so: then it
// is killed, too.
[[nodiscard]] ProgramEnd run(
    const Program& program, const std::function<bool()>& is_cancelled = [] { return false; });

}  // namespace active_master
