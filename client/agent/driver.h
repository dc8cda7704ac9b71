// What the agent can do to a proxy that can't subscribe by itself.
#pragma once

#include <stdexcept>

#include "client/protocol/names.h"

namespace active_master::agent {

// What went wrong, and what a person can do about it.
class Failure : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Both return when the proxy has confirmed it, and throw Failure if it hasn't. Both are repeated:
// to try again, and to see that it still is so. What is done already is left alone.
class Driver {
 public:
  virtual ~Driver() = default;

  // New connections wait; none is refused, none reaches a server.
  virtual void hold() = 0;

  // Those that wait, and new ones, reach this server; no session is left on another.
  virtual void open(const Address& server) = 0;
};

}  // namespace active_master::agent
