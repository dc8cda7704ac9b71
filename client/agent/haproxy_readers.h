// Keeps a read backend of HAProxy away from the active master: its server there is drained (running
// sessions go on, new ones go to the others), all others are ready. When no other server is up, the
// active master serves reads, too.
//
// `drain` is how this driver speaks; a person who wants a server out of the backend sets it to
// `maint`, which is left alone. Health checks are welcome here. Reads aren't held in a switchover.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "client/agent/haproxy.h"

namespace active_master::agent {

class HaproxyReaders : public Driver {
 public:
  struct Options {
    std::string socket;
    std::string backend;
    std::chrono::milliseconds command_timeout{2000};
  };

  explicit HaproxyReaders(Options options);

  void hold(const client::Hold&) override {}
  void open(const Target& target) override;
  [[nodiscard]] std::vector<std::string> check() override;

 private:
  struct Server {
    std::string name;
    Address address;
    bool is_up = false;
    bool is_draining = false;
    bool is_in_maintenance = false;
  };

  [[nodiscard]] std::vector<Server> read() const;
  [[nodiscard]] std::vector<std::string> changes(const std::vector<Server>& servers,
                                                 const Target& target) const;

  const Options options_;
  const Haproxy socket_;  // for its commands
};

}  // namespace active_master::agent
