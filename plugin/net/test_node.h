// For tests: a network and what it delivered.
#pragma once

#include <boost/asio.hpp>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client/protocol/testing.h"
#include "plugin/net/network.h"

namespace active_master {

// A node without a core: its network on a thread of its own, and what that delivered.
class TestNode {
 public:
  explicit TestNode(NetworkOptions options) : options_(std::move(options)) {
    // Another process may take a free port before we do.
    for (int i = 0; i < 20; ++i) {
      if (options_.port == 0 || i > 0) options_.port = free_port();
      network_ = make();
      if (network_->start().empty()) break;
      network_.reset();
    }
    thread_ = std::thread([this] { io_.run(); });
  }
  ~TestNode() {
    run([this] { network_.reset(); });
    work_.reset();
    io_.stop();
    thread_.join();
  }

  [[nodiscard]] NamedAddress address() const {
    return {options_.node, {"127.0.0.1", options_.port}};
  }
  [[nodiscard]] uint16_t port() const { return options_.port; }

  template <typename Work>
  auto run(Work work) -> decltype(work()) {
    std::packaged_task<decltype(work())()> task(std::move(work));
    auto result = task.get_future();
    boost::asio::post(io_, [&task] { task(); });
    return result.get();
  }
  void send_to(const std::string& node, const NodeMessage& message) {
    run([&] { network_->send(node, message); });
  }
  void send_to_all(const NodeState& state) {
    run([&] { network_->send_to_all(state, true); });
  }
  void use(const protocol::CredentialsPtr& credentials) {
    run([&] { network_->use(credentials); });
  }

  // How often an input of the type was delivered that the condition holds for.
  template <typename Type, typename Condition>
  [[nodiscard]] int count(Condition condition) {
    const std::lock_guard lock(mutex_);
    int found = 0;
    for (const auto& input : inputs_) {
      const auto* wanted = std::get_if<Type>(&input);
      found += wanted != nullptr && condition(*wanted) ? 1 : 0;
    }
    return found;
  }
  [[nodiscard]] bool linked(const std::string& peer) {
    const std::lock_guard lock(mutex_);
    for (auto it = inputs_.rbegin(); it != inputs_.rend(); ++it) {
      const auto* up = std::get_if<LinkUp>(&*it);
      if (up != nullptr && up->node == peer) return true;
      const auto* down = std::get_if<LinkDown>(&*it);
      if (down != nullptr && down->node == peer) return false;
    }
    return false;
  }
  [[nodiscard]] std::string last_error(const std::string& peer) {
    const std::lock_guard lock(mutex_);
    for (auto it = inputs_.rbegin(); it != inputs_.rend(); ++it) {
      const auto* down = std::get_if<LinkDown>(&*it);
      if (down != nullptr && down->node == peer) return down->error;
    }
    return {};
  }
  [[nodiscard]] bool has_proxy(const std::string& name) {
    return count<ProxyConnected>([&](const auto& proxy) { return proxy.proxy == name; }) >
           count<ProxyLost>([&](const auto& proxy) { return proxy.proxy == name; });
  }
  [[nodiscard]] int probes_from(const std::string& node) {
    return count<FromNode>([&](const FromNode& input) {
      return input.from == node && std::holds_alternative<Probe>(input.message);
    });
  }
  [[nodiscard]] std::string log() {
    const std::lock_guard lock(mutex_);
    return log_;
  }
  [[nodiscard]] size_t inputs() {
    const std::lock_guard lock(mutex_);
    return inputs_.size();
  }

 private:
  std::unique_ptr<Network> make() {
    return std::make_unique<Network>(
        io_, options_,
        [this](Input input) {
          const std::lock_guard lock(mutex_);
          inputs_.push_back(std::move(input));
        },
        [this](const LogLine& line) {
          const std::lock_guard lock(mutex_);
          log_ += line.text + "\n";
        });
  }

  NetworkOptions options_;
  boost::asio::io_context io_;
  std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> work_{
      io_.get_executor()};
  std::unique_ptr<Network> network_;
  std::mutex mutex_;
  std::vector<Input> inputs_;
  std::string log_;
  std::thread thread_;
};

}  // namespace active_master
