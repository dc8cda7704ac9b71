// What the procedures of install.sql ask for, as text in the variable active_master_request.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "plugin/core/inputs.h"

namespace active_master {

struct EventWait {
  uint64_t after = 0;  // ACTIVE_MASTER_EVENTS.SEQ
  std::chrono::milliseconds timeout{0};
  std::string proxy;  // whose lease is renewed; empty: nobody's
};

struct Request {
  SwitchoverId id;
  Input command;
  std::optional<EventWait> wait = {};  // instead of the command
};

// "bootstrap ID", "rejoin ID", or one of "check", "switch", "failover_check", "failover" and
// "force_failover" with "ID NODE"; the node is the rest of the text, whatever it is. And of proxies
// that speak only SQL: "register ID IP NAME", "acknowledge ID SWITCHOVER NAME" and "wait ID AFTER
// MILLISECONDS NAME"; the name is the rest, and may be empty in the last.
[[nodiscard]] std::optional<Request> parse_request(std::string_view text);

}  // namespace active_master
