// Stands for a proxy that only scripts can steer: a traffic gate behind a TCP port of this machine,
// which understands "hold" and "open HOST PORT", and answers "ok" when that is done.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <string>
#include <thread>

#include "client/subscriber/traffic_gate.h"

namespace active_master::lab {

class SteeredGate {
 public:
  SteeredGate();
  ~SteeredGate();
  SteeredGate(const SteeredGate&) = delete;
  SteeredGate& operator=(const SteeredGate&) = delete;

  [[nodiscard]] client::TrafficGate& gate() { return gate_; }
  [[nodiscard]] uint16_t port() const { return acceptor_.local_endpoint().port(); }

 private:
  void accept();
  [[nodiscard]] std::string obey(const std::string& line);

  client::TrafficGate gate_;
  uint64_t openings_ = 0;
  boost::asio::io_context io_{1};
  boost::asio::ip::tcp::acceptor acceptor_;
  std::thread thread_;
};

}  // namespace active_master::lab
