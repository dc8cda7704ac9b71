#include "plugin/net/network.h"

#include <algorithm>
#include <boost/asio/post.hpp>

#include "client/protocol/dialler.h"
#include "client/protocol/fault.h"
#include "plugin/net/codec.h"

namespace active_master {

using boost::asio::ip::tcp;
using boost::system::error_code;
using protocol::Connection;
using protocol::Frame;

namespace {

constexpr std::chrono::milliseconds kFirstRedial{50};
constexpr std::chrono::milliseconds kLastRedial{1000};

// A proxy says little; it gets no larger buffer.
constexpr size_t kMaxProxyFrameSize = size_t{16} * 1024;

// How a TLS connection begins; a frame of ours begins with the high byte of its length, which is 0.
constexpr char kTlsHandshakeRecord = 0x16;

// In the order of NodeMessage. A grant is an offer that says so.
[[maybe_unused]] std::string fault_point(const NodeMessage& message) {
  constexpr const char* kPoints[] = {
      "node_state", "switch_request", "cancel_request", "check_request", "check_reply",
      "probe",      "probe_reply",    "offer",          "grant_request", "decline",
      "report",     "proxy_news",     "follow_request", "follow_reply",  "ask",
      "ask_reply"};
  static_assert(std::size(kPoints) == std::variant_size_v<NodeMessage>);
  const auto* offer = std::get_if<Offer>(&message);
  return offer != nullptr && offer->granted ? "grant" : kPoints[message.index()];
}

// Sends it now, later, or not at all.
template <typename Send>
void send_faultily(boost::asio::io_context& io, const std::string& point, Send send) {
  const fault::Fault fault = fault::at("send_" + point);
  if (fault.loses()) return;
  if (fault.kind != fault::Kind::kLate) return send();
  auto timer = std::make_shared<boost::asio::steady_timer>(io, fault.time);
  timer->async_wait([timer, send](error_code error) {
    if (!error) send();
  });
}

bool may_say(bool is_witness, const NodeMessage& message) {
  if (const auto* state = std::get_if<NodeState>(&message))
    return is_witness == (state->role == Role::kWitness);
  return !is_witness || std::holds_alternative<AskReply>(message);
}

// False: it isn't heard. The lie is that an offer is a grant.
[[maybe_unused]] bool hears(NodeMessage& message) {
  const fault::Fault fault = fault::at("hear_" + fault_point(message));
  auto* offer = std::get_if<Offer>(&message);
  if (fault.kind == fault::Kind::kLie && offer != nullptr) offer->granted = true;
  return !fault.loses();
}

}  // namespace

bool NetworkOptions::goes_on_with(const NetworkOptions& other) const {
  return cluster == other.cluster && node == other.node && kind == other.kind &&
         listen_address == other.listen_address && port == other.port && peers == other.peers &&
         witnesses == other.witnesses && peer_timeout == other.peer_timeout &&
         credentials->demands_as(*other.credentials);
}

// The connection to one peer on which this node sends. Dials until it is closed.
class Network::Link : public std::enable_shared_from_this<Link> {
 public:
  Link(Network& network, NamedAddress peer)
      : network_(network),
        peer_(std::move(peer)),
        timer_(network.io_),
        random_(std::random_device{}()) {}

  void dial() {
    dialler_ = std::make_shared<protocol::Dialler>(network_.io_, network_.self(), peer_,
                                                   network_.options_.credentials);
    dialler_->dial(network_.options_.limits.handshake_time,
                   [self = shared_from_this()](protocol::Dialler::Outcome outcome) {
                     self->dialler_.reset();
                     if (!outcome.connection) return self->lost(outcome.error);
                     self->linked(std::move(outcome));
                   });
  }

  // Nothing of the network is touched afterwards, whatever handlers are still queued.
  void close() {
    closed_ = true;
    if (dialler_) dialler_->cancel();
    dialler_.reset();
    if (connection_) connection_->abandon();
    connection_.reset();
    timer_.cancel();
  }

  void send(Connection::Bytes bytes) {
    const auto connection = connection_;  // which a full queue ends
    if (connection) connection->send(std::move(bytes));
  }
  [[nodiscard]] bool is_up() const { return connection_ != nullptr; }

  void end_if_opened_with_another_secret(const protocol::Credentials& credentials) {
    if (connection_ && !secret_.empty() && !credentials.accepts(secret_)) {
      connection_->close("its secret is no longer valid");
    }
  }

