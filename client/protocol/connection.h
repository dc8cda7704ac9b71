// One framed TCP connection, with TLS or without, used by whoever dialled and whoever accepted
// alike. All of it runs on the thread of its io_context.
#pragma once

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "client/protocol/credentials.h"
#include "client/protocol/frame.h"

namespace active_master::protocol {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Bytes = std::shared_ptr<const std::string>;  // one encoding serves many receivers

  // What waits for a receiver at most. A state message has a few hundred bytes, so this is a
  // receiver that has not read for minutes: it is dropped, not buffered for.
  static constexpr size_t kMaxQueuedBytes = 1 << 20;

  using OnFrame = std::function<void(const Frame&)>;
  using OnClosed = std::function<void(const std::string& reason)>;
  enum class Side { kDialler, kListener };

  explicit Connection(boost::asio::ip::tcp::socket socket);

  // Puts TLS around everything that follows; to be called before start(). `done` hears what went
  // wrong, empty: nothing.
  void secure(const CredentialsPtr& credentials, Side side,
              std::function<void(const std::string& error)> done);
  // Does the other side's certificate bear the name, as a DNS name or as its common name? True
  // without TLS.
  [[nodiscard]] bool is_certified_as(const std::string& name) const;
  // Does it bear the host name or IP address?
  [[nodiscard]] bool is_certified_for_host(const std::string& host) const;
  // What both ends of this TLS connection know, and nobody else; empty without TLS.
  [[nodiscard]] std::string channel_binding() const;

  // Calls `on_frame` for each frame and `on_closed`, once, when the connection ends for whatever
  // reason. `silence` is how long no frame may arrive; zero: forever.
  void start(std::chrono::microseconds silence, OnFrame on_frame, OnClosed on_closed);
  // The same for a connection that was started: the handshake is over.
  void hand_over(std::chrono::microseconds silence, OnFrame on_frame, OnClosed on_closed);

  // Larger frames end the connection.
  void limit_frames(size_t size) { decoder_.set_limit(size); }
  // The other side's machine may be gone for so long: take nothing that was sent, answer none of
  // the kernel's probes.
  void limit_absence(std::chrono::microseconds time);

  void send(const Frame& frame) { send(std::make_shared<const std::string>(encode(frame))); }
  void send(Bytes bytes);

  // on_closed is called before this returns.
  void close(const std::string& reason);
  // Closes when what was sent is written.
  void close_when_sent(const std::string& reason);
  // Closes without calling on_closed.
  void abandon();

  [[nodiscard]] std::string remote_ip() const { return remote_ip_; }

 private:
  void read();
  void write();
  void watch();
  template <typename Call>
  void with_stream(Call call);

  using TlsStream = boost::asio::ssl::stream<boost::asio::ip::tcp::socket&>;

  boost::asio::ip::tcp::socket socket_;
  CredentialsPtr credentials_;  // whose TLS context the stream uses
  std::unique_ptr<TlsStream> tls_;
  boost::asio::steady_timer timer_;
  std::string remote_ip_;
  std::chrono::microseconds silence_{0};
  std::chrono::steady_clock::time_point heard_;
  std::function<void(const Frame&)> on_frame_;
  std::function<void(const std::string&)> on_closed_;
  FrameDecoder decoder_;
  std::array<char, 8192> buffer_;
  std::deque<Bytes> queue_;
  size_t queued_bytes_ = 0;
  bool closed_ = false;
  bool closing_ = false;
  std::string close_reason_;
};

}  // namespace active_master::protocol
