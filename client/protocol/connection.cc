#include "client/protocol/connection.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

namespace active_master::protocol {

using boost::asio::ip::tcp;
using boost::system::error_code;

Connection::Connection(tcp::socket socket)
    : socket_(std::move(socket)), timer_(socket_.get_executor()) {
  error_code ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
  const auto endpoint = socket_.remote_endpoint(ignored);
  remote_ip_ = endpoint.address().to_string(ignored);
}

void Connection::start(std::chrono::microseconds silence,
                       std::function<void(const Frame&)> on_frame,
                       std::function<void(const std::string&)> on_closed) {
  silence_ = silence;
  on_frame_ = std::move(on_frame);
  on_closed_ = std::move(on_closed);
  heard_ = std::chrono::steady_clock::now();
  if (silence_.count() > 0) watch();
  read();
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

void Connection::read() {
  socket_.async_read_some(
      boost::asio::buffer(buffer_), [self = shared_from_this()](error_code error, size_t size) {
        if (self->closed_) return;
        if (error) return self->close(error.message());
        self->heard_ = std::chrono::steady_clock::now();
        self->decoder_.append(self->buffer_.data(), size);
        while (const auto frame = self->decoder_.next()) {
          const auto on_frame =
              self->on_frame_;  // it may close, or be replaced by, what it is called for
          on_frame(*frame);
          if (self->closed_) return;
        }
        if (!self->decoder_.error().empty()) return self->close(self->decoder_.error());
        self->read();
      });
}

void Connection::write() {
  boost::asio::async_write(socket_, boost::asio::buffer(*queue_.front()),
                           [self = shared_from_this()](error_code error, size_t) {
                             if (self->closed_) return;
                             if (error) return self->close(error.message());
                             self->queued_bytes_ -= self->queue_.front()->size();
                             self->queue_.pop_front();
                             if (!self->queue_.empty()) return self->write();
                             if (self->closing_) self->close(self->close_reason_);
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