 private:
  void linked(protocol::Dialler::Outcome outcome) {
    connection_ = std::move(outcome.connection);
    secret_ = std::move(outcome.secret);
    // Only we send on this connection: that nobody takes what we send is how its death is noticed.
    connection_->limit_absence(network_.options_.peer_timeout);
    connection_->hand_over(
        Duration{0},
        [connection = connection_.get()](const Frame&) {
          connection->close("it sent a message where it only listens");
        },
        [self = shared_from_this()](const std::string& reason) { self->lost(reason); });
    redial_ = kFirstRedial;
    last_error_.clear();
    network_.log_({LogLine::Level::kNote, "link=up peer=" + peer_.name});
    network_.deliver_(LinkUp{peer_.name});
  }

  void lost(const std::string& reason) {
    // First: whoever is told may want to send at once.
    const bool was_up = std::exchange(connection_, nullptr) != nullptr;
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
  boost::asio::steady_timer timer_;  // until the next attempt
  std::minstd_rand random_;
  std::shared_ptr<protocol::Dialler> dialler_;
  std::shared_ptr<Connection> connection_;  // while it is up
  protocol::Key secret_;
  bool closed_ = false;
  std::chrono::milliseconds redial_ = kFirstRedial;
  std::string last_error_;
};

// A connection that was accepted: from a peer that sends to this node, or from a proxy.
struct Network::Session {
  Session(tcp::socket accepted, const boost::asio::ip::address& from, boost::asio::io_context& io)
      : socket(std::move(accepted)), address(from), timer(io) {}

  [[nodiscard]] std::string ip() const { return address.to_string(); }

  tcp::socket socket;  // until it is known whether TLS is spoken on it
  const boost::asio::ip::address address;
  boost::asio::steady_timer timer;  // the handshake's limit
  char first_byte = 0;
  std::shared_ptr<Connection> connection;
  std::optional<protocol::ListenerHandshake> handshake;
  bool is_open = false;
  bool is_refused = false;  // it is told so, then it ends
  bool has_ended = false;   // its handlers that are still queued do nothing

