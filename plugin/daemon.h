// Wires the core, the network and the server together.
//
// Threads:
//  - one network thread runs the io_context. It alone owns the Node and the Network.
//  - the lanes of JobRunner run SQL. They get jobs from the network thread and post results back to
//  it.
//  - the server's own threads: set and read variables, read tables. They post to the network
//  thread,
//    read the published View, or wait for the answer to a request. They never wait for the network
//    otherwise.
// mutex_ guards what the server's threads see: the view and the waiters; it is held for moments
// only.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "plugin/core/node.h"
#include "plugin/net/network.h"
#include "plugin/server/job_runner.h"
#include "plugin/state_file.h"

namespace active_master {

// What the system variables say, checked.
struct Settings {
  Config config;
  NetworkOptions network;
  std::string error;  // not empty: the plugin is unconfigured because of this
};

class Daemon {
 public:
  Daemon(Settings settings, std::string state_path);
  // Ends what can be ended in time, then stops every thread.
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  void reconfigure(Settings settings);

  // Never null.
  [[nodiscard]] std::shared_ptr<const View> view() const;

  // Gives a command to the core and waits for its answer; nullptr when the answer stays away
  // although `is_killed` became true and the command was asked to stop.
  std::shared_ptr<const SwitchoverReport> request(SwitchoverId id, Input command,
                                                  const std::function<bool()>& is_killed);

  // Waits until ACTIVE_MASTER_EVENTS has one beyond `after`, for `timeout` at most. The lease of
  // `proxy`, if one is named, is renewed all the while.
  void await_event(uint64_t after, std::chrono::milliseconds timeout, const std::string& proxy,
                   const std::function<bool()>& is_killed);

 private:
  struct Waiter {
    bool answered = false;
    std::shared_ptr<const SwitchoverReport> report;
  };

  void configure(Settings settings);
  void start_node(const Durable& durable);
  void await_server_start();
  void start_network();
  void handle(const Input& input);
  void carry_out(Action action);
  void schedule();
  void schedule_status();
  void publish_soon();
  void publish();
  void answer(const std::shared_ptr<const SwitchoverReport>& report);
  void fail(const std::string& error);

  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::steady_timer wakeup_;
  boost::asio::steady_timer status_timer_;
  boost::asio::steady_timer publish_timer_;
  boost::asio::steady_timer start_timer_;

  Settings settings_;
  StateFile state_file_;
  std::optional<Node> node_;
  std::unique_ptr<Network> network_;
  std::string listen_error_;  // shown until the listener opens
  bool server_started_ = false;

  mutable std::mutex mutex_;
  std::condition_variable answered_;
  std::shared_ptr<const View> view_;
  std::map<SwitchoverId, std::shared_ptr<Waiter>> waiters_;

  bool is_view_stale_ = false;  // will be published soon
  std::chrono::steady_clock::time_point published_at_;
  std::chrono::steady_clock::duration publishing_took_{0};
  std::unique_ptr<JobRunner> jobs_;
  std::thread thread_;
};

}  // namespace active_master
