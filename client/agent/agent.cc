#include "client/agent/agent.h"

#include <spdlog/spdlog.h>

#include <utility>

namespace active_master::agent {

using client::Hold;
using client::Route;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kDrainGlance{2};

}  // namespace

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
    advise();
    const bool is_cut_off = this->is_cut_off();
    const auto error = attempt(is_cut_off ? Hold{} : wish, number);
    if (error && !is_cut_off) report(wish, number, *error);
    const bool has_more = error == "" && driver_.has_more();
    const auto idle = error == "" ? options_.verify : options_.retry;
    lock.lock();
    changed_.wait_for(lock, has_more ? milliseconds(0) : idle,
                      [&] { return stopping_ || wishes_ != number; });
  }
}

// Once, as soon as the proxy answers.
void Agent::advise() {
  if (is_advised_) return;
  try {
    for (const auto& advice : driver_.check()) spdlog::warn("advice=\"{}\"", advice);
    is_advised_ = true;
  } catch (const std::exception&) {
    // hold() or open() will meet the same, and report it.
  }
}

bool Agent::is_cut_off() {
  const bool is_alone = subscriber_->snapshot().connected.empty();
  was_heard_ |= !is_alone;
  const bool now = is_alone && was_heard_ && options_.alone == Alone::kHold;
  if (std::exchange(is_cut_off_, now) != now) {
    spdlog::warn("nodes={} traffic={}", now ? "LOST" : "HEARD", now ? "HELD" : "AS_DECIDED");
  }
  return now;
}

std::optional<std::string> Agent::attempt(const Wish& wish, uint64_t number) {
  try {
    if (const auto* route = std::get_if<Route>(&wish)) {
      driver_.open(target(*route));
    } else {
      driver_.hold(std::get<Hold>(wish));
      if (drained_ != number && !drain(number)) return std::nullopt;
      drained_ = number;
    }
    return "";
  } catch (const std::exception& error) {
    return error.what();
  }
}

Target Agent::target(const Route& route) const {
  Target target{route.epoch, {route.node, route.sql_address}, {}};
  for (auto& server : subscriber_->snapshot().servers) {
    if (server.name != route.node) target.standbys.push_back(std::move(server));
  }
  return target;
}

bool Agent::drain(uint64_t number) {
  const auto until = std::chrono::steady_clock::now() + options_.drain;
  while (const uint64_t running = driver_.running()) {
    if (is_newer_than(number)) return false;
    if (std::chrono::steady_clock::now() >= until) {
      spdlog::info("drain=LEFT_TO_THE_NODE running={}", running);
      break;
    }
    std::this_thread::sleep_for(kDrainGlance);
  }
  return true;
}

bool Agent::is_newer_than(uint64_t number) {
  const std::lock_guard lock(mutex_);
  return stopping_ || wishes_ != number;
}

// Once for each wish, and when the result changes. An answer that comes too late does no harm: the
// subscription knows what it asked last.
void Agent::report(const Wish& wish, uint64_t number, const std::string& error) {
  const std::string warning = error.empty() ? driver_.warning() : "";
  const std::pair now(number, error + warning);
  if (std::exchange(reported_, now) == now) return;
  const auto* route = std::get_if<Route>(&wish);
  const auto* hold = std::get_if<Hold>(&wish);
  const uint64_t epoch = route != nullptr ? route->epoch : hold->epoch;
  const uint64_t id = hold != nullptr ? hold->switchover_id : 0;
  const char* wanted = route != nullptr ? "OPEN" : "HELD";
  if (!error.empty()) {
    spdlog::error("traffic={} epoch={} switchover_id={} result=FAILED error=\"{}\"", wanted, epoch,
                  id, error);
    subscriber_->failed(error);
  } else if (route != nullptr) {
    spdlog::info("traffic=OPEN epoch={} node={} server={}", epoch, route->node,
                 route->sql_address.to_string());
    subscriber_->opened(epoch);
    if (!warning.empty()) {
      spdlog::warn("traffic=OPEN epoch={} warning=\"{}\"", epoch, warning);
      subscriber_->failed(warning);
    }
  } else {
    spdlog::info("traffic=HELD epoch={} switchover_id={}", epoch, id);
    subscriber_->held(epoch);
  }
}

}  // namespace active_master::agent
