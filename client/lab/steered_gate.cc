#include "client/lab/steered_gate.h"

#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <future>
#include <memory>
#include <sstream>

namespace active_master::lab {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr std::chrono::seconds kDrainLimit{10};

}  // namespace

SteeredGate::SteeredGate() : acceptor_(io_, {asio::ip::address_v4::loopback(), 0}) {
  accept();
  thread_ = std::thread([this] { io_.run(); });
}

SteeredGate::~SteeredGate() {
  io_.stop();
  thread_.join();
}

// One script at a time, one line each.
void SteeredGate::accept() {
  acceptor_.async_accept([this](boost::system::error_code error, tcp::socket accepted) {
    if (error) return;
    const auto socket = std::make_shared<tcp::socket>(std::move(accepted));
    const auto text = std::make_shared<asio::streambuf>();
    asio::async_read_until(*socket, *text, '\n',
                           [this, socket, text](boost::system::error_code failed, size_t) {
                             std::string line;
                             std::istream in(text.get());
                             if (failed || !std::getline(in, line)) return;
                             const std::string answer = obey(line) + "\n";
                             asio::write(*socket, asio::buffer(answer), failed);
                           });
    accept();
  });
}

std::string SteeredGate::obey(const std::string& line) {
  std::istringstream words(line);
  std::string verb;
  std::string host;
  uint16_t port = 0;
  words >> verb;
  if (verb == "hold") {
    const auto empty = std::make_shared<std::promise<void>>();
    auto is_empty = empty->get_future();
    gate_.hold([empty] { empty->set_value(); });
    return is_empty.wait_for(kDrainLimit) == std::future_status::ready ? "ok" : "busy";
  }
  if (verb == "open" && words >> host >> port) {
    gate_.open({++openings_, "", {host, port}});
    return "ok";
  }
  return "what?";
}

}  // namespace active_master::lab
