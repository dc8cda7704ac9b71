// Drives HAProxy (tried with 2.6) over its admin socket: one TCP backend with one server, whose
// address is rewritten to wherever the active master is.
//
// Holding. The server's maxconn becomes 1 while that one slot is taken, so new connections wait in
// the backend's queue, for up to `timeout queue`. Nothing else in HAProxy 2.6 holds connections
// without refusing some, and MariaDB speaks first, so nothing that waits for client bytes can.
// (`set maxconn frontend` holds, too, but raising it again can hang or kill HAProxy 2.6: it is
// never used here.)
//   The slot is taken by the sessions that still run and by an occupant: a connection of our own
// made through the frontend just before. It stays when the server closes its end, or dies, since
// our end stays open and HAProxy counts the session until both are closed.
//   In case the slot does come free, the server's address then becomes a closed port ("parked"):
// what waits can't reach the old active master whatever happens. With `option redispatch 1` and
// enough `retries` a connection that tries goes back to the queue; without, one after the other is
// lost, while the others wait.
//
// Opening. The address is rewritten first, then what is left on other servers is closed, then
// maxconn is raised: what waits connects to the address as it is then. It is raised to a large
// number, never to 0, which lets new connections pass but not those that wait.
//   `shutdown sessions` sets a flag in each session while that may run on another thread, and in
// HAProxy 2.6 the flag can get lost (mended in 3.1). So the sessions are read back, and what is
// left elsewhere is shut down again until nothing is.
//
// When the agent ends, HAProxy stays as it is: open stays open, at the active master that was known
// last. Held stays held as far as it goes without the occupant: by sessions that still run, else by
// the closed port. An agent that starts holds first, and opens when it knows the active master;
// sessions on it go on.
//
// What haproxy.cfg needs:
//   global:   stats socket PATH level admin
//   backend:  mode tcp; one server, with an IP address, without `check` (a server that is
//             down refuses connections instead of holding them); `timeout queue` longer than any
//             pause; `option redispatch 1` and as many `retries` as fit into that, one in each
//             `timeout connect` or second, whichever is less.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "client/agent/driver.h"
#include "client/agent/haproxy_answers.h"

namespace active_master::agent {

class Haproxy : public Driver {
 public:
  struct Options {
    std::string socket;              // path of the admin socket
    std::string backend;             // the TCP backend
    std::string server;              // its one server
    Address frontend;                // where the occupant connects
    Address park{"127.0.0.1", 1};    // a closed port
    uint64_t maxconn = 1'000'000;    // of the server while open
    std::chrono::seconds pause{30};  // that `timeout queue` must exceed
    std::chrono::milliseconds command_timeout{2000};
    std::chrono::milliseconds occupy_timeout{1000};  // for the server's first byte
  };

  explicit Haproxy(Options options);

  void hold();
  void open(const Address& server);

  void hold(const client::Hold&) override { hold(); }
  void open(const Target& target) override { open(target.active.address); }
  [[nodiscard]] std::vector<std::string> check() override {
    (void)read();
    return {};
  }

  // For tests.
  [[nodiscard]] std::string command(const std::string& line) const;

 private:
  struct Server {
    Address address;
    uint64_t maxconn = 0;

    bool operator==(const Server&) const = default;
  };

  [[nodiscard]] Server read(const std::string& commands = "") const;
  void change(const std::string& commands, const Server& wanted) const;
  [[nodiscard]] std::string set_address(const Address& address) const;
  [[nodiscard]] std::string set_maxconn(uint64_t maxconn) const;
  void note_sessions(const Server& server);
  [[nodiscard]] bool close_sessions_elsewhere(const Address& address) const;
  void occupy(std::optional<boost::asio::ip::tcp::socket> caller);
  void check_queue_timeout();
  [[nodiscard]] std::optional<boost::asio::ip::tcp::socket> dial();
  template <typename Started>
  bool wait_for(Started start, std::chrono::milliseconds timeout);
  [[noreturn]] void fail(const std::string& what) const;

  const Options options_;
  const std::string path_;  // backend/server
  boost::asio::io_context io_;
  std::optional<boost::asio::ip::tcp::socket> occupant_;
  // Where sessions may run that came through the server; the parking address stands for "unknown".
  std::set<std::string> sessions_at_;
  bool is_queue_timeout_checked_ = false;
};

}  // namespace active_master::agent
