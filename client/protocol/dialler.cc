#include "client/protocol/dialler.h"

#include <boost/asio/connect.hpp>

namespace active_master::protocol {

using boost::asio::ip::tcp;
using boost::system::error_code;

Dialler::Dialler(boost::asio::io_context& io, Self self, NamedAddress node,
                 CredentialsPtr credentials)
    : self_(std::move(self)),
      node_(std::move(node)),
      credentials_(std::move(credentials)),
      resolver_(io),
      socket_(io),
      timer_(io) {}

void Dialler::dial(std::chrono::microseconds limit, std::function<void(Outcome)> done) {
  done_ = std::move(done);
  timer_.expires_after(limit);
  timer_.async_wait([self = shared_from_this()](error_code error) {
    if (!error) self->fail("it did not answer in time");
  });
  resolver_.async_resolve(
      node_.address.host, std::to_string(node_.address.port),
      [self = shared_from_this()](error_code error, const tcp::resolver::results_type& found) {
        if (!self->done_) return;
        if (error) return self->fail("can't resolve its address: " + error.message());
        boost::asio::async_connect(self->socket_, found, [self](error_code e, const auto&) {
          if (!self->done_) return;
          if (e) return self->fail("can't connect: " + e.message());
          self->connected();
        });
      });
}

void Dialler::cancel() {
  done_ = nullptr;
  timer_.cancel();
  resolver_.cancel();
  error_code ignored;
  socket_.close(ignored);
  if (connection_) connection_->abandon();
  connection_ = nullptr;
}

void Dialler::connected() {
  connection_ = std::make_shared<Connection>(std::move(socket_));
  if (!credentials_->has_tls()) return introduce();
  connection_->secure(credentials_, Connection::Side::kDialler,
                      [self = shared_from_this()](const std::string& error) {
                        if (!self->done_) return;
                        if (!error.empty()) return self->fail(error);
                        self->introduce();
                      });
}

void Dialler::introduce() {
  if (!connection_->is_certified_as(node_.name) &&
      !connection_->is_certified_for_host(node_.address.host)) {
    return fail("TLS: its certificate bears neither the name '" + node_.name + "' nor the host '" +
                    node_.address.host + "'",
                true);
  }
  handshake_.emplace(self_, node_.name, credentials_, connection_->channel_binding());
  connection_->limit_frames(kMaxHandshakeFrameSize);
  // The owner of the connection must not be kept by it for ever: hand_over() or cancel() ends this.
  connection_->start(
      std::chrono::microseconds(0),
      [self = shared_from_this()](const Frame& frame) { self->answered(frame); },
      [self = shared_from_this()](const std::string& reason) { self->fail(reason); });
  connection_->send(handshake_->hello());
}

void Dialler::answered(const Frame& frame) {
  const auto answer = handshake_->take(frame);
  if (!handshake_->error().empty()) return fail(handshake_->error(), true);
  if (answer) connection_->send(*answer);
  if (!handshake_->is_done()) return;
  connection_->limit_frames(kMaxFrameSize);
  finish({std::move(connection_), handshake_->secret(), {}});
}

void Dialler::fail(const std::string& error, bool is_refusal) {
  finish({nullptr, {}, error, is_refusal});
}

void Dialler::finish(Outcome outcome) {
  if (!done_) return;
  const auto self = shared_from_this();
  const auto done = std::move(done_);
  cancel();
  done(std::move(outcome));
}

}  // namespace active_master::protocol
