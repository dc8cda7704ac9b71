#include "client/lab/strangers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <random>
#include <vector>

#include "client/protocol/frame.h"

namespace active_master::lab {
namespace {

using namespace std::chrono_literals;
using protocol::Frame;

constexpr size_t kCrowd = 10'000;
constexpr size_t kLorises = 300;     // more than one address may have at once
constexpr rlim_t kOwnFiles = 1'000;  // what else this process needs

class Visitor {
 public:
  explicit Visitor(uint16_t port)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    if (fd_ < 0) return;
    sockaddr_in from{};
    from.sin_family = AF_INET;
    ::inet_pton(AF_INET, "127.0.0.2", &from.sin_addr);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    is_open_ = ::bind(fd_, reinterpret_cast<sockaddr*>(&from), sizeof from) == 0 &&
               (::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0 ||
                errno == EINPROGRESS) &&
               waits_for(POLLOUT);
  }
  ~Visitor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Visitor(const Visitor&) = delete;
  Visitor& operator=(const Visitor&) = delete;

  [[nodiscard]] bool is_open() const { return is_open_; }
  void send(std::string_view bytes) {
    is_open_ = is_open_ && ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) >= 0;
  }
  // Reads what there is.
  [[nodiscard]] bool is_dropped() {
    char buffer[4096];
    ssize_t size = 0;
    while (is_open_ && (size = ::recv(fd_, buffer, sizeof buffer, 0)) > 0) {
    }
    if (size == 0 || errno != EAGAIN) is_open_ = false;
    return !is_open_;
  }
  [[nodiscard]] bool waits_for(short what) const {
    pollfd entry{fd_, what, 0};
    return ::poll(&entry, 1, 1000) == 1;
  }

 private:
  const int fd_;
  bool is_open_ = false;
};

std::string hello() {
  Frame frame;
  auto& hello = *frame.mutable_hello();
  hello.set_protocol_version(1);
  hello.set_cluster("lab");
  hello.set_name("node2");
  hello.set_kind(protocol::PEER_KIND_NODE);
  hello.set_nonce(std::string(32, 'n'));
  return protocol::encode(frame);
}

std::vector<std::string> frames_of_members() {
  std::vector<Frame> frames(6);
  frames[0].mutable_node_state()->set_node("node1");
  frames[0].mutable_node_state()->set_epoch(1'000'000);
  frames[1].mutable_proxy_state()->set_proxy("proxy1");
  frames[2].mutable_switch_request()->set_target("node2");
  frames[3].mutable_grant_request();
  frames[4].mutable_offer();
  frames[5].mutable_welcome()->set_node("node1");
  std::vector<std::string> all;
  for (const auto& frame : frames) {
    all.push_back(protocol::encode(frame));
    all.push_back(hello() + protocol::encode(frame));  // in place of the proof
  }
  return all;
}

// What the visitor number `n` says.
std::string speech(Manner manner, uint64_t n) {
  switch (manner) {
    case Manner::kGarbage: {
      if (n % 16 == 0) return "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
      std::minstd_rand random(static_cast<unsigned>(n));
      std::string bytes(64 + random() % 4000, '\0');
      for (char& c : bytes) c = static_cast<char>(random());
      bytes[0] = static_cast<char>(1 + n % 255);  // no small length, which would wait for more
      return bytes;
    }
    case Manner::kOversize: {
      static const std::string lengths[] = {{"\xff\xff\xff\xff", 4},
                                            {"\x7f\xff\xff\xff", 4},
                                            {"\x00\x04\x00\x01", 4},
                                            {"\x00\x00\x10\x01", 4}};
      return lengths[n % std::size(lengths)];
    }
    case Manner::kWrongState: {
      static const auto all = frames_of_members();
      return all[n % all.size()];
    }
    case Manner::kTls:  // the beginning of a ClientHello
      return std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) +
             std::string(506, 'r');
    case Manner::kHalfOpen: {
      const std::string first = hello();
      return n % 3 == 0 ? "" : first.substr(0, n % 3 == 1 ? 3 : first.size());
    }
    case Manner::kSlowLoris:
      return hello();  // byte by byte
  }
  return {};
}

// As many open files as this process may have; how many of them a crowd can take.
size_t crowd_size() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur > kOwnFiles + kCrowd ? kCrowd : std::max<size_t>(limit.rlim_cur, 2'000) / 2;
}

}  // namespace

std::string_view to_string(Manner manner) {
  switch (manner) {
    case Manner::kHalfOpen:
      return "half-open connections";
    case Manner::kSlowLoris:
      return "slow-loris";
    case Manner::kGarbage:
      return "garbage";
    case Manner::kOversize:
      return "oversize lengths";
    case Manner::kWrongState:
      return "valid frames in wrong states";
    case Manner::kTls:
      return "TLS to a plain port";
  }
  return "";
}

void Strangers::run(const std::stop_token& stop) {
  if (manner_ == Manner::kHalfOpen || manner_ == Manner::kSlowLoris) {
    crowd(stop);
  } else {
    visit(stop);
  }
}

// Many at once. Who is dropped makes room for the next one.
void Strangers::crowd(const std::stop_token& stop) {
  const bool trickles = manner_ == Manner::kSlowLoris;
  const size_t size = trickles ? kLorises : crowd_size();
  std::deque<Visitor> visitors;
  size_t looked_at = 0;
  for (uint64_t n = 0; !stop.stop_requested(); ++n) {
    while (visitors.size() >= size) {
      dropped_ += visitors.front().is_dropped() ? 1 : 0;
      visitors.pop_front();
    }
    Visitor& visitor = visitors.emplace_back(port_);
    if (!visitor.is_open()) {
      visitors.pop_back();
      std::this_thread::sleep_for(1ms);
      continue;
    }
    ++connections_;
    most_at_once_ = std::max<uint64_t>(most_at_once_, visitors.size());
    if (!trickles) {
      visitor.send(speech(manner_, n));
      continue;
    }
    // One byte of each visitor in turn, a few for each that comes.
    for (int i = 0; i < 8; ++i) {
      looked_at = (looked_at + 1) % visitors.size();
      const std::string text = speech(manner_, 0);
      visitors[looked_at].send(text.substr(n % text.size(), 1));
    }
    std::this_thread::sleep_for(1ms);
  }
}

// One after the other, each until it is dropped.
void Strangers::visit(const std::stop_token& stop) {
  most_at_once_ = 1;
  for (uint64_t n = 0; !stop.stop_requested(); ++n) {
    Visitor visitor(port_);
    if (!visitor.is_open()) {
      std::this_thread::sleep_for(1ms);
      continue;
    }
    ++connections_;
    visitor.send(speech(manner_, n));
    while (!stop.stop_requested() && !visitor.is_dropped()) (void)visitor.waits_for(POLLIN);
    dropped_ += visitor.is_open() ? 0 : 1;
  }
}

}  // namespace active_master::lab
