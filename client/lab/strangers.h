// Who can connect to a node's port and has no business there. They come from an address of their
// own (127.0.0.2), as strangers do, for as long as the object lives.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>

namespace active_master::lab {

enum class Manner {
  kHalfOpen,    // 10,000 connections, or as many as this process may have; a third each has sent
                // nothing, a part of a frame, and a valid first frame
  kSlowLoris,   // hundreds of connections, a byte now and then on each
  kGarbage,     // random bytes, and an HTTP request
  kOversize,    // lengths beyond every limit
  kWrongState,  // valid frames that only members may send, before and in the handshake
  kTls,         // a TLS handshake, to a port that does not speak it
};

[[nodiscard]] std::string_view to_string(Manner manner);

class Strangers {
 public:
  Strangers(uint16_t port, Manner manner)
      : port_(port), manner_(manner), thread_([this](std::stop_token stop) { run(stop); }) {}

  [[nodiscard]] uint64_t connections() const { return connections_; }
  [[nodiscard]] uint64_t dropped() const { return dropped_; }  // by the node
  [[nodiscard]] uint64_t most_at_once() const { return most_at_once_; }

 private:
  void run(const std::stop_token& stop);
  void crowd(const std::stop_token& stop);
  void visit(const std::stop_token& stop);

  const uint16_t port_;
  const Manner manner_;
  std::atomic<uint64_t> connections_{0};
  std::atomic<uint64_t> dropped_{0};
  std::atomic<uint64_t> most_at_once_{0};
  std::jthread thread_;
};

}  // namespace active_master::lab
