// For tests: a node that tells proxies what the test wants it to.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio.hpp>
#include <functional>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "client/protocol/frame.h"
#include "client/protocol/names.h"
#include "client/protocol/testing.h"
#include "client/subscriber/subscription.h"

namespace active_master::client {

// A node: one thread that accepts proxies, tells each its NodeState, and keeps what they say.
class FakeNode {
 public:
  enum class Manner { kWelcome, kRefuse, kGarbage, kHugeFrame, kNonsense, kSilent };

  explicit FakeNode(std::string name) : name_(std::move(name)) {
    state_.set_node(name_);
    state_.set_role(protocol::ROLE_STANDBY);
    accept();
    thread_ = std::thread([this] { io_.run(); });
  }
  ~FakeNode() {
    io_.stop();
    thread_.join();
  }

  [[nodiscard]] NamedAddress address() const { return {name_, {"127.0.0.1", port_}}; }

  void behave(Manner manner) {
    run([=, this] { manner_ = manner; });
  }
  void call_yourself(const std::string& name) {
    run([=, this] { welcome_name_ = name; });
  }
  // Tells it to all proxies, now and when they connect.
  void say(const std::function<void(protocol::NodeState&)>& change) {
    run([=, this] {
      change(state_);
      for (const auto& session : sessions_) tell(*session);
    });
  }
  void kick_all() {
    run([this] { sessions_.clear(); });
  }

  [[nodiscard]] int hellos() {
    return run([this] { return hellos_; });
  }
  [[nodiscard]] size_t sessions() {
    return run([this] { return sessions_.size(); });
  }
  [[nodiscard]] protocol::Frame last_hello() {
    return run([this] { return last_hello_; });
  }
  [[nodiscard]] protocol::ProxyState proxy() {
    return run([this] { return proxy_; });
  }
  [[nodiscard]] int proxy_states() {
    return run([this] { return proxy_states_; });
  }

 private:
  struct Session {
    explicit Session(boost::asio::ip::tcp::socket s) : socket(std::move(s)) {}
    boost::asio::ip::tcp::socket socket;
    protocol::FrameDecoder decoder;
    std::array<char, 4096> buffer{};
  };

  template <typename Work>
  auto run(Work work) -> decltype(work()) {
    std::packaged_task<decltype(work())()> task(std::move(work));
    auto result = task.get_future();
    boost::asio::post(io_, [&task] { task(); });
    return result.get();
  }

  void accept() {
    acceptor_.async_accept(
        [this](boost::system::error_code error, boost::asio::ip::tcp::socket socket) {
          if (error) return;
          const auto session = std::make_shared<Session>(std::move(socket));
          sessions_.insert(session);
          read(session);
          accept();
        });
  }

  void read(const std::shared_ptr<Session>& session) {
    session->socket.async_read_some(boost::asio::buffer(session->buffer),
                                    [this, session](boost::system::error_code error, size_t size) {
                                      if (error || !sessions_.contains(session)) {
                                        sessions_.erase(session);
                                        return;
                                      }
                                      session->decoder.append(session->buffer.data(), size);
                                      while (const auto frame = session->decoder.next()) {
                                        take(*session, *frame);
                                      }
                                      read(session);
                                    });
  }

  void take(Session& session, const protocol::Frame& frame) {
    if (frame.has_proxy_state()) {
      proxy_ = frame.proxy_state();
      ++proxy_states_;
    }
    if (!frame.has_hello()) return;
    ++hellos_;
    last_hello_ = frame;
    protocol::Frame answer;
    switch (manner_) {
      case Manner::kSilent:
        return;
      case Manner::kGarbage:
        return write(session, "HTTP/1.1 400 Bad Request\r\n\r\n");
      case Manner::kHugeFrame:
        return write(session, std::string("\x7f\xff\xff\xff", 4));
      case Manner::kRefuse:
        answer.mutable_refused()->set_reason("this is another cluster");
        return write(session, protocol::encode(answer));
      default:
        answer.mutable_welcome()->set_protocol_version(protocol::kProtocolVersion);
        answer.mutable_welcome()->set_node(welcome_name_.empty() ? name_ : welcome_name_);
        write(session, protocol::encode(answer));
        tell(session);
    }
  }

  void tell(Session& session) {
    protocol::Frame frame;
    *frame.mutable_node_state() = state_;
    if (manner_ == Manner::kNonsense) frame.mutable_node_state()->set_node("somebody else");
    write(session, protocol::encode(frame));
  }

  static void write(Session& session, const std::string& bytes) {
    boost::system::error_code ignored;
    boost::asio::write(session.socket, boost::asio::buffer(bytes), ignored);
  }

  const std::string name_;
  boost::asio::io_context io_;
  boost::asio::ip::tcp::acceptor acceptor_{
      io_, boost::asio::ip::tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0)};
  const uint16_t port_ = acceptor_.local_endpoint().port();
  Manner manner_ = Manner::kWelcome;
  std::string welcome_name_;
  protocol::NodeState state_;
  std::set<std::shared_ptr<Session>> sessions_;
  int hellos_ = 0;
  protocol::Frame last_hello_;
  protocol::ProxyState proxy_;
  int proxy_states_ = 0;
  std::thread thread_;
};

// What a node can say. Where no SQL address is given, node a has a:3306.
inline void set_activation(protocol::NodeState& state, uint64_t epoch, const std::string& node,
                           const std::string& at) {
  state.mutable_activation()->set_epoch(epoch);
  state.mutable_activation()->set_node(node);
  state.mutable_activation()->set_sql_address(at.empty() ? node + ":3306" : at);
}

inline auto active(uint64_t epoch, const std::string& at = "") {
  return [=](protocol::NodeState& state) {
    state.set_role(protocol::ROLE_ACTIVE);
    state.clear_pause();
    set_activation(state, epoch, state.node(), at);
  };
}

inline auto standby(uint64_t epoch, const std::string& of, const std::string& at = "") {
  return [=](protocol::NodeState& state) {
    state.set_role(protocol::ROLE_STANDBY);
    state.clear_pause();
    set_activation(state, epoch, of, at);
  };
}

inline auto pause(uint64_t epoch, uint64_t switchover) {
  return [=](protocol::NodeState& state) {
    state.mutable_pause()->set_epoch(epoch);
    state.mutable_pause()->set_switchover_id(switchover);
    state.mutable_pause()->set_remaining_ms(60000);
  };
}

}  // namespace active_master::client
