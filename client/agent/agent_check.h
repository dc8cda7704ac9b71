// Answers HAProxy's agent checks, for those who let HAProxy ask instead of being told:
//
//   server node1 10.0.0.1:3306 agent-check agent-addr 127.0.0.1 agent-port 33399 agent-send
//   "node1\n"
//
// "up ready" for the node that traffic was opened for last, "down" for all others. HAProxy asks now
// and then (agent-inter), so this neither holds anything nor is as quick as a driver.
//
// Threads: one of its own, which calls `active_node`.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <string>
#include <thread>

#include "client/protocol/names.h"

namespace active_master::agent {

class AgentCheck {
 public:
  // Throws Failure when it can't listen.
  AgentCheck(const Address& listen, std::function<std::string()> active_node);
  ~AgentCheck();
  AgentCheck(const AgentCheck&) = delete;
  AgentCheck& operator=(const AgentCheck&) = delete;

  [[nodiscard]] uint16_t port() const { return acceptor_.local_endpoint().port(); }

 private:
  void accept();

  const std::function<std::string()> active_node_;
  boost::asio::io_context io_{1};
  boost::asio::ip::tcp::acceptor acceptor_;
  std::thread thread_;
};

}  // namespace active_master::agent
