// Drives any proxy through a program of the user's, called by its path (no shell in between) with
// the action as its only argument, a JSON object on standard input, and a fixed environment:
//
//   {"action": "open", "proxy": "proxy1", "cluster": "shop", "epoch": 7,
//    "active": {"node": "node2", "host": "10.0.0.2", "port": 3306},
//    "standbys": [{"node": "node1", "host": "10.0.0.1", "port": 3306}]}
//
//   check   is everything there that the other actions need? Changes nothing
//   hold    let no new transaction start, let running ones end; with "epoch", "switchover_id"
//   (text:
//           it has 64 bits) and "remaining_ms"
//   open    route traffic to "active", close what is left elsewhere
//   verify  is it still so? With "state", which is "held" or "open", and what belongs to that
//
// Exit status 0 says that it is done; anything else that it isn't, for the reason that the program
// wrote last. What it writes goes to the log. One that takes too long is killed with its children.
#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "client/agent/driver.h"

namespace active_master::agent {

class Exec : public Driver {
 public:
  struct Options {
    std::string program;
    std::chrono::milliseconds timeout{5000};
    std::string proxy;
    std::string cluster;
  };

  explicit Exec(Options options) : options_(std::move(options)) {}

  void hold(const client::Hold& hold) override;
  void open(const Target& target) override;
  [[nodiscard]] std::vector<std::string> check() override;

 private:
  void reach(const char* action, const char* state, nlohmann::ordered_json input);
  void run(const std::string& action, const nlohmann::ordered_json& input) const;
  [[noreturn]] void fail(const std::string& action, const std::string& what) const;

  const Options options_;
  std::string done_;  // what was reached last, to be verified from then on
};

}  // namespace active_master::agent
