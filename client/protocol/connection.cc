#include "client/protocol/connection.h"

#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

namespace active_master::protocol {

using boost::asio::ip::tcp;
using boost::system::error_code;
namespace ssl = boost::asio::ssl;

namespace {

// RFC 9266 names it; 32 bytes that both ends derive from their handshake.
constexpr std::string_view kChannelBindingLabel = "EXPORTER-Channel-Binding";
constexpr size_t kChannelBindingSize = 32;

std::string tls_error(SSL* tls, error_code error) {
  const long verdict = SSL_get_verify_result(tls);
  if (verdict != X509_V_OK) {
    return std::string("TLS: the other side's certificate is not accepted: ") +
           X509_verify_cert_error_string(verdict);
  }
  if (error.category() == boost::asio::error::get_ssl_category() &&
      ERR_GET_REASON(static_cast<unsigned long>(error.value())) == SSL_R_WRONG_VERSION_NUMBER) {
    return "TLS: the other side does not speak TLS: set its active_master_tls_* variables, too";
  }
  if (error == boost::asio::error::eof || error == ssl::error::stream_truncated ||
      error == boost::asio::error::connection_reset) {
    return "TLS: the other side closed the connection in the handshake: see its log";
  }
  return "TLS: " + error.message();
}

std::string reason_of(error_code error) {
  const bool is_tls = error.category() == boost::asio::error::get_ssl_category();
  return (is_tls ? "TLS: " : "") + error.message();
}

X509* peer_certificate(SSL* tls) {
  return SSL_get0_peer_certificate(tls);
}

}  // namespace

Connection::Connection(tcp::socket socket)
    : socket_(std::move(socket)), timer_(socket_.get_executor()) {
  error_code ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
  const auto endpoint = socket_.remote_endpoint(ignored);
  remote_ip_ = endpoint.address().to_string(ignored);
}

void Connection::secure(const CredentialsPtr& credentials, Side side,
                        std::function<void(const std::string&)> done) {
  credentials_ = credentials;
  tls_ = std::make_unique<TlsStream>(socket_, credentials_->tls());
  const auto type = side == Side::kDialler ? ssl::stream_base::client : ssl::stream_base::server;
  tls_->async_handshake(type,
                        [self = shared_from_this(), done = std::move(done)](error_code error) {
                          if (self->closed_) return;
                          done(error ? tls_error(self->tls_->native_handle(), error) : "");
                        });
}

bool Connection::is_certified_as(const std::string& name) const {
  if (!tls_) return true;
  char* match = nullptr;
  const int found = X509_check_host(peer_certificate(tls_->native_handle()), name.data(),
                                    name.size(), X509_CHECK_FLAG_NO_WILDCARDS, &match);
  // Names of hosts don't tell cases apart, names of nodes do.
  const bool is_same = found == 1 && match != nullptr && name == match;
  OPENSSL_free(match);
  return is_same;
}

bool Connection::is_certified_for_host(const std::string& host) const {
  if (!tls_) return true;
  X509* certificate = peer_certificate(tls_->native_handle());
  return X509_check_host(certificate, host.data(), host.size(), 0, nullptr) == 1 ||
         X509_check_ip_asc(certificate, host.c_str(), 0) == 1;
}

std::string Connection::channel_binding() const {
  if (!tls_) return {};
  std::string binding(kChannelBindingSize, '\0');
  SSL_export_keying_material(
      tls_->native_handle(), reinterpret_cast<unsigned char*>(binding.data()), binding.size(),
      kChannelBindingLabel.data(), kChannelBindingLabel.size(), nullptr, 0, 0);
  return binding;
}

void Connection::start(std::chrono::microseconds silence, OnFrame on_frame, OnClosed on_closed) {
  hand_over(silence, std::move(on_frame), std::move(on_closed));
  read();
}

void Connection::hand_over(std::chrono::microseconds silence, OnFrame on_frame,
                           OnClosed on_closed) {
  silence_ = silence;
  on_frame_ = std::move(on_frame);
  on_closed_ = std::move(on_closed);
  heard_ = std::chrono::steady_clock::now();
  timer_.cancel();
  if (silence_.count() > 0) watch();
}

void Connection::limit_absence(std::chrono::microseconds time) {
  const auto set = [this](int level, int option, int64_t value) {
    const int number = static_cast<int>(value);
    setsockopt(socket_.native_handle(), level, option, &number, sizeof number);
  };
  using namespace std::chrono;
  const auto probe = std::max(duration_cast<seconds>(time / 4), seconds(1)).count();
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, duration_cast<milliseconds>(time).count());
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, probe);
  set(IPPROTO_TCP, TCP_KEEPINTVL, probe);
}

void Connection::send(Bytes bytes) {
  if (closed_ || closing_) return;
  queued_bytes_ += bytes->size();
  queue_.push_back(std::move(bytes));
  if (queued_bytes_ > kMaxQueuedBytes) return close("it does not read what is sent to it");
  if (queue_.size() == 1) write();
}

void Connection::close(const std::string& reason) {
  if (closed_) return;
  const auto self = shared_from_this();  // on_closed may drop the last owner
  auto on_closed = std::move(on_closed_);
  abandon();
  if (on_closed) on_closed(reason);
}

void Connection::close_when_sent(const std::string& reason) {
  closing_ = true;
  close_reason_ = reason;
  if (queue_.empty()) close(reason);
}

void Connection::abandon() {
  closed_ = true;
  on_frame_ = nullptr;
  on_closed_ = nullptr;
  timer_.cancel();
  error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
}

template <typename Call>
void Connection::with_stream(Call call) {
  if (tls_) return call(*tls_);
  call(socket_);
}

void Connection::read() {
  auto take = [self = shared_from_this()](error_code error, size_t size) {
    if (self->closed_) return;
    if (error) return self->close(reason_of(error));
    self->decoder_.append(self->buffer_.data(), size);
    while (const auto frame = self->decoder_.next()) {
      // Only whole frames count: one byte now and then is no sign of life.
      self->heard_ = std::chrono::steady_clock::now();
      // It may close, or be replaced by, what it is called for.
      const auto on_frame = self->on_frame_;
      on_frame(*frame);
      if (self->closed_) return;
    }
    if (!self->decoder_.error().empty()) {
      if (!self->closing_) self->close(self->decoder_.error());
      return;
    }
    self->read();
  };
  with_stream(
      [&](auto& stream) { stream.async_read_some(boost::asio::buffer(buffer_), std::move(take)); });
}

void Connection::write() {
  auto written = [self = shared_from_this()](error_code error, size_t) {
    if (self->closed_) return;
    if (error) return self->close(reason_of(error));
    self->queued_bytes_ -= self->queue_.front()->size();
    self->queue_.pop_front();
    if (!self->queue_.empty()) return self->write();
    if (self->closing_) self->close(self->close_reason_);
  };
  with_stream([&](auto& stream) {
    boost::asio::async_write(stream, boost::asio::buffer(*queue_.front()), std::move(written));
  });
}

void Connection::watch() {
  timer_.expires_at(heard_ + silence_);
  timer_.async_wait([self = shared_from_this()](error_code error) {
    if (error || self->closed_) return;
    if (std::chrono::steady_clock::now() - self->heard_ >= self->silence_) {
      return self->close("nothing was heard for too long");
    }
    self->watch();
  });
}

}  // namespace active_master::protocol
