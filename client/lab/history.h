// What the clients saw: every write that was tried, when, and what the answer was. Kept in a file
// that can be checked again later.
#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace active_master::lab {

enum class Answer {
  kOk,
  kError,    // the server said no
  kUnknown,  // the connection was lost while the statement ran
};

// Where the client was when the answer came. A proxy may close a connection between two
// transactions, never inside one.
enum class Stage {
  kConnect,
  kBegin,       // at BEGIN: nothing is lost
  kAutocommit,  // at a statement that is a transaction of its own
  kInside,      // after BEGIN, up to COMMIT's answer
  kGate,        // the in-process gate didn't let it in within its limit
};

struct Write {
  uint32_t client = 0;
  uint64_t sequence = 0;  // with `client`: which write; each attempt has a new one
  int64_t start_us = 0;   // monotonic
  int64_t end_us = 0;
  Answer answer = Answer::kOk;
  Stage stage = Stage::kInside;
  uint32_t error = 0;
  std::string text{};

  bool operator==(const Write&) const = default;
};

struct Switchover {
  std::string from;
  std::string to;
  int64_t start_us = 0;
  int64_t end_us = 0;
  bool done = false;   // the role has moved
  std::string text{};  // the statement's error; empty when there was none

  bool operator==(const Switchover&) const = default;
};

struct History {
  std::vector<Write> writes;
  std::vector<Switchover> switchovers;  // in the order of time
  std::string first_active;             // the active master at the beginning
  std::set<uint32_t> strict_clients;    // those that may see no error at all: through a gate

  bool operator==(const History&) const = default;
};

// One row of lab.writes.
struct Row {
  uint32_t client = 0;
  uint64_t sequence = 0;
  uint32_t server_id = 0;  // of the server that took the write

  bool operator==(const Row&) const = default;
};

struct NodeRows {
  std::string node;
  uint32_t server_id = 0;
  std::vector<Row> rows;

  bool operator==(const NodeRows&) const = default;
};

// All that the checker needs.
struct Recording {
  History history;
  std::vector<NodeRows> nodes;

  bool operator==(const Recording&) const = default;
};

// Text, one tab-separated line for each item. Reading throws LabError with the number of a wrong
// line.
void write_recording(const Recording& recording, std::ostream& out);
[[nodiscard]] Recording read_recording(std::istream& in);
void save(const Recording& recording, const std::filesystem::path& file);
[[nodiscard]] Recording load(const std::filesystem::path& file);

[[nodiscard]] int64_t now_us();

[[nodiscard]] std::string_view to_string(Answer answer);
[[nodiscard]] std::string_view to_string(Stage stage);

}  // namespace active_master::lab
