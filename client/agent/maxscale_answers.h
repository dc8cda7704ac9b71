// What MaxScale's REST API answers, as far as the driver needs it.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

#include "client/protocol/names.h"

namespace active_master::agent {

struct MaxscaleServer {
  std::string name;
  Address address;
  std::set<std::string> state;  // "Master", "Slave", "Running", ...
  uint64_t active_operations = 0;

  [[nodiscard]] bool is(const char* what) const { return state.contains(what); }
};

struct MaxscaleListener {
  std::string name;
  bool is_running = false;
};

struct MaxscaleSeen {
  bool is_monitor_running = false;
  std::vector<MaxscaleServer> servers;      // of the monitor
  std::vector<MaxscaleListener> listeners;  // of the services
};

// Throws nlohmann::json::exception if these aren't such answers.
[[nodiscard]] MaxscaleSeen parse_seen(const nlohmann::json& monitor, const nlohmann::json& servers,
                                      const nlohmann::json& listeners,
                                      const std::vector<std::string>& services);

// The parameter by which the monitor moves the role, or read_only, by itself; empty if it doesn't.
// Throws as parse_seen().
[[nodiscard]] std::string rival_in(const nlohmann::json& monitor);

// Booleans were enumerations now and then: "true", "safe".
[[nodiscard]] bool is_on(const nlohmann::json& parameters, const char* name);

// What MaxScale says in an answer that is an error, whatever that holds.
[[nodiscard]] std::string error_text(const std::string& body);

}  // namespace active_master::agent
