// What was seen of a run: every write that a client tried and its answer, every switchover and what
// it left behind, what nodes and proxies said of themselves all the while, how long they took to
// agree again after a fault, and what they held before and after. Kept in one file, which can be
// checked again alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace active_master::lab {

class RecordingError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

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

// What a switchover has left behind, once every node that runs agrees.
struct ReadBack {
  std::string active;                 // as the nodes say; empty if they don't know one
  std::vector<std::string> writable;  // nodes on which a client can write

  bool operator==(const ReadBack&) const = default;
};

struct Switchover {
  std::string from;
  std::string to;
  int64_t start_us = 0;
  int64_t end_us = 0;
  bool done = false;               // the role has moved
  std::string text{};              // the statement's error; empty when there was none
  bool answered = true;            // the statement has ended
  bool is_known = true;            // and its answer says how: false when its connection was lost
  std::optional<ReadBack> left{};  // looked at afterwards

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

// A look at a node or proxy: what it said of itself.
struct Observation {
  std::string who;
  int64_t start_us = 0;  // of the look
  int64_t end_us = 0;
  bool is_proxy = false;
  uint64_t epoch = 0;  // a node's highest one; the one that a proxy opened traffic for
  std::string role{};  // of a node
  std::string phase{};
  bool is_writable = false;  // read_only is off
  int64_t life = 0;          // grows whenever a node may have restarted in between

  bool operator==(const Observation&) const = default;
};

// The time that it took until everything was as it should be after a fault had ended.
struct Recovery {
  std::string after;  // which fault
  int64_t start_us = 0;
  int64_t end_us = 0;  // 0: never
  int64_t limit_us = 0;

  bool operator==(const Recovery&) const = default;
};

// What a process holds, without load.
struct Footprint {
  std::string who;
  int64_t pid = 0;
  int64_t threads = 0;
  int64_t sockets = 0;
  int64_t other_files = 0;  // neither sockets nor plain files: those a server may cache
  int64_t state_files = 0;  // of the plugin
  int64_t sessions = 0;
  int64_t metadata_locks = 0;

  bool operator==(const Footprint&) const = default;
};

// What the run may do that is wrong elsewhere. They belong to it: whoever checks it again need not
// know.
struct Rules {
  bool errors_inside_allowed = false;  // and those of strict clients: a server dies under them

  bool operator==(const Rules&) const = default;
};

// All that the checker needs.
struct Recording {
  Rules rules;
  History history;
  std::vector<NodeRows> nodes;
  std::vector<Observation> observations;  // of each one in the order of time
  std::vector<Recovery> recoveries;
  std::vector<Footprint> before;
  std::vector<Footprint> after;

  bool operator==(const Recording&) const = default;
};

// JSON, one line for each item. Reading throws RecordingError with the number of a wrong line.
void write_recording(const Recording& recording, std::ostream& out);
[[nodiscard]] Recording read_recording(std::istream& in);
void save(const Recording& recording, const std::filesystem::path& file);
[[nodiscard]] Recording load(const std::filesystem::path& file);

[[nodiscard]] int64_t now_us();

[[nodiscard]] std::string_view to_string(Answer answer);
[[nodiscard]] std::string_view to_string(Stage stage);

}  // namespace active_master::lab
