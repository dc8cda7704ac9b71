#include "client/agent/haproxy.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <thread>

namespace active_master::agent {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint64_t kHeld = 1;  // maxconn

// A session that is shut down is gone within milliseconds, or needs to be shut down again.
constexpr int kLooks = 20;
constexpr milliseconds kLookInterval{5};
// HAProxy takes lines of up to tune.bufsize, 16 kB.
constexpr size_t kShutdownsInALine = 100;

std::string trimmed(const std::string& text) {
  const auto last = text.find_last_not_of(" \r\n");
  return last == std::string::npos ? "" : text.substr(0, last + 1);
}

// HAProxy takes numeric addresses only, and shows them in this spelling.
Address resolve(const Address& address) {
  asio::io_context io;
  tcp::resolver resolver(io);
  error_code error;
  const auto found = resolver.resolve(address.host, std::to_string(address.port), error);
  if (error || found.empty()) {
    throw Failure("the address " + address.to_string() + " can't be resolved (" + error.message() +
                  "): correct active_master_sql_address of that node, or the name service here");
  }
  return {found.begin()->endpoint().address().to_string(), address.port};
}

}  // namespace

// --- The admin socket ---

Haproxy::Haproxy(Options options)
    : options_(std::move(options)), path_(options_.backend + "/" + options_.server) {}

void Haproxy::fail(const std::string& what) const {
  throw Failure("HAProxy at " + options_.socket + ": " + what);
}

std::string Haproxy::command(const std::string& line) const {
  asio::io_context io;
  asio::local::stream_protocol::socket socket(io);
  const std::string request = line + "\n";
  std::string answer;
  error_code result = asio::error::timed_out;
  const auto done = [&](error_code error) { result = error; };
  socket.async_connect(options_.socket, [&](error_code error) {
    if (error) return done(error);
    asio::async_write(socket, asio::buffer(request), [&](error_code failed, size_t) {
      if (failed) return done(failed);
      asio::async_read(socket, asio::dynamic_buffer(answer), [&](error_code ended, size_t) {
        done(ended == asio::error::eof ? error_code() : ended);
      });
    });
  });
  io.run_for(options_.command_timeout);
  if (result) {
    fail("no answer to '" + line + "' (" + result.message() +
         "): is HAProxy running, has it 'stats socket " + options_.socket +
         " level admin', and may this user open that?");
  }
  answer = trimmed(answer);
  if (answer.starts_with("Permission denied")) {
    fail("'" + line + "' is denied: write 'stats socket " + options_.socket + " level admin'");
  }
  return answer;
}

// What the server is after these commands. Everything that haproxy.cfg must have for us is checked
// each time: it may have been reloaded. All in one line, as each costs a connection.
Haproxy::Server Haproxy::read(const std::string& commands) const {
  const std::string& backend = options_.backend;
  const std::string answer =
      command(commands + "show servers state " + backend + "; show stat " + backend + " 4 -1");
  const auto stat_at = std::min(answer.find("# pxname"), answer.size());
  const auto states = parse_servers_state(answer.substr(0, stat_at));
  if (states.empty()) {
    fail("there is no backend '" + backend + "' with a server in it (" + answer.substr(0, 100) +
         "): correct --backend or haproxy.cfg");
  }
  if (states.size() > 1 || value(states[0], "srv_name") != options_.server) {
    fail("backend '" + backend + "' must have one server, '" + options_.server + "', and has " +
         std::to_string(states.size()) + ", the first '" +
         std::string(value(states[0], "srv_name")) + "': correct --server or haproxy.cfg");
  }
  const Row& state = states[0];
  if (value(state, "srv_fqdn") != "-") {
    fail("server " + path_ +
         " has a name for an address, which HAProxy may resolve again behind our"
         " back: write an IP address");
  }
  const auto stats = parse_stat(answer.substr(stat_at));
  if (stats.size() != 1) fail("'show stat' doesn't show server " + path_);
  const Row& stat = stats[0];
  if (value(stat, "mode") != "tcp") fail("backend '" + backend + "' must have 'mode tcp'");
  if (!value(stat, "check_status").empty()) {
    fail("server " + path_ +
         " has health checks, and one that fails refuses connections instead of"
         " holding them: remove 'check'");
  }
  if (value(state, "srv_admin_state") != "0" || value(state, "srv_op_state") != "2") {
    fail("server " + path_ + " is " + std::string(value(stat, "status")) +
         ", so connections are refused: 'set server " + path_ + " state ready'");
  }
  const auto port = number(value(state, "srv_port"));
  return {{std::string(value(state, "srv_addr")), static_cast<uint16_t>(port.value_or(0))},
          number(value(stat, "slim")).value_or(0)};
}

// HAProxy 3 answers before the server has a new address: a task of its own follows. Nothing may be
// let through before that.
void Haproxy::change(const std::string& commands, const Server& wanted) const {
  Server server = read(commands);
  for (int look = 0; server != wanted; ++look) {
    if (look == kLooks) {
      fail("server " + path_ + " has the address " + server.address.to_string() + " and maxconn " +
           std::to_string(server.maxconn) + " after '" + commands + "'");
    }
    std::this_thread::sleep_for(kLookInterval);
    server = read();
  }
}

std::string Haproxy::set_address(const Address& address) const {
  return "set server " + path_ + " addr " + address.host + " port " + std::to_string(address.port) +
         "; ";
}

std::string Haproxy::set_maxconn(uint64_t maxconn) const {
  return "set maxconn server " + path_ + " " + std::to_string(maxconn) + "; ";
}

// --- The driver ---

