// For tests: a real HAProxy, and servers that greet first, as MariaDB does.
#pragma once

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <boost/asio.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "client/agent/haproxy.h"
#include "client/subscriber/fake_node.h"

namespace active_master::agent {

using boost::asio::ip::tcp;

// A child process, ended by its pid whatever becomes of the test.
class Process {
 public:
  explicit Process(const std::vector<std::string>& arguments) {
    std::vector<char*> argv;
    for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    close_range(3, ~0U, 0);  // or ports of the test would stay open with the child
    execv(argv[0], argv.data());
    _exit(127);
  }
  ~Process() { stop(SIGKILL); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  [[nodiscard]] bool is_running() {
    int status = 0;
    return pid_ > 0 && waitpid(pid_, &status, WNOHANG) == 0;
  }

  void signal(int number) const {
    if (pid_ > 0) kill(pid_, number);
  }

  // Its exit status, when it ends by itself.
  int wait() { return stop(0); }

  // Its exit status, or minus the signal that ended it.
  int stop(int signal) {
    if (pid_ <= 0) return 0;
    kill(pid_, signal);
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  pid_t pid_ = -1;
};

// Greets each connection with its name and a newline, then reads until the client leaves.
class GreetingServer {
 public:
  explicit GreetingServer(std::string name) : greeting_(std::move(name) + "\n") {
    accept();
    thread_ = std::thread([this] { io_.run(); });
  }
  ~GreetingServer() { stop(); }

  [[nodiscard]] Address address() const { return {"127.0.0.1", port_}; }
  [[nodiscard]] int accepted() const { return accepted_; }
  [[nodiscard]] int connected() const { return connected_; }

  void close_all() {
    boost::asio::post(io_, [this] { sessions_.clear(); });
  }
  // As a crash: its connections end, and nobody listens any more.
  void stop() {
    io_.stop();
    if (thread_.joinable()) thread_.join();
    sessions_.clear();
    boost::system::error_code ignored;
    acceptor_.close(ignored);
  }

 private:
  struct Session {
    explicit Session(tcp::socket s) : socket(std::move(s)) {}
    tcp::socket socket;
    std::array<char, 256> buffer{};
  };

  void accept() {
    acceptor_.async_accept([this](boost::system::error_code error, tcp::socket accepted) {
      if (error) return;
      ++accepted_;
      ++connected_;
      const auto session = sessions_.emplace(sessions_.end(), std::move(accepted));
      boost::asio::write(session->socket, boost::asio::buffer(greeting_), error);
      read(session);
      accept();
    });
  }

  // Until the client leaves; what it says is of no interest.
  void read(std::list<Session>::iterator session) {
    session->socket.async_read_some(boost::asio::buffer(session->buffer),
                                    [this, session](boost::system::error_code error, size_t) {
                                      if (!error) return read(session);
                                      --connected_;
                                      if (error != boost::asio::error::operation_aborted) {
                                        sessions_.erase(session);
                                      }
                                    });
  }

  const std::string greeting_;
  boost::asio::io_context io_;
  tcp::acceptor acceptor_{io_, {boost::asio::ip::address_v4::loopback(), 0}};
  const uint16_t port_ = acceptor_.local_endpoint().port();
  std::list<Session> sessions_;
  std::atomic<int> accepted_ = 0;
  std::atomic<int> connected_ = 0;
  std::thread thread_;
};

// A client connection; what it was greeted with tells where it ended up.
class Client {
 public:
  explicit Client(const Address& to) : socket_(io_) {
    boost::system::error_code error;
    socket_.connect({boost::asio::ip::make_address(to.host), to.port}, error);
    if (error) heard_ = "refused";
    socket_.non_blocking(true, error);
  }

  // What has arrived so far: the greeting, "" while it is held, or "closed".
  const std::string& look() {
    std::array<char, 64> buffer;
    boost::system::error_code error;
    const size_t size = socket_.read_some(boost::asio::buffer(buffer), error);
    if (error == boost::asio::error::would_block || heard_ == "refused") return heard_;
    if (error) {
      heard_ = "closed";
    } else {
      heard_.append(buffer.data(), buffer[size - 1] == '\n' ? size - 1 : size);
    }
    return heard_;
  }
  // The first that it hears.
  [[nodiscard]] std::string greeting() {
    return eventually([&] { return !look().empty(); }) ? heard_ : "nothing";
  }
  [[nodiscard]] bool eventually_hears(const std::string& what) {
    return eventually([&] { return look() == what; });
  }

 private:
  boost::asio::io_context io_;
  tcp::socket socket_;
  std::string heard_;
};

// A HAProxy with one TCP backend `be` and in it the server `s1`. `more` is added to its
// configuration.
class TestHaproxy {
 public:
  explicit TestHaproxy(const Address& server, const std::string& server_options = "",
                       const std::string& backend_options = "", const std::string& more = "")
      : more_(more) {
    std::string directory = std::filesystem::temp_directory_path() / "agent_test.XXXXXX";
    if (mkdtemp(directory.data()) == nullptr) std::abort();
    directory_ = directory;
    // Another process may take the free port before HAProxy does.
    for (int i = 0; i < 10; ++i) {
      frontend_ = {"127.0.0.1", free_port()};
      start(server, server_options, backend_options);
      if (eventually([&] { return is_up() || !process_->is_running(); }) && is_up()) return;
    }
    ADD_FAILURE() << "HAProxy doesn't start";
  }
  ~TestHaproxy() {
    process_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  [[nodiscard]] Haproxy::Options options() const {
    Haproxy::Options options;
    options.socket = directory_ / "admin";
    options.backend = "be";
    options.server = "s1";
    options.frontend = frontend_;
    return options;
  }
  [[nodiscard]] const Address& frontend() const { return frontend_; }
  [[nodiscard]] std::string command(const std::string& line) const {
    return Haproxy(options()).command(line);
  }
  [[nodiscard]] std::string stat(const std::string& row, const std::string& column) const {
    for (const auto& found : parse_stat(command("show stat"))) {
      if (found.at("pxname") == "be" && found.at("svname") == row) return found.at(column);
    }
    return "no such row";
  }
  // For any server, or for this one: a connection that saw it free a moment too late.
  [[nodiscard]] int queued() const {
    return std::stoi(stat("BACKEND", "qcur")) + std::stoi(stat("s1", "qcur"));
  }
  [[nodiscard]] const std::filesystem::path& directory() const { return directory_; }
  // As `systemctl reload`: a new worker with what the file says, the old one ends with its
  // sessions.
  void reload() {
    const std::string before = process_id();
    process_->signal(SIGUSR2);
    EXPECT_TRUE(eventually([&] { return is_up() && process_id() != before; }));
  }
  void stop() { process_.reset(); }
  void restart() {
    stop();
    process_ = std::make_unique<Process>(arguments());
    EXPECT_TRUE(eventually([&] { return is_up(); }));
  }

 private:
  void start(const Address& server, const std::string& server_options,
             const std::string& backend_options) {
    std::ofstream(directory_ / "haproxy.cfg")
        << "global\n  stats socket " << options().socket << " level admin\n  nbthread 2\n"
        << "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n"
        << "  timeout queue 10m\n  retries 600\n  option redispatch 1\n"
        << "frontend fe\n  bind " << frontend_.to_string() << "\n  default_backend be\n"
        << "backend be\n"
        << backend_options << "\n  server s1 " << server.to_string() << " " << server_options
        << "\n"
        << more_ << "\n";
    process_ = std::make_unique<Process>(arguments());
  }
  [[nodiscard]] std::vector<std::string> arguments() const {
    const char* other = std::getenv("HAPROXY_BIN");  // as another version
    return {other != nullptr ? other : HAPROXY, "-W", "-q", "-f", directory_ / "haproxy.cfg"};
  }
  [[nodiscard]] bool is_up() const {
    try {
      return !command("show info").empty();
    } catch (const Failure&) {
      return false;
    }
  }

  // Of the worker that answers.
  [[nodiscard]] std::string process_id() const {
    const std::string info = command("show info");
    const auto at = info.find("\nPid: ");
    return info.substr(at, info.find('\n', at + 1) - at);
  }

  const std::string more_;
  std::filesystem::path directory_;
  Address frontend_;
  std::unique_ptr<Process> process_;
};

}  // namespace active_master::agent
