// For tests: somebody who connects to a node's port, or is what a node finds at a port.
#pragma once

#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>

#include "client/protocol/frame.h"
#include "client/protocol/handshake.h"

namespace active_master {

// Somebody who can connect, and sends what it likes.
class Stranger {
 public:
  explicit Stranger(uint16_t port, const char* from = "127.0.0.1") : Stranger() {
    socket_.open(boost::asio::ip::tcp::v4());
    socket_.bind({boost::asio::ip::make_address(from), 0});
    socket_.connect({boost::asio::ip::address_v4::loopback(), port});
    be_patient();
  }
  // Waits at a port of loopback for who comes.
  static Stranger listening(uint16_t port) {
    Stranger stranger;
    boost::asio::ip::tcp::acceptor acceptor(*stranger.io_,
                                            {boost::asio::ip::address_v4::loopback(), port});
    acceptor.accept(stranger.socket_);
    stranger.be_patient();
    return stranger;
  }

  // False: it does not take it any more.
  bool send(const std::string& bytes) {
    boost::system::error_code error;
    boost::asio::write(socket_, boost::asio::buffer(bytes), error);
    return !error;
  }
  bool send(const protocol::Frame& frame) { return send(protocol::encode(frame)); }

  // The next frame; nothing when the connection has ended.
  std::optional<protocol::Frame> hear() {
    while (true) {
      if (auto frame = decoder_.next()) return frame;
      char buffer[4096];
      const ssize_t size = recv(socket_.native_handle(), buffer, sizeof buffer, 0);
      if (size <= 0) return std::nullopt;
      decoder_.append(buffer, static_cast<size_t>(size));
    }
  }
  // Whether the other side ends it, within a generous time.
  [[nodiscard]] bool is_dropped() {
    while (true) {
      char buffer[4096];
      const ssize_t size = recv(socket_.native_handle(), buffer, sizeof buffer, 0);
      if (size > 0) continue;
      return size == 0 || errno == ECONNRESET;
    }
  }
  [[nodiscard]] std::string refusal() {
    while (const auto frame = hear()) {
      if (frame->has_refused()) return frame->refused().reason();
    }
    return "none";
  }

  // A handshake as whoever it likes to be.
  bool introduce_as(const protocol::Self& self, const std::string& node,
                    const protocol::CredentialsPtr& credentials) {
    protocol::DiallerHandshake handshake(self, node, credentials, "");
    send(handshake.hello());
    while (!handshake.is_done()) {
      const auto frame = hear();
      if (!frame) return false;
      if (const auto answer = handshake.take(*frame)) send(*answer);
      if (!handshake.error().empty()) return false;
    }
    return true;
  }

  // The other side of one.
  bool welcome_as(const protocol::Self& self, const protocol::CredentialsPtr& credentials) {
    protocol::ListenerHandshake handshake(self, credentials, "");
    while (!handshake.is_done()) {
      const auto frame = hear();
      if (!frame) return false;
      if (const auto answer = handshake.take(*frame)) send(*answer);
      if (!handshake.error().empty()) return false;
    }
    return send(handshake.welcome());
  }

  boost::asio::ip::tcp::socket& socket() { return socket_; }

 private:
  Stranger() : io_(std::make_unique<boost::asio::io_context>()), socket_(*io_) {}

  void be_patient() {
    const timeval patience{60, 0};
    setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }

  std::unique_ptr<boost::asio::io_context> io_;
  boost::asio::ip::tcp::socket socket_;
  protocol::FrameDecoder decoder_;
};

}  // namespace active_master
