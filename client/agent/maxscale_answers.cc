#include "client/agent/maxscale_answers.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace active_master::agent {
namespace {

using Json = nlohmann::json;

std::set<std::string> words(const std::string& state) {
  std::set<std::string> result;
  for (size_t at = 0; at < state.size();) {
    const size_t comma = std::min(state.find(',', at), state.size());
    const size_t first = state.find_first_not_of(' ', at);
    if (first < comma) result.insert(state.substr(first, comma - first));
    at = comma + 1;
  }
  return result;
}

}  // namespace

MaxscaleSeen parse_seen(const Json& monitor, const Json& servers, const Json& listeners,
                        const std::vector<std::string>& services) {
  MaxscaleSeen seen;
  seen.is_monitor_running = monitor.at("data").at("attributes").at("state") == "Running";
  std::set<std::string> monitored;
  for (const auto& server : monitor.at("data").at("relationships").at("servers").at("data")) {
    monitored.insert(server.at("id"));
  }
  for (const auto& server : servers.at("data")) {
    const auto& attributes = server.at("attributes");
    const auto& parameters = attributes.at("parameters");
    if (!monitored.contains(server.at("id")) || !parameters.at("address").is_string()) continue;
    const auto statistics = attributes.value("statistics", Json::object());
    seen.servers.push_back({server.at("id"),
                            {parameters.at("address"), parameters.at("port")},
                            words(attributes.at("state")),
                            statistics.value("active_operations", uint64_t{0})});
  }
  for (const auto& listener : listeners.at("data")) {
    for (const auto& service : listener.at("relationships").at("services").at("data")) {
      if (std::ranges::count(services, service.at("id").get<std::string>()) == 0) continue;
      seen.listeners.push_back(
          {listener.at("id"), listener.at("attributes").at("state") == "Running"});
    }
  }
  return seen;
}

std::string rival_in(const Json& monitor) {
  const auto& parameters = monitor.at("data").at("attributes").at("parameters");
  for (const char* rival :
       {"auto_failover", "auto_rejoin", "enforce_read_only_slaves", "enforce_read_only_servers",
        "enforce_writable_master", "enforce_simple_topology", "switchover_on_low_disk_space"}) {
    if (is_on(parameters, rival)) return rival;
  }
  return {};
}

bool is_on(const Json& parameters, const char* name) {
  const auto found = parameters.find(name);
  if (found == parameters.end() || found->is_null()) return false;
  if (found->is_boolean()) return found->get<bool>();
  return !found->is_string() || (*found != "false" && *found != "off" && *found != "0");
}

std::string error_text(const std::string& body) {
  const Json json = Json::parse(body, nullptr, false);
  if (!json.is_object() || !json.contains("errors") || !json["errors"].is_array()) {
    return body.substr(0, 100);
  }
  std::string text;
  for (const auto& error : json["errors"]) {
    if (!error.is_object() || !error.contains("detail") || !error["detail"].is_string()) continue;
    text += (text.empty() ? "" : "; ") + error["detail"].get<std::string>();
  }
  return text.substr(0, 200);
}

}  // namespace active_master::agent
