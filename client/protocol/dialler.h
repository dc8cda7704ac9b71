// Makes one attempt to open a session with a node: resolves, connects, secures, authenticates.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "client/protocol/connection.h"
#include "client/protocol/handshake.h"
#include "client/protocol/names.h"

namespace active_master::protocol {

class Dialler : public std::enable_shared_from_this<Dialler> {
 public:
  // An open session that waits for hand_over(), or null and why there is none.
  struct Outcome {
    std::shared_ptr<Connection> connection;
    Key secret;  // that was proved with, empty without
    std::string error;
    bool is_refusal = false;  // somebody answered: asking again at once won't help
  };

  Dialler(boost::asio::io_context& io, Self self, NamedAddress node, CredentialsPtr credentials);

  // `done` is called once, unless cancel() came first.
  void dial(std::chrono::microseconds limit, std::function<void(Outcome)> done);
  void cancel();

 private:
  void connected();
  void introduce();
  void answered(const Frame& frame);
  void fail(const std::string& error, bool is_refusal = false);
  void finish(Outcome outcome);

  const Self self_;
  const NamedAddress node_;
  const CredentialsPtr credentials_;
  boost::asio::ip::tcp::resolver resolver_;
  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer timer_;
  std::function<void(Outcome)> done_;
  std::shared_ptr<Connection> connection_;
  std::optional<DiallerHandshake> handshake_;
};

}  // namespace active_master::protocol
