// What a node must not forget, and its form as text. The file that holds it is plugin/state_file's.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "plugin/core/types.h"

namespace active_master {

// The server that the state belongs to. A data directory that was copied to make another node gets
// another name or server_id there, and does not inherit the role.
struct Identity {
  std::string cluster;
  NodeName node;
  uint32_t server_id = 0;

  bool operator==(const Identity&) const = default;
};

// A switchover that this node directs: traffic may be stopped because of it. Durable before any
// proxy is asked to hold, so that a restarted director knows that there is something to undo.
struct Intent {
  SwitchoverId id;
  Epoch epoch;
  NodeName candidate;

  bool operator==(const Intent&) const = default;
};

// This node gave the role of `epoch` to `candidate`. Durable before it is sent: a restarted node
// must give the same answer.
struct Grant {
  SwitchoverId id;
  Epoch epoch;
  NodeName candidate;
  std::string gtid;  // of the handover row

  bool operator==(const Grant&) const = default;
};

// This node lets `candidate` have the role in `epoch`, and helps nobody to a lower one. Durable
// before it is sent.
struct Promise {
  Epoch epoch;
  NodeName candidate;  // empty: of what it can't remember, so nobody

  bool operator==(const Promise&) const = default;
};

struct Durable {
  Identity identity;
  Role role = Role::kNew;
  Epoch epoch;                 // highest activation known
  NodeName active_node;        // of that epoch
  std::string active_address;  // its SQL address
  std::optional<Intent> intent;
  std::optional<Grant> grant;
  std::optional<Promise> promise;
  // All that it has promised is here; see Voter.
  bool votes = false;

  bool operator==(const Durable&) const = default;
};

// Lines of key=value closed by a checksum line, so that a torn text is recognised and a person can
// read a whole one. Of two texts the one with the higher serial number is the later one.
[[nodiscard]] std::string serialize(const Durable& durable, uint64_t serial);

struct Stored {
  Durable durable;
  uint64_t serial = 0;
};
// On failure `error` says what is wrong with the text.
[[nodiscard]] std::optional<Stored> parse_durable(std::string_view text, std::string& error);

}  // namespace active_master
