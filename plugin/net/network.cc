#include "plugin/net/network.h"

#include <netinet/tcp.h>

#include <boost/asio/connect.hpp>

#include "plugin/net/codec.h"

namespace active_master {

using boost::asio::ip::tcp;
using boost::system::error_code;
using protocol::Connection;
using protocol::Frame;

namespace {

// Thousands of proxies are within the plan; more than this is a fault or an attack, and the server
// needs its file descriptors for clients.
constexpr size_t kMaxSessions = 10'000;
// A peer on the slowest link that makes sense greets sooner; who does not is no peer.
constexpr std::chrono::seconds kHandshakeTimeout{5};
constexpr std::chrono::milliseconds kFirstRedial{50};
constexpr std::chrono::milliseconds kLastRedial{1000};

Frame hello(const NetworkOptions& options) {
  Frame frame;
  auto& message = *frame.mutable_hello();
  message.set_protocol_version(protocol::kProtocolVersion);
  message.set_cluster(options.cluster);
  message.set_name(options.node);
  message.set_kind(protocol::PEER_KIND_NODE);
  message.set_software_version(ACTIVE_MASTER_VERSION);
  return frame;
}

}  // namespace

// The connection to one peer on which this node sends. Dials until it is closed.
class Network::Link : public std::enable_shared_from_this<Link> {
 public:
  Link(Network& network, NamedAddress peer)
      : network_(network),
        peer_(std::move(peer)),
        resolver_(network.io_),
        socket_(network.io_),
        timer_(network.io_),
        random_(std::random_device{}()) {}

  void dial() {
    timer_.expires_after(kHandshakeTimeout);
    timer_.async_wait([self = shared_from_this()](error_code error) {
      if (error || self->closed_) return;
      self->abort_attempt();
    });
    resolver_.async_resolve(
        peer_.address.host, std::to_string(peer_.address.port),
        [self = shared_from_this()](error_code error, const tcp::resolver::results_type& found) {
          if (self->closed_) return;
          if (error) return self->lost("can't resolve the address: " + error.message());
          boost::asio::async_connect(self->socket_, found,
                                     [self](error_code e, const tcp::endpoint&) {
                                       if (self->closed_) return;
                                       if (e) return self->lost(e.message());
                                       self->connected();
                                     });
        });
  }

  // Nothing of the network is touched afterwards, whatever handlers are still queued.
  void close() {
    closed_ = true;
    if (connection_) connection_->abandon();
    connection_.reset();
    abort_attempt();
    timer_.cancel();
  }

  void send(Connection::Bytes bytes) {
    if (is_up_) connection_->send(std::move(bytes));
  }
  [[nodiscard]] bool is_up() const { return is_up_; }

 private:
  void abort_attempt() {
    error_code ignored;
    resolver_.cancel();
    socket_.close(ignored);
    if (connection_ && !is_up_) connection_->close("no Welcome in time");
  }

  void connected() {
    // Only we send on this connection: that nobody takes what we send is how its death is noticed.
    const auto ms = static_cast<int>(
        std::chrono::duration_cast<std::chrono::milliseconds>(network_.options_.peer_timeout)
            .count());
    setsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
    connection_ = std::make_shared<Connection>(std::move(socket_));
    connection_->start(
        Duration{0}, [this](const Frame& frame) { answered(frame); },
        [this](const std::string& reason) { lost(reason); });
    connection_->send(hello(network_.options_));
  }

  void answered(const Frame& frame) {
    if (frame.has_refused())
      return connection_->close("refused: " + frame.refused().reason().substr(0, 200));
    if (is_up_ || !frame.has_welcome()) return connection_->close("an unexpected message");
    if (frame.welcome().node() != peer_.name) {
      return connection_->close("the node there is '" +
                                frame.welcome().node().substr(0, kMaxNameLength) + "'");
    }
    is_up_ = true;
    timer_.cancel();
    redial_ = kFirstRedial;
    last_error_.clear();
    network_.log_({LogLine::Level::kNote, "link=up peer=" + peer_.name});
    network_.deliver_(LinkUp{peer_.name});
  }

