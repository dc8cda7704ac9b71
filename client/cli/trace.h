// The time line of one switchover: what each node was about, and how long each proxy held, on one
// clock although each has its own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/cli/render.h"
#include "client/cli/sql_client.h"

namespace active_master::cli {

// How far a node's clock is ahead of this program's, us. The truth is off by `uncertainty` at most,
// as half of it is the way there and half the way back, or anything in between.
struct ClockOffset {
  int64_t ahead = 0;
  int64_t uncertainty = 0;
};

// From one reading: asked at `sent`, answered at `received` here, when the other clock said `read`.
[[nodiscard]] ClockOffset clock_offset(int64_t sent, int64_t read, int64_t received);

struct Span {
  std::string party;
  std::string what;
  int64_t from = 0;  // us, on this program's clock
  int64_t to = 0;
};

struct Trace {
  uint64_t id = 0;
  std::string summary;
  std::vector<Span> spans;
  std::vector<std::string> remarks;  // what is missing, how exact the clocks are
};

// A node's states from rows TIME_US, FROM_STATE, TO_STATE of the events of one switchover, in their
// order. The first state's beginning is not among them, so it is left out, and so is the last one.
[[nodiscard]] std::vector<Span> states(const std::string& node, const sql::ResultSet& events,
                                       int64_t clock_ahead);

// Asks the node of this connection, and by it every other one, for the switchover; 0: the last one.
// Throws sql::Error when the first node can't be asked; an Error of its own with number 0 when it
// does not know the switchover.
[[nodiscard]] Trace read_trace(const sql::Options& connection, uint64_t id);

[[nodiscard]] std::string trace_text(const Trace& trace);
[[nodiscard]] std::string trace_svg(const Trace& trace);
[[nodiscard]] Json trace_json(const Trace& trace);

}  // namespace active_master::cli
