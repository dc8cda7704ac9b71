// Moves the core's messages: a listener for peers and proxies, and a link to each peer. A node
// sends on the link that it dialled and hears on the session that it accepted, so neither side has
// to agree with the other about which connection is the one.
//
// Nothing that arrives is believed: the door is limited (doorkeeper.h), who comes in proves itself
// (client/protocol/handshake.h), and what it may say afterwards depends on what it is: a node's
// messages are its own, a proxy can only tell its state, a witness its state and its vote. A
// witness has such a network itself, to which only nodes have access.
//
// All of it runs on the thread of its io_context.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "client/protocol/connection.h"
#include "client/protocol/handshake.h"
#include "client/protocol/names.h"
#include "client/protocol/proxy_heartbeat.h"
#include "plugin/core/actions.h"
#include "plugin/core/inputs.h"
#include "plugin/net/doorkeeper.h"

namespace active_master {

struct NetworkOptions {
  std::string cluster;
  NodeName node;
  protocol::PeerKind kind = protocol::PEER_KIND_NODE;  // or PEER_KIND_WITNESS
  std::string listen_address;
  uint16_t port = 0;  // 0: don't listen
  std::vector<NamedAddress> peers;
  std::vector<NamedAddress> witnesses;
  Duration peer_timeout{5'000'000};
  Duration proxy_silence = protocol::kProxySilence;
  protocol::CredentialsPtr credentials = protocol::no_credentials();
  DoorLimits limits = {};

  // Would a network with these go on under the other ones, given their credentials by use()?
  [[nodiscard]] bool goes_on_with(const NetworkOptions& other) const;
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

  // For connections that are made from now on; to demand the same as before. Sessions that were
  // opened with a secret that is no longer valid end.
  void use(protocol::CredentialsPtr credentials);

  void send(const NodeName& node, const NodeMessage& message);
  void send(const std::string& proxy, const NodeState& state);
  void send_to_all(const NodeState& state, bool to_proxies);

 private:
  class Link;
  struct Session;

  using SessionPtr = std::shared_ptr<Session>;

  void accept();
  void receive(boost::asio::ip::tcp::socket socket);
  void make_room_for(const Session& newcomer);
  void look(const SessionPtr& session);
  void open(const SessionPtr& session);
  void greet(const SessionPtr& session, const protocol::Frame& frame);
  void hear_node(const SessionPtr& session, const protocol::Frame& frame);
  void hear_proxy(const SessionPtr& session, const protocol::Frame& frame);
  [[nodiscard]] std::string why_not(const Session& session) const;
  void refuse(const SessionPtr& session, const std::string& reason);
  void admit(const SessionPtr& session);
  void forget(const SessionPtr& session, const std::string& reason);
  void log_refusal(const std::string& ip, const std::string& reason);
  [[nodiscard]] protocol::Self self() const;

  boost::asio::io_context& io_;
  NetworkOptions options_;  // the credentials may change
  std::function<void(Input)> deliver_;
  std::function<void(LogLine)> log_;
  boost::asio::ip::tcp::acceptor acceptor_;
  boost::asio::steady_timer accept_timer_;
  Doorkeeper door_;
  TokenBucket refusal_lines_;
  uint64_t unlogged_refusals_ = 0;
  std::map<NodeName, std::shared_ptr<Link>> links_;
  std::set<SessionPtr> sessions_;
  std::list<SessionPtr> handshakes_;  // of the sessions, those that are not open; oldest first
  std::map<std::string, SessionPtr> proxies_;
  std::map<NodeName, SessionPtr> nodes_;
};

}  // namespace active_master