  void lost(const std::string& reason) {
    connection_.reset();
    // First: whoever is told may want to send at once.
    const bool was_up = std::exchange(is_up_, false);
    if (was_up || reason != last_error_) {  // once per cause, not once per attempt
      network_.log_({LogLine::Level::kWarning, "link=down peer=" + peer_.name +
                                                   " address=" + peer_.address.to_string() +
                                                   " error=\"" + reason + "\""});
      network_.deliver_(LinkDown{peer_.name, reason});
    }
    last_error_ = reason;
    // Jitter, so that nodes that lost each other at once don't dial in step for ever.
    const auto wait =
        redial_ / 2 + std::chrono::milliseconds(random_() % (redial_.count() / 2 + 1));
    redial_ = std::min(redial_ * 2, kLastRedial);
    timer_.expires_after(wait);
    timer_.async_wait([self = shared_from_this()](error_code error) {
      if (!error && !self->closed_) self->dial();
    });
  }

  Network& network_;
  const NamedAddress peer_;
  tcp::resolver resolver_;
  tcp::socket socket_;               // while dialling
  boost::asio::steady_timer timer_;  // the handshake's limit, then the wait before the next attempt
  std::minstd_rand random_;
  std::shared_ptr<Connection> connection_;
  bool is_up_ = false;
  bool closed_ = false;
  std::chrono::milliseconds redial_ = kFirstRedial;
  std::string last_error_;
};

// A connection that was accepted: from a peer that sends to this node, or from a proxy.
struct Network::Session {
  Session(tcp::socket socket, boost::asio::io_context& io)
      : connection(std::make_shared<Connection>(std::move(socket))), timer(io) {}

