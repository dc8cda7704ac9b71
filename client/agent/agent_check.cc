#include "client/agent/agent_check.h"

#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <memory>

#include "client/agent/driver.h"

namespace active_master::agent {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::chrono::seconds kPatience{5};
constexpr size_t kLongestQuestion = 256;

// One question and its answer.
struct Session : std::enable_shared_from_this<Session> {
  explicit Session(tcp::socket s) : socket(std::move(s)), timer(socket.get_executor()) {}

  void start(const std::function<std::string()>& active_node) {
    timer.expires_after(kPatience);
    timer.async_wait([self = shared_from_this()](error_code cancelled) {
      error_code ignored;
      if (!cancelled) self->socket.close(ignored);
    });
    asio::async_read_until(
        socket, asio::dynamic_buffer(text, kLongestQuestion), '\n',
        [self = shared_from_this(), &active_node](error_code error, size_t size) {
          if (error) {
            self->timer.cancel();
            return;
          }
          std::string node = self->text.substr(0, size - 1);
          if (node.ends_with('\r')) node.pop_back();
          self->text = !node.empty() && node == active_node() ? "up ready\n" : "down\n";
          asio::async_write(self->socket, asio::buffer(self->text),
                            [self](error_code, size_t) { self->timer.cancel(); });
        });
  }

  tcp::socket socket;
  asio::steady_timer timer;
  std::string text;
};

}  // namespace

AgentCheck::AgentCheck(const Address& listen, std::function<std::string()> active_node)
    : active_node_(std::move(active_node)), acceptor_(io_) {
  try {
    const tcp::endpoint endpoint(asio::ip::make_address(listen.host), listen.port);
    acceptor_.open(endpoint.protocol());
    acceptor_.set_option(tcp::acceptor::reuse_address(true));
    acceptor_.bind(endpoint);
    acceptor_.listen();
  } catch (const boost::system::system_error& error) {
    throw Failure("can't listen on " + listen.to_string() + " for agent checks (" +
                  error.code().message() + "): choose another --agent-check");
  }
  accept();
  thread_ = std::thread([this] { io_.run(); });
}

AgentCheck::~AgentCheck() {
  io_.stop();
  thread_.join();
}

void AgentCheck::accept() {
  acceptor_.async_accept([this](error_code error, tcp::socket socket) {
    if (!error) std::make_shared<Session>(std::move(socket))->start(active_node_);
    if (error != asio::error::operation_aborted) accept();
  });
}

}  // namespace active_master::agent
