// The form of the transition table in rules.cc.
#pragma once

#include <span>

#include "plugin/core/node.h"

namespace active_master {

// A set of states, as bits.
struct States {
  uint64_t bits = 0;

  constexpr States() = default;
  template <typename... S>
  explicit constexpr States(S... states)
      : bits(((uint64_t{1} << static_cast<int>(states)) | ...)) {}
  [[nodiscard]] constexpr bool contains(State state) const {
    return (bits >> static_cast<int>(state) & 1) != 0;
  }
  [[nodiscard]] constexpr States operator|(States other) const {
    States all;
    all.bits = bits | other.bits;
    return all;
  }
};

// In these a node replicates from the active master.
inline constexpr States kFollowers{State::kStandby, State::kResume};
// From these it may begin a failover by itself.
inline constexpr States kMayStand{State::kStandby, State::kRecover, State::kGranted};

// Rules are tried in the order of the table; the first whose state, event and guard match is
// carried out, then the node enters `to`.
struct Rule {
  int number;
  States from;
  Event on;
  const char* when;            // the guard in words; empty: always
  bool (*guard)(const Node&);  // null: always
  const char* then;            // the action in words
  void (*action)(Node&);       // null: nothing but the new state
  State to;
  bool stays;          // `to` is ignored
  const char* reason;  // for ACTIVE_MASTER_EVENTS, the log and docs/protocol.md
};

// An event that no rule takes in these states, on purpose.
struct Ignored {
  Event on;
  States in;
  const char* why;
};
[[nodiscard]] std::span<const Ignored> ignored();

// For docs/protocol.md.
[[nodiscard]] std::string rules_as_markdown();
[[nodiscard]] std::string ignored_as_markdown();
[[nodiscard]] std::string rules_as_mermaid();

}  // namespace active_master
