// What the agent can do to a proxy that can't subscribe by itself.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "client/protocol/names.h"
#include "client/subscriber/subscription.h"

namespace active_master::agent {

// What went wrong, and what a person can do about it.
class Failure : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Where traffic belongs.
struct Target {
  uint64_t epoch = 0;
  NamedAddress active;                 // the active master and where it takes SQL
  std::vector<NamedAddress> standbys;  // the other nodes, as far as they were heard
};

// hold() and open() return when the proxy, read back, shows that it is so, and throw Failure if it
// doesn't. Both are repeated: to try again, and to see that it still is so. What is done already is
// left alone. All calls come from one thread.
class Driver {
 public:
  virtual ~Driver() = default;

  // New transactions wait; none is refused, none reaches a server.
  virtual void hold(const client::Hold& hold) = 0;

  // How many statements that began before hold() still run, as far as the proxy shows it. The agent
  // waits a while for none; what is left then is drained at the active master's own gate.
  [[nodiscard]] virtual uint64_t running() { return 0; }

  // Those that wait, and new ones, reach the active master; no session is left on another.
  virtual void open(const Target& target) = 0;

  // open() has left something that can wait until traffic runs, for when it is called again: at
  // once.
  [[nodiscard]] virtual bool has_more() const { return false; }

  // What is amiss, as open() found it, although traffic runs as it should; empty if nothing is.
  [[nodiscard]] virtual std::string warning() const { return ""; }

  // Is the proxy configured as we need it? Throws Failure, or gives advice. Changes nothing.
  [[nodiscard]] virtual std::vector<std::string> check() = 0;
};

}  // namespace active_master::agent
