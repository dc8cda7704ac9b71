// Moves the core's messages: a listener for peers and proxies, and a link to each peer. A node
// sends on the link that it dialled and hears on the session that it accepted, so neither side has
// to agree with the other about which connection is the one.
//
// All of it runs on the thread of its io_context.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "client/protocol/connection.h"
#include "client/protocol/names.h"
#include "plugin/core/node.h"

namespace active_master {

struct NetworkOptions {
  std::string cluster;
  NodeName node;
  std::string listen_address;
  uint16_t port = 0;  // 0: don't listen
  std::vector<NamedAddress> peers;
  Duration peer_timeout{5'000'000};

  bool operator==(const NetworkOptions&) const = default;
};

class Network {
 public:
  // What arrives is given to `deliver` as the core's inputs; what is worth a line to `log`.
  Network(boost::asio::io_context& io, NetworkOptions options, std::function<void(Input)> deliver,
          std::function<void(LogLine)> log);
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  // Opens the listener and begins to dial. On failure to listen: what to do; it still dials.
  [[nodiscard]] std::string start();

  void send(const NodeName& node, const NodeMessage& message);
  void send(const std::string& proxy, const NodeState& state);
  void send_to_all(const NodeState& state);

 private:
  class Link;
  struct Session;

  void accept();
  void greet(const std::shared_ptr<Session>& session, const protocol::Frame& frame);
  void refuse(const std::shared_ptr<Session>& session, const std::string& reason);
  void admit(const std::shared_ptr<Session>& session, const protocol::Hello& hello);
  void forget(const std::shared_ptr<Session>& session);

  boost::asio::io_context& io_;
  const NetworkOptions options_;
  std::function<void(Input)> deliver_;
  std::function<void(LogLine)> log_;
  boost::asio::ip::tcp::acceptor acceptor_;
  boost::asio::steady_timer accept_timer_;
  std::map<NodeName, std::shared_ptr<Link>> links_;
  std::set<std::shared_ptr<Session>> sessions_;
  std::map<std::string, std::shared_ptr<Session>> proxies_;
  std::map<NodeName, std::shared_ptr<Session>> nodes_;
};

}  // namespace active_master