void Haproxy::hold() {
  // Its way to the server takes as long as the reading.
  auto caller = occupant_ ? std::nullopt : dial();
  const Server server = read();
  note_sessions(server);
  if (server.maxconn == kHeld && server.address == options_.park) return;
  // Else it would only wait with others. After a reload the occupant is with the old process.
  if (server.maxconn != kHeld) occupy(caller ? std::move(caller) : dial());
  change(set_maxconn(kHeld) + set_address(options_.park), {options_.park, kHeld});
  check_queue_timeout();
}

void Haproxy::open(const Address& to) {
  const Address address = resolve(to);
  const Server server = read();
  const bool moves = server.address != address;
  note_sessions(server);
  sessions_at_.insert(address.to_string());
  if (moves) {
    // maxconn first, or new sessions would be closed with the old.
    change(set_maxconn(kHeld) + set_address(address), {address, kHeld});
  }
  if (server.maxconn != options_.maxconn || moves) {
    // While our own session has the one slot, no other can be on its way to the new address or try
    // the parked one, and this is the quickest way to close what is left on the old server.
    const bool closes = moves && sessions_at_.size() > 1 && occupant_;
    change(
        (closes ? "shutdown sessions server " + path_ + "; " : "") + set_maxconn(options_.maxconn),
        {address, options_.maxconn});
  }
  occupant_.reset();
  // After traffic is open, as those that wait need not wait for this.
  if (sessions_at_.size() > 1 && close_sessions_elsewhere(address)) {
    sessions_at_ = {address.to_string()};
  }
}

// False if some are left: those whose client has gone already, and that only their server can end.
// They do no harm, and are looked at again when the agent next verifies that traffic is open.
bool Haproxy::close_sessions_elsewhere(const Address& address) const {
  for (int look = 0; look < kLooks; ++look) {
    if (look > 0) std::this_thread::sleep_for(kLookInterval);
    const auto left = parse_sessions_elsewhere(command("show sess all"), options_.backend,
                                               options_.server, {address, options_.park});
    if (left.empty()) return true;
    for (size_t i = 0; i < left.size();) {
      std::string line;
      for (const size_t end = std::min(i + kShutdownsInALine, left.size()); i < end; ++i) {
        line += (line.empty() ? "" : "; ") + ("shutdown session " + left[i]);
      }
      (void)command(line);  // some may be gone by now
    }
  }
  return false;
}

// Called before the address changes. Parked by us, sessions are where they were before; found
// parked at the start, they may be anywhere.
void Haproxy::note_sessions(const Server& server) {
  if (server.address != options_.park || sessions_at_.empty()) {
    sessions_at_.insert(server.address.to_string());
  }
}

// Takes a slot on the server, as far as possible: without, what waits is only safe, not
// comfortable.
void Haproxy::occupy(std::optional<tcp::socket> caller) {
  occupant_ = std::move(caller);
  char greeting = 0;
  const bool is_greeted =
      occupant_ && wait_for(
                       [&](auto done) {
                         asio::async_read(*occupant_, asio::buffer(&greeting, 1),
                                          [done](error_code error, size_t) { done(error); });
                       },
                       options_.occupy_timeout);
  if (is_greeted) {
    // Left alone, MariaDB resets it after connect_timeout, which would end the session. Told
    // nonsense, it says so and closes its end in order, and the session stays, half closed, for as
    // long as we do.
    static constexpr std::array<char, 5> kBadHandshake{1, 0, 0, 1, 0};
    error_code ignored;
    asio::write(*occupant_, asio::buffer(kBadHandshake), ignored);
    return;
  }
  occupant_.reset();
  spdlog::warn("frontend={} occupant=FAILED reason=\"no greeting from the server behind it\"",
               options_.frontend.to_string());
}

// HAProxy doesn't show its timeouts, but how long a queued connection may stay queued.
void Haproxy::check_queue_timeout() {
  if (is_queue_timeout_checked_ || !occupant_) return;
  is_queue_timeout_checked_ = true;
  const auto probe = dial();
  if (!probe) return;
  error_code error;
  const auto local = probe->local_endpoint(error);
  const Address source{local.address().to_string(error), local.port()};
  // HAProxy may not have accepted it yet; it isn't worth more than a few looks.
  for (int i = 0; i < 5; ++i) {
    const auto limit = parse_queued_for(command("show sess"), source);
    if (!limit) continue;
    if (*limit + seconds(1) < options_.pause) {
      spdlog::warn(
          "backend={} timeout_queue={}s pause={}s reason=\"connections that are held longer"
          " are refused: raise 'timeout queue'\"",
          options_.backend, limit->count(), options_.pause.count());
    }
    return;
  }
}

std::optional<tcp::socket> Haproxy::dial() {
  tcp::socket socket(io_);
  try {
    const Address frontend = resolve(options_.frontend);
    const tcp::endpoint endpoint(asio::ip::make_address(frontend.host), frontend.port);
    const bool is_connected =
        wait_for([&](auto done) { socket.async_connect(endpoint, done); }, options_.occupy_timeout);
    if (is_connected) return socket;
  } catch (const std::exception& error) {
    spdlog::warn("frontend={} error=\"{}\"", options_.frontend.to_string(), error.what());
  }
  return std::nullopt;
}

// Runs one operation, which must be over, or be cancelled with its socket, when this returns.
template <typename Started>
bool Haproxy::wait_for(Started start, milliseconds timeout) {
  const auto result = std::make_shared<error_code>(asio::error::timed_out);
  start([result](error_code error) { *result = error; });
  io_.restart();
  io_.run_for(timeout);
  return !*result;
}

}  // namespace active_master::agent
