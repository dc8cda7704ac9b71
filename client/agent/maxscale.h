// Drives MaxScale (24.02, and others with the same REST API) over its REST API: the services that
// route writes, and the monitor of their servers.
//
// Holding. MaxScale can't suspend sessions, and refuses to change the master by hand while its
// monitor runs. So the listeners are stopped (new connections wait to be accepted, none is
// refused), the monitor is stopped, and the master is cleared: readwritesplit then keeps writes
// back if it has `delayed_retry` or `transaction_replay`. Sessions of readconnroute stay with their
// server; the active master's own gate meets them.
//
// Opening. The active master is made master by hand, which takes effect at once; the listeners and
// the monitor are started again, and the monitor finds what it left.
//
// A monitor that moves the role, or read_only, by itself would work against the cluster: it is
// refused.
#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

#include "client/agent/credentials.h"
#include "client/agent/driver.h"
#include "client/agent/maxscale_answers.h"

namespace active_master::agent {

class Maxscale : public Driver {
 public:
  struct Options {
    Address rest{"127.0.0.1", 8989};
    Credentials account;
    std::string monitor;
    std::vector<std::string> services;
    bool install_statement = false;
    std::chrono::seconds pause{30};
    std::chrono::milliseconds command_timeout{5000};
  };

  explicit Maxscale(Options options) : options_(std::move(options)) {}

  void hold(const client::Hold& hold) override;
  [[nodiscard]] uint64_t running() override;
  void open(const Target& target) override;
  [[nodiscard]] std::vector<std::string> check() override;

 private:
  using Server = MaxscaleServer;
  using Listener = MaxscaleListener;
  using Seen = MaxscaleSeen;

  [[nodiscard]] nlohmann::json request(const char* method, const std::string& path,
                                       const std::string& body = "") const;
  [[nodiscard]] nlohmann::json get(const std::string& path) const;
  void put(const std::string& path) const;
  void note(uint64_t epoch);
  [[nodiscard]] Seen read() const;
  void set_state(const Server& server, const char* what, bool on) const;
  void run_listeners(const Seen& seen, bool on) const;
  void run_monitor(const Seen& seen, bool on) const;
  void install_statement();
  [[noreturn]] void fail(const std::string& what) const;

  const Options options_;
  std::string note_;               // goes along with each change, for MaxScale's admin_audit_file
  uint64_t switchover_id_ = 0;     // of the hold that is not over; 0: none
  std::set<std::string> held_at_;  // servers that were master when we held
  bool is_statement_installed_ = false;
};

}  // namespace active_master::agent