  std::shared_ptr<Connection> connection;
  boost::asio::steady_timer timer;  // the handshake's limit
  protocol::PeerKind kind = protocol::PEER_KIND_UNKNOWN;
  std::string name;
};

Network::Network(boost::asio::io_context& io, NetworkOptions options,
                 std::function<void(Input)> deliver, std::function<void(LogLine)> log)
    : io_(io),
      options_(std::move(options)),
      deliver_(std::move(deliver)),
      log_(std::move(log)),
      acceptor_(io),
      accept_timer_(io) {}

Network::~Network() {
  for (auto& [name, link] : links_) link->close();
  for (const auto& session : sessions_) session->connection->abandon();
}

std::string Network::start() {
  for (const auto& peer : options_.peers) {
    auto& link = links_[peer.name] = std::make_shared<Link>(*this, peer);
    link->dial();
  }
  if (options_.port == 0) return {};
  error_code error;
  const auto address = boost::asio::ip::make_address(options_.listen_address, error);
  const tcp::endpoint endpoint(address, options_.port);
  if (!error) acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(boost::asio::socket_base::max_listen_connections, error);
  if (error) {
    acceptor_.close();
    return "can't listen on " + Address{options_.listen_address, options_.port}.to_string() + ": " +
           error.message() + "; set active_master_listen_address and active_master_port";
  }
  accept();
  return {};
}

void Network::accept() {
  acceptor_.async_accept([this](error_code error, tcp::socket socket) {
    if (error == boost::asio::error::operation_aborted) return;
    if (error) {
      // Out of file descriptors, most likely: trying at once would only burn a core.
      accept_timer_.expires_after(kFirstRedial);
      accept_timer_.async_wait([this](error_code e) {
        if (!e) accept();
      });
      return;
    }
    if (sessions_.size() < kMaxSessions) {
      const auto session = std::make_shared<Session>(std::move(socket), io_);
      sessions_.insert(session);
      session->timer.expires_after(kHandshakeTimeout);
      session->timer.async_wait([session](error_code e) {
        if (!e) session->connection->close("no Hello in time");
      });
      session->connection->start(
          options_.peer_timeout, [this, session](const Frame& frame) { greet(session, frame); },
          [this, session](const std::string&) { forget(session); });
    }
    accept();
  });
}

void Network::greet(const std::shared_ptr<Session>& session, const Frame& frame) {
  if (session->kind == protocol::PEER_KIND_NODE) {
    auto message = node_message_from_wire(frame);
    if (!message) return session->connection->close("a malformed message");
    return deliver_(FromNode{session->name, std::move(*message)});
  }
  if (session->kind == protocol::PEER_KIND_PROXY) {
    auto state = proxy_state_from_wire(frame);
    if (!state) return session->connection->close("a malformed message");
    state->proxy = session->name;
    return deliver_(std::move(*state));
  }
  if (!frame.has_hello()) return refuse(session, "the first message must be a Hello");
  const auto& hello = frame.hello();
  if (hello.protocol_version() != protocol::kProtocolVersion) {
    return refuse(session, "node " + options_.node + " speaks protocol version " +
                               std::to_string(protocol::kProtocolVersion) + " only");
  }
  if (hello.cluster() != options_.cluster) {
    return refuse(session,
                  "node " + options_.node + " belongs to cluster '" + options_.cluster + "'");
  }
  if (!is_valid_name(hello.name())) return refuse(session, "the name is not valid");
  if (hello.kind() != protocol::PEER_KIND_NODE && hello.kind() != protocol::PEER_KIND_PROXY) {
    return refuse(session, "neither a node nor a proxy");
  }
  admit(session, hello);
}

void Network::refuse(const std::shared_ptr<Session>& session, const std::string& reason) {
  Frame frame;
  frame.mutable_refused()->set_reason(reason);
  session->connection->send(frame);
  session->connection->close_when_sent(reason);
}

void Network::admit(const std::shared_ptr<Session>& session, const protocol::Hello& hello) {
  const std::string& name = hello.name();
  const bool is_node = hello.kind() == protocol::PEER_KIND_NODE;
  if (is_node && !links_.contains(name)) {
    return refuse(session,
                  "node " + options_.node + " has no '" + name + "' in active_master_peers");
  }
  session->name = name;
  session->kind = hello.kind();
  session->timer.cancel();
  // Who reconnects is heard on its newest session; the older one is a leftover.
  const auto old = std::exchange((is_node ? nodes_ : proxies_)[name], session);
  if (old) old->connection->close("replaced by a newer session");
  Frame welcome;
  welcome.mutable_welcome()->set_protocol_version(protocol::kProtocolVersion);
  welcome.mutable_welcome()->set_node(options_.node);
  session->connection->send(welcome);
  if (is_node) return;
  const auto ip = session->connection->remote_ip();
  log_({LogLine::Level::kNote, "proxy=" + name + " state=connected ip=" + ip});
  deliver_(ProxyConnected{name, ip});
}

void Network::forget(const std::shared_ptr<Session>& session) {
  session->timer.cancel();
  sessions_.erase(session);
  if (const auto it = nodes_.find(session->name); it != nodes_.end() && it->second == session)
    nodes_.erase(it);
  const auto it = proxies_.find(session->name);
  if (session->kind != protocol::PEER_KIND_PROXY || it == proxies_.end() || it->second != session)
    return;
  proxies_.erase(it);
  log_({LogLine::Level::kWarning, "proxy=" + session->name + " state=lost"});
  deliver_(ProxyLost{session->name});
}

void Network::send(const NodeName& node, const NodeMessage& message) {
  const auto it = links_.find(node);
  if (it == links_.end() || !it->second->is_up()) return;
  it->second->send(std::make_shared<const std::string>(encode(to_wire(message))));
}

void Network::send(const std::string& proxy, const NodeState& state) {
  const auto it = proxies_.find(proxy);
  if (it != proxies_.end() && it->second) it->second->connection->send(to_wire(state));
}

void Network::send_to_all(const NodeState& state) {
  const auto bytes = std::make_shared<const std::string>(encode(to_wire(state)));
  // A full queue closes its connection, which changes the containers: walk over copies of the
  // owners.
  std::vector<std::shared_ptr<Connection>> receivers;
  receivers.reserve(proxies_.size());
  for (const auto& [name, session] : proxies_) receivers.push_back(session->connection);
  for (const auto& connection : receivers) connection->send(bytes);
  for (const auto& [name, link] : links_) link->send(bytes);
}

}  // namespace active_master
