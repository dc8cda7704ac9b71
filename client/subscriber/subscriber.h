// Keeps a proxy subscribed to every node of the cluster: the network around a Subscription.
//
// Threads: start() makes one, which owns all links and the Subscription. It calls the handler,
// which therefore must not block; the handler answers from whichever thread it likes, and from
// within the call too. Whoever has many subscribers gives them one io_context, and runs it on one
// thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "client/protocol/credential_files.h"
#include "client/protocol/names.h"
#include "client/protocol/proxy_heartbeat.h"
#include "client/subscriber/subscription.h"

namespace active_master::client {

class TrafficGate;

// What a proxy can do with its traffic, which is closed until the first open().
class Handler {
 public:
  virtual ~Handler() = default;

  // Let no new transaction start, let running ones finish, then answer
  // Subscriber::held(hold.epoch). A newer hold may come while this one is in progress, and an
  // open() at any time: it wins.
  virtual void hold(const Hold& hold) = 0;

  // Let transactions begin at least so far apart, zero: as they come; there is no answer. It
  // shortens the hold that follows. The active master slows down by itself whoever doesn't.
  virtual void pace(std::chrono::microseconds distance) { (void)distance; }

  // Route traffic there, close what is left elsewhere, then answer Subscriber::opened(route.epoch).
  virtual void open(const Route& route) = 0;
};

class Subscriber {
 public:
  struct Options {
    std::string name;  // of this proxy, unique in the cluster
    std::string cluster = "cluster";
    std::vector<NamedAddress> nodes;  // all of the cluster, with their active_master_port
    // What nodes demand. The files are read again for each new connection, so new ones need no
    // restart.
    protocol::CredentialFiles credentials = {};
    std::string driver = "gate";  // shown in ACTIVE_MASTER_PROXIES
    std::chrono::milliseconds heartbeat = protocol::kProxyHeartbeat;
    // A node whose machine does not answer for so long is dialled again;
    std::chrono::milliseconds peer_timeout{5000};
    // one that says nothing for so long, too.
    std::chrono::milliseconds silence = protocol::kProxySilence;
    std::chrono::milliseconds startup_wait{3000};  // see Subscription
    std::string state_file = {};  // keeps the highest activation over restarts; empty: none
    // Runs this subscriber in place of a thread of its own. It must have stopped for good before
    // the subscriber ends, and may not run yet when start() is called.
    boost::asio::io_context* io = nullptr;
  };

  struct Snapshot {
    State state = State::kStarting;
    bool conflict = false;
    protocol::ProxyState proxy_state;  // as the nodes are told
    std::vector<std::string> connected;
    std::vector<NamedAddress> servers;  // where each node takes SQL, as far as it was heard
  };

  // The handler must outlive the subscriber, and is called between start() and stop() only.
  Subscriber(Options options, Handler& handler);
  ~Subscriber();
  Subscriber(const Subscriber&) = delete;
  Subscriber& operator=(const Subscriber&) = delete;

  void start();
  void stop();  // returns when the thread has ended; more than once is fine; not from the handler

  // The handler's answers; from any thread, also when nothing was asked or after stop().
  void held(uint64_t epoch);
  void opened(uint64_t epoch);
  // What was asked isn't done yet, and what a person should do about it. The handler goes on
  // trying; its later held() or opened() takes this back.
  void failed(std::string_view text);

  [[nodiscard]] Snapshot snapshot() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// For a pool in the same process: what the cluster decides opens and closes the gate.
//
//   TrafficGate gate;
//   GateHandler handler(gate);
//   Subscriber subscriber(options, handler);
//   handler.answer_to(subscriber);
//   subscriber.start();
//   ...
//   if (const auto pass = gate.enter(timeout)) { ... one transaction on pass->route() ... }
class GateHandler : public Handler {
 public:
  explicit GateHandler(TrafficGate& gate) : gate_(gate) {}
  void answer_to(Subscriber& subscriber) { subscriber_ = &subscriber; }

  void hold(const Hold& hold) override;
  void pace(std::chrono::microseconds distance) override;
  void open(const Route& route) override;

 private:
  TrafficGate& gate_;
  Subscriber* subscriber_ = nullptr;
};

}  // namespace active_master::client
