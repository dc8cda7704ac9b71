// Runs a Witness: gives it the network, a clock and its state file. All on one thread; a promise is
// on disk before anything else happens, which takes a fraction of a millisecond.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>

#include "client/protocol/credentials.h"
#include "plugin/core/witness.h"
#include "plugin/net/network.h"
#include "plugin/state_file.h"

namespace active_master::witness {

struct Options {
  Config config;
  std::string listen_address = "127.0.0.1";
  uint16_t port = 33308;
  protocol::CredentialFiles credentials;
  std::string state_file;
};

class Host {
 public:
  // Throws a std::runtime_error that says what to do: the state file is damaged or can't be
  // written, the secret can't be read, the address is not free, or beyond this machine without a
  // secret or TLS. `log` gets what is worth a line.
  Host(boost::asio::io_context& io, const Options& options, std::function<void(LogLine)> log);

  // Reads secret and certificates again; connections go on. What is wrong with them is logged, and
  // the old ones stay.
  void reload();

  [[nodiscard]] const Durable& durable() const { return witness_.durable(); }

 private:
  void handle(const Input& input);
  void carry_out(Action action);
  void schedule();

  const Options options_;
  std::function<void(LogLine)> log_;
  StateFile state_file_;
  Witness witness_;
  boost::asio::io_context& io_;
  boost::asio::steady_timer wakeup_;
  Network network_;
};

}  // namespace active_master::witness
