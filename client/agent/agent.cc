#include "client/agent/agent.h"

#include <spdlog/spdlog.h>

#include <utility>

namespace active_master::agent {

using client::Hold;
using client::Route;

void Agent::start(client::Subscriber& subscriber) {
  subscriber_ = &subscriber;
  worker_ = std::thread([this] { run(); });
}

void Agent::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (worker_.joinable()) worker_.join();
}

void Agent::want(Wish wish) {
  const std::lock_guard lock(mutex_);
  wish_ = std::move(wish);
  ++wishes_;
  changed_.notify_all();
}

void Agent::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const Wish wish = wish_;
    const uint64_t number = wishes_;
    lock.unlock();
    const std::string error = attempt(wish);
    report(wish, number, error);
    lock.lock();
    changed_.wait_for(lock, error.empty() ? options_.verify : options_.retry,
                      [&] { return stopping_ || wishes_ != number; });
  }
}

std::string Agent::attempt(const Wish& wish) {
  try {
    if (const auto* route = std::get_if<Route>(&wish)) {
      driver_.open(route->sql_address);
    } else {
      driver_.hold();
    }
    return {};
  } catch (const std::exception& error) {
    return error.what();
  }
}

// Once for each wish, and when the result changes. An answer that comes too late does no harm: the
// subscription knows what it asked last.
void Agent::report(const Wish& wish, uint64_t number, const std::string& error) {
  if (std::exchange(reported_, {number, error}) == std::pair(number, error)) return;
  const auto* route = std::get_if<Route>(&wish);
  const uint64_t epoch = route != nullptr ? route->epoch : std::get<Hold>(wish).epoch;
  const char* wanted = route != nullptr ? "OPEN" : "HELD";
  if (!error.empty()) {
    spdlog::error("traffic={} epoch={} result=FAILED error=\"{}\"", wanted, epoch, error);
    subscriber_->failed(error);
  } else if (route != nullptr) {
    spdlog::info("traffic=OPEN epoch={} node={} server={}", epoch, route->node,
                 route->sql_address.to_string());
    subscriber_->opened(epoch);
  } else {
    spdlog::info("traffic=HELD epoch={}", epoch);
    subscriber_->held(epoch);
  }
}

}  // namespace active_master::agent
