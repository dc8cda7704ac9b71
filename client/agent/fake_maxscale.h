// For tests: MaxScale's REST API with one monitor, its servers, services and listeners. Answers
// have the shape of MaxScale 24.02's, and what it refuses is refused: a server's master can't be
// set or cleared while the monitor runs.
#pragma once

#include <atomic>
#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client/protocol/names.h"

namespace active_master::agent {

class FakeMaxscale {
 public:
  using Json = nlohmann::json;
  enum class Manner { kWell, kHangs, kGarbage };

  FakeMaxscale() {
    server("server1", 1, {"Master", "Running"});
    server("server2", 2, {"Slave", "Running"});
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeMaxscale() { stop(); }
  FakeMaxscale(const FakeMaxscale&) = delete;
  FakeMaxscale& operator=(const FakeMaxscale&) = delete;

  [[nodiscard]] Address address() const { return {"127.0.0.1", port_}; }
  void behave(Manner manner) { manner_ = manner; }
  void stop() {
    if (!thread_.joinable()) return;
    is_stopping_ = true;
    boost::asio::io_context io;
    boost::asio::ip::tcp::socket knock(io);
    boost::system::error_code ignored;
    knock.connect({boost::asio::ip::address_v4::loopback(), port_}, ignored);
    thread_.join();
    acceptor_.close(ignored);
  }

  // "server1=Master,Running server2=... monitor=Running listener1=Running"
  std::string state() {
    const std::lock_guard lock(mutex_);
    std::string text;
    for (const auto& [name, server] : servers_)
      text += name + "=" + joined(server.state, ",") + " ";
    text += monitor_ ? "monitor=Running" : "monitor=Stopped";
    for (const auto& [name, is_running] : listeners_)
      text += " " + name + (is_running ? "=Running" : "=Stopped");
    return text;
  }
  void set_parameter(const std::string& of, const std::string& name, const Json& value) {
    const std::lock_guard lock(mutex_);
    parameters_[of][name] = value;
  }
  void set_router(const std::string& router) {
    const std::lock_guard lock(mutex_);
    router_ = router;
  }
  void set_operations(const std::string& name, uint64_t count) {
    const std::lock_guard lock(mutex_);
    servers_[name].operations = count;
  }
  // What the monitor makes of the servers when it is started.
  void on_monitor_start(std::string master) {
    const std::lock_guard lock(mutex_);
    monitors_master_ = std::move(master);
  }
  [[nodiscard]] Json filters() {
    const std::lock_guard lock(mutex_);
    return filters_;
  }
  [[nodiscard]] Json service_filters() {
    const std::lock_guard lock(mutex_);
    return service_filters_;
  }
  void have_filter(const std::string& name) {
    const std::lock_guard lock(mutex_);
    filters_.push_back({{"id", name}, {"type", "filters"}});
    service_filters_.push_back({{"id", name}, {"type", "filters"}});
  }
  [[nodiscard]] int changes() {
    const std::lock_guard lock(mutex_);
    return changes_;
  }
  // What came along with changes, as its audit file shows it; then nothing of it is left.
  [[nodiscard]] std::set<std::string> bodies() {
    const std::lock_guard lock(mutex_);
    return std::exchange(bodies_, {});
  }

 private:
  struct Server {
    uint16_t port = 0;
    std::set<std::string> state;
    uint64_t operations = 0;
  };
  struct Reply {
    unsigned status = 200;
    Json body;
  };

  void server(const std::string& name, uint16_t port, std::set<std::string> state) {
    servers_[name] = {port, std::move(state), 0};
  }

  static std::string joined(const std::set<std::string>& words, const char* separator) {
    std::string text;
    for (const auto& word : words) text += (text.empty() ? "" : separator) + word;
    return text;
  }

  void serve() {
    namespace http = boost::beast::http;
    std::vector<boost::asio::ip::tcp::socket> hanging;
    while (true) {
      boost::asio::ip::tcp::socket socket(io_);
      boost::system::error_code error;
      acceptor_.accept(socket, error);
      if (is_stopping_) return;
      if (manner_ == Manner::kHangs) {
        hanging.push_back(std::move(socket));
        continue;
      }
      boost::beast::flat_buffer buffer;
      http::request<http::string_body> request;
      http::read(socket, buffer, request, error);
      if (error) continue;
      if (manner_ == Manner::kGarbage) {
        boost::asio::write(
            socket,
            boost::asio::buffer(std::string("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>")),
            error);
        continue;
      }
      const std::lock_guard lock(mutex_);
      const Reply reply = answer(request);
      http::response<http::string_body> response;
      response.result(reply.status);
      if (!reply.body.is_null()) response.body() = reply.body.dump();
      response.keep_alive(false);
      response.prepare_payload();
      http::write(socket, response, error);
    }
  }

  Reply answer(const boost::beast::http::request<boost::beast::http::string_body>& request) {
    if (request[boost::beast::http::field::authorization] != "Basic YWdlbnQ6c2VjcmV0")
      return {401, {}};  // agent:secret
    const std::string target(request.target());
    const std::string method(request.method_string());
    if (method == "GET") return get(target);
    ++changes_;
    if (method == "POST" && target == "/v1/filters") {
      filters_.push_back(Json::parse(request.body()).at("data"));
      return {204, {}};
    }
    if (method == "PATCH" && target == "/v1/services/writes/relationships/filters") {
      service_filters_ = Json::parse(request.body()).at("data");
      return {204, {}};
    }
    if (method == "PUT") {
      bodies_.insert(request.body());
      return put(target);
    }
    return error(404, "no such resource");
  }

  static Reply error(unsigned status, const std::string& text) {
    return {status, {{"errors", {{{"detail", text}}}}}};
  }

  Reply get(const std::string& target) {
    const auto data = [](Json json) { return Reply{200, {{"data", std::move(json)}}}; };
    if (target == "/v1/monitors/monitor") {
      Json names = Json::array();
      for (const auto& [name, server] : servers_)
        names.push_back({{"id", name}, {"type", "servers"}});
      return data({{"id", "monitor"},
                   {"attributes",
                    {{"module", "mariadbmon"},
                     {"state", monitor_ ? "Running" : "Stopped"},
                     {"parameters", parameters_["monitor"]}}},
                   {"relationships", {{"servers", {{"data", names}}}}}});
    }
    if (target == "/v1/servers") {
      Json all = Json::array();
      for (const auto& [name, server] : servers_) {
        all.push_back({{"id", name},
                       {"attributes",
                        {{"state", joined(server.state, ", ")},
                         {"parameters", {{"address", "127.0.0.1"}, {"port", server.port}}},
                         {"statistics", {{"active_operations", server.operations}}}}}});
      }
      return data(all);
    }
    if (target == "/v1/listeners") {
      Json all = Json::array();
      for (const auto& [name, is_running] : listeners_) {
        const char* service = name == "other" ? "others" : "writes";
        all.push_back({{"id", name},
                       {"attributes", {{"state", is_running ? "Running" : "Stopped"}}},
                       {"relationships",
                        {{"services", {{"data", {{{"id", service}, {"type", "services"}}}}}}}}});
      }
      return data(all);
    }
    if (target == "/v1/services/writes") {
      Json relationships = Json::object();
      if (!service_filters_.empty()) relationships["filters"]["data"] = service_filters_;
      return data({{"id", "writes"},
                   {"attributes", {{"router", router_}, {"parameters", parameters_["service"]}}},
                   {"relationships", relationships}});
    }
    if (target == "/v1/filters") return data(filters_);
    return error(404, "no such resource");
  }

  Reply put(const std::string& target) {
    const auto is = [&](const std::string& text) { return target == text; };
    if (is("/v1/monitors/monitor/stop")) return monitor_ = false, Reply{204, {}};
    if (is("/v1/monitors/monitor/start")) {
      monitor_ = true;
      if (!monitors_master_.empty()) {
        for (auto& [name, server] : servers_)
          server.state = {name == monitors_master_ ? "Master" : "Slave", "Running"};
      }
      return {204, {}};
    }
    for (auto& [name, is_running] : listeners_) {
      if (is("/v1/listeners/" + name + "/stop")) return is_running = false, Reply{204, {}};
      if (is("/v1/listeners/" + name + "/start")) return is_running = true, Reply{204, {}};
    }
    for (auto& [name, server] : servers_) {
      for (const auto& [word, state] : {std::pair("master", "Master"), {"slave", "Slave"}}) {
        const bool set = is("/v1/servers/" + name + "/set?state=" + word);
        if (!set && !is("/v1/servers/" + name + "/clear?state=" + word)) continue;
        if (monitor_)
          return error(400, "The server is monitored, so only maintenance status can be set");
        if (set) {
          server.state.insert(state);
        } else {
          server.state.erase(state);
        }
        return {204, {}};
      }
    }
    return error(404, "no such resource");
  }

  std::mutex mutex_;
  std::map<std::string, Server> servers_;
  std::map<std::string, bool> listeners_{{"listener1", true}, {"listener2", true}, {"other", true}};
  std::map<std::string, Json> parameters_{{"monitor", Json::object()},
                                          {"service", {{"transaction_replay", true}}}};
  std::string router_ = "readwritesplit";
  std::string monitors_master_;
  bool monitor_ = true;
  Json filters_ = Json::array();
  Json service_filters_ = Json::array();
  int changes_ = 0;
  std::set<std::string> bodies_;
  std::atomic<Manner> manner_ = Manner::kWell;
  std::atomic<bool> is_stopping_ = false;
  boost::asio::io_context io_;
  boost::asio::ip::tcp::acceptor acceptor_{io_, {boost::asio::ip::address_v4::loopback(), 0}};
  const uint16_t port_ = acceptor_.local_endpoint().port();
  std::thread thread_;
};

}  // namespace active_master::agent