  [[nodiscard]] bool is_proxy() const { return handshake->kind() == protocol::PEER_KIND_PROXY; }
  [[nodiscard]] bool is_witness() const { return handshake->kind() == protocol::PEER_KIND_WITNESS; }
  [[nodiscard]] const std::string& name() const { return handshake->name(); }
};

Network::Network(boost::asio::io_context& io, NetworkOptions options,
                 std::function<void(Input)> deliver, std::function<void(LogLine)> log)
    : io_(io),
      options_(std::move(options)),
      deliver_(std::move(deliver)),
      log_(std::move(log)),
      acceptor_(io),
      accept_timer_(io),
      door_(options_.limits),
      refusal_lines_(options_.limits.log_lines, options_.limits.log_interval) {}

Network::~Network() {
  for (auto& [name, link] : links_) link->close();
  for (const auto& session : sessions_) {
    session->has_ended = true;
    session->timer.cancel();
    error_code ignored;
    session->socket.close(ignored);
    if (session->connection) session->connection->abandon();
  }
}

std::string Network::start() {
  for (const auto* list : {&options_.peers, &options_.witnesses}) {
    for (const auto& peer : *list) {
      auto& link = links_[peer.name] = std::make_shared<Link>(*this, peer);
      link->dial();
    }
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

protocol::Self Network::self() const {
  return {options_.cluster, options_.node, options_.kind, ACTIVE_MASTER_VERSION};
}

void Network::use(protocol::CredentialsPtr credentials) {
  options_.credentials = std::move(credentials);
  std::vector<std::shared_ptr<Link>> links;
  for (const auto& [name, link] : links_) links.push_back(link);
  for (const auto& link : links) link->end_if_opened_with_another_secret(*options_.credentials);
  const std::vector<SessionPtr> sessions(sessions_.begin(), sessions_.end());
  for (const auto& session : sessions) {
    if (!session->is_open || session->handshake->secret().empty()) continue;
    if (options_.credentials->accepts(session->handshake->secret())) continue;
    session->connection->close("its secret is no longer valid");
  }
}

// --- The door ---

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
    receive(std::move(socket));
    accept();
  });
}

void Network::receive(tcp::socket socket) {
  error_code error;
  const auto address = socket.remote_endpoint(error).address();
  if (error) return;  // it has left already
  if (const auto reason = door_.enter(address, TokenBucket::Clock::now()); !reason.empty()) {
    return log_refusal(address.to_string(), reason);
  }
  const auto session = std::make_shared<Session>(std::move(socket), address, io_);
  make_room_for(*session);
  sessions_.insert(session);
  handshakes_.push_back(session);
  session->timer.expires_after(options_.limits.handshake_time);
  session->timer.async_wait([this, session](error_code e) {
    if (!e && !session->has_ended) forget(session, "the handshake took too long");
  });
  look(session);
}

void Network::make_room_for(const Session& newcomer) {
  if (handshakes_.size() >= options_.limits.handshakes) {
    const auto oldest = handshakes_.front();
    forget(oldest, "too many connections that do not authenticate");
  }
  size_t count = 0;
  SessionPtr oldest;
  for (const auto& session : handshakes_) {
    if (session->address != newcomer.address) continue;
    if (!oldest) oldest = session;
    ++count;
  }
  if (count >= options_.limits.handshakes_per_address) {
    forget(oldest, "too many connections from this address that do not authenticate");
  }
}

// Whether TLS is spoken shows in the first byte; who got it wrong gets an answer that says so.
void Network::look(const SessionPtr& session) {
  session->socket.async_receive(
      boost::asio::buffer(&session->first_byte, 1), tcp::socket::message_peek,
      [this, session](error_code error, size_t) {
        if (session->has_ended) return;
        // Who just leaves before it says anything, such as a monitor, is not worth a line.
        if (error) return forget(session, "");
        session->connection = std::make_shared<Connection>(std::move(session->socket));
        const bool wants_tls = session->first_byte == kTlsHandshakeRecord;
        if (!options_.credentials->has_tls()) {
          // Begun, so that an answer can be sent.
          open(session);
          if (wants_tls) {
            refuse(session, "TLS, which node " + options_.node +
                                " does not speak: set its active_master_tls_* variables, too");
          }
        } else if (!wants_tls) {
          open(session);
          refuse(session,
                 "node " + options_.node + " speaks TLS only: set the TLS files here, too");
        } else {
          session->connection->secure(options_.credentials, Connection::Side::kListener,
                                      [this, session](const std::string& e) {
                                        if (session->has_ended) return;
                                        if (e.empty()) return open(session);
                                        door_.failed_authentication(session->address,
                                                                    TokenBucket::Clock::now());
                                        forget(session, e);
                                      });
        }
      });
}

void Network::open(const SessionPtr& session) {
  session->handshake.emplace(self(), options_.credentials, session->connection->channel_binding());
  session->connection->limit_frames(protocol::kMaxHandshakeFrameSize);
  session->connection->start(
      Duration{0}, [this, session](const Frame& frame) { greet(session, frame); },
      [this, session](const std::string& reason) { forget(session, reason); });
}

void Network::greet(const SessionPtr& session, const Frame& frame) {
  if (session->is_refused) return;
  auto& handshake = *session->handshake;
  const auto answer = handshake.take(frame);
  if (handshake.failed_authentication()) {
    door_.failed_authentication(session->address, TokenBucket::Clock::now());
  }
  if (!handshake.error().empty()) return refuse(session, handshake.error());
  if (answer) session->connection->send(*answer);
  if (!handshake.is_done()) return;
  if (const auto reason = why_not(*session); !reason.empty()) return refuse(session, reason);
  admit(session);
}

// Why somebody who has proved to be who it says may not come in all the same.
std::string Network::why_not(const Session& session) const {
  const bool is_here_a_witness = options_.kind == protocol::PEER_KIND_WITNESS;
  if (session.is_proxy() && is_here_a_witness)
    return options_.node + " is a witness: proxies connect to nodes";
  const auto& list = session.is_witness() ? options_.witnesses : options_.peers;
  const auto peer = std::ranges::find(list, session.name(), &NamedAddress::name);
  if (!session.is_proxy() && peer == list.end()) {
    return (is_here_a_witness ? "witness " : "node ") + options_.node + " has no '" +
           session.name() + "' in " +
           (is_here_a_witness      ? "its --node"
            : session.is_witness() ? "active_master_witnesses"
                                   : "active_master_peers");
  }
  const auto& connection = *session.connection;
  if (connection.is_certified_as(session.name()) ||
      (!session.is_proxy() && connection.is_certified_for_host(peer->address.host))) {
    return {};
  }
  return "TLS: the certificate does not bear the name '" + session.name() + "'";
}

void Network::refuse(const SessionPtr& session, const std::string& reason) {
  if (std::exchange(session->is_refused, true)) return;
  log_refusal(session->ip(), reason);
  Frame frame;
  frame.mutable_refused()->set_reason(reason);
  session->connection->send(frame);
  session->connection->close_when_sent(reason);
}

void Network::log_refusal(const std::string& ip, const std::string& reason) {
  if (!refusal_lines_.take(TokenBucket::Clock::now())) {
    ++unlogged_refusals_;
    return;
  }
  const auto unlogged = std::exchange(unlogged_refusals_, 0);
  log_({LogLine::Level::kWarning,
        "refused=connection ip=" + ip + " reason=\"" + reason + "\"" +
            (unlogged > 0 ? " unlogged_before=" + std::to_string(unlogged) : "")});
}

// --- Open sessions ---

void Network::admit(const SessionPtr& session) {
  const std::string& name = session->name();
  session->is_open = true;
  session->timer.cancel();
  handshakes_.remove(session);
  // Who reconnects is heard on its newest session; the older one is a leftover.
  const auto old = std::exchange((session->is_proxy() ? proxies_ : nodes_)[name], session);
  if (old) old->connection->close("replaced by a newer session");
  const auto on_closed = [this, session](const std::string& reason) { forget(session, reason); };
  auto& connection = *session->connection;
  connection.send(session->handshake->welcome());
  if (!session->is_proxy()) {
    connection.limit_frames(protocol::kMaxFrameSize);
    connection.hand_over(
        options_.peer_timeout, [this, session](const Frame& frame) { hear_node(session, frame); },
        on_closed);
    return;
  }
  connection.limit_frames(kMaxProxyFrameSize);
  connection.limit_absence(options_.peer_timeout);
  connection.hand_over(
      options_.proxy_silence, [this, session](const Frame& frame) { hear_proxy(session, frame); },
      on_closed);
  log_({LogLine::Level::kNote, "proxy=" + name + " state=connected ip=" + session->ip()});
  deliver_(ProxyConnected{name, session->ip()});
}

void Network::hear_node(const SessionPtr& session, const Frame& frame) {
  auto message = node_message_from_wire(frame);
  const char* kind = session->is_witness() ? "witness" : "node";
  if (!message || !may_say(session->is_witness(), *message)) {
    const std::string reason =
        std::string(kind) + "=" + session->name() + ": a message that no " + kind + " sends";
    log_refusal(session->ip(), reason);
    return session->connection->close(reason);
  }
  if constexpr (fault::kCompiledIn) {
    if (!hears(*message)) return;
  }
  deliver_(FromNode{session->name(), std::move(*message)});
}

void Network::hear_proxy(const SessionPtr& session, const Frame& frame) {
  auto state = proxy_state_from_wire(frame);
  if (!state) {
    const std::string reason = "proxy=" + session->name() + ": a message that no proxy sends";
    log_refusal(session->ip(), reason);
    return session->connection->close(reason);
  }
  state->proxy = session->name();
  deliver_(std::move(*state));
}

void Network::forget(const SessionPtr& session, const std::string& reason) {
  if (sessions_.erase(session) == 0) return;
  session->has_ended = true;
  session->timer.cancel();
  door_.leave(session->address);
  if (!session->is_open) {
    handshakes_.remove(session);
    if (!session->is_refused && !reason.empty()) log_refusal(session->ip(), reason);
    error_code ignored;
    session->socket.close(ignored);
    if (session->connection) session->connection->abandon();
    return;
  }
  if (!session->is_proxy()) {
    const auto it = nodes_.find(session->name());
    if (it != nodes_.end() && it->second == session) nodes_.erase(it);
    return;
  }
  const auto it = proxies_.find(session->name());
  if (it == proxies_.end() || it->second != session) return;
  proxies_.erase(it);
  log_({LogLine::Level::kWarning,
        "proxy=" + session->name() + " state=lost reason=\"" + reason + "\""});
  deliver_(ProxyLost{session->name()});
}

// --- Sending ---

void Network::send(const NodeName& node, const NodeMessage& message) {
  const auto it = links_.find(node);
  if (it == links_.end() || !it->second->is_up()) return;
  const auto bytes = std::make_shared<const std::string>(encode(to_wire(message)));
  if constexpr (fault::kCompiledIn) {
    send_faultily(io_, fault_point(message), [link = it->second, bytes] { link->send(bytes); });
  } else {
    it->second->send(bytes);
  }
}

void Network::send(const std::string& proxy, const NodeState& state) {
  const auto it = proxies_.find(proxy);
  if (it != proxies_.end() && it->second) it->second->connection->send(to_wire(state));
}

void Network::send_to_all(const NodeState& state, bool to_proxies) {
  const auto bytes = std::make_shared<const std::string>(encode(to_wire(state)));
  // A full queue closes its connection, which changes the containers: walk over copies of the
  // owners.
  std::vector<std::shared_ptr<Connection>> receivers;
  if (to_proxies) {
    receivers.reserve(proxies_.size());
    for (const auto& [name, session] : proxies_) receivers.push_back(session->connection);
  }
  const auto send = [bytes, receivers, links = links_] {
    for (const auto& connection : receivers) connection->send(bytes);
    for (const auto& [name, link] : links) link->send(bytes);
  };
  if constexpr (fault::kCompiledIn) {
    send_faultily(io_, "node_state", send);
  } else {
    send();
  }
}

}  // namespace active_master
