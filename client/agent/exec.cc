#include "client/agent/exec.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "client/protocol/program.h"

namespace active_master::agent {
namespace {

using Json = nlohmann::ordered_json;
using std::chrono::milliseconds;

Json to_json(const NamedAddress& server) {
  return {{"node", server.name}, {"host", server.address.host}, {"port", server.address.port}};
}

}  // namespace

void Exec::hold(const client::Hold& hold) {
  const auto remaining =
      std::chrono::duration_cast<milliseconds>(hold.deadline - client::Clock::now());
  reach("hold", "held",
        {{"epoch", hold.epoch},
         {"switchover_id", std::to_string(hold.switchover_id)},
         {"remaining_ms", std::max<int64_t>(remaining.count(), 0)}});
}

void Exec::open(const Target& target) {
  Json standbys = Json::array();
  for (const auto& standby : target.standbys) standbys.push_back(to_json(standby));
  reach("open", "open",
        {{"epoch", target.epoch},
         {"active", to_json(target.active)},
         {"standbys", std::move(standbys)}});
}

std::vector<std::string> Exec::check() {
  run("check", Json::object());
  return {};
}

// Once by its action; repeated, it is only looked at, unless that finds it undone.
void Exec::reach(const char* action, const char* state, Json input) {
  std::string wanted = action + std::string(" ") + std::to_string(input["epoch"].get<uint64_t>());
  if (wanted == done_) {
    Json question = input;
    question["state"] = state;
    try {
      return run("verify", question);
    } catch (const Failure& failure) {
      spdlog::warn("traffic={} verify=FAILED reason=\"{}\"", state, failure.what());
    }
  }
  done_.clear();
  run(action, input);
  done_ = std::move(wanted);
}

void Exec::run(const std::string& action, const Json& input) const {
  Json object{{"action", action}, {"proxy", options_.proxy}, {"cluster", options_.cluster}};
  object.update(input);
  const auto end = active_master::run(
      {.path = options_.program,
       .arguments = {action},
       .environment = {},
       .input = object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n",
       .timeout = options_.timeout});
  if (!end.output.empty()) {
    spdlog::log(action == "verify" ? spdlog::level::debug : spdlog::level::info,
                "program={} action={} output=\"{}\"", options_.program, action, end.output);
  }
  if (!end.error.empty()) fail(action, end.error);
}

void Exec::fail(const std::string& action, const std::string& what) const {
  throw Failure(options_.program + " " + action + ": " + what);
}

}  // namespace active_master::agent
