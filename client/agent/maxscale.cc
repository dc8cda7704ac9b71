#include "client/agent/maxscale.h"

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/core/detail/base64.hpp>
#include <boost/beast/http.hpp>
#include <nlohmann/json.hpp>
#include <optional>

#include "client/agent/server_address.h"
#include "client/agent/statement.h"

namespace active_master::agent {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using Json = nlohmann::json;

constexpr const char* kFilter = "active-master-statement";

std::string base64(const std::string& text) {
  std::string result(beast::detail::base64::encoded_size(text.size()), '\0');
  result.resize(beast::detail::base64::encode(result.data(), text.data(), text.size()));
  return result;
}

}  // namespace

// --- The REST API ---

void Maxscale::fail(const std::string& what) const {
  throw Failure("MaxScale at " + options_.rest.to_string() + ": " + what);
}

Json Maxscale::request(const char* method, const std::string& path, const std::string& body) const {
  asio::io_context io;
  asio::ip::tcp::resolver resolver(io);
  beast::tcp_stream stream(io);
  http::request<http::string_body> question{http::string_to_verb(method), path, 11};
  question.set(http::field::host, options_.rest.host);
  question.set(http::field::authorization,
               "Basic " + base64(options_.account.user + ":" + options_.account.password));
  question.set(http::field::content_type, "application/json");
  question.keep_alive(false);
  question.body() = body;
  question.prepare_payload();

  beast::flat_buffer buffer;
  http::response<http::string_body> answer;
  error_code result = asio::error::timed_out;
  const auto done = [&](error_code error) { result = error; };
  resolver.async_resolve(options_.rest.host, std::to_string(options_.rest.port),
                         [&](error_code error, const auto& endpoints) {
                           if (error) return done(error);
                           stream.async_connect(endpoints, [&](error_code failed, const auto&) {
                             if (failed) return done(failed);
                             http::async_write(stream, question, [&](error_code unsent, size_t) {
                               if (unsent) return done(unsent);
                               http::async_read(stream, buffer, answer,
                                                [&](error_code ended, size_t) { done(ended); });
                             });
                           });
                         });
  io.run_for(options_.command_timeout);
  const std::string what = std::string(method) + " " + path;
  if (result) {
    fail("no answer to " + what + " (" + result.message() +
         "): is it running, and is this its admin_port?");
  }
  if (answer.result() == http::status::unauthorized) {
    fail(
        "the user or password is wrong: make one with 'maxctrl create user NAME PASSWORD "
        "--type=admin'");
  }
  if (http::to_status_class(answer.result()) != http::status_class::successful) {
    fail(what + " was answered by " + std::to_string(answer.result_int()) + " " +
         error_text(answer.body()));
  }
  if (answer.body().empty()) return {};
  Json json = Json::parse(answer.body(), nullptr, false);
  if (json.is_discarded()) fail(what + " was answered by what is no JSON: is this its admin_port?");
  return json;
}

Json Maxscale::get(const std::string& path) const {
  return request("GET", path);
}

void Maxscale::put(const std::string& path) const {
  (void)request("PUT", path, note_);
}

// As text, since the id has 64 bits.
void Maxscale::note(uint64_t epoch) {
  note_ =
      Json{{"active_master", {{"epoch", epoch}, {"switchover_id", std::to_string(switchover_id_)}}}}
          .dump();
}

Maxscale::Seen Maxscale::read() const {
  const Json monitor = get("/v1/monitors/" + options_.monitor);
  std::string rival;
  Seen seen;
  try {
    rival = rival_in(monitor);
    seen = parse_seen(monitor, get("/v1/servers"), get("/v1/listeners"), options_.services);
  } catch (const Json::exception& error) {
    fail(std::string("its answers aren't as expected: ") + error.what());
  }
  if (!rival.empty()) {
    fail("monitor " + options_.monitor + " has " + rival +
         ", which works against active_master: 'maxctrl alter monitor " + options_.monitor + " " +
         rival + " false'");
  }
  return seen;
}

void Maxscale::set_state(const Server& server, const char* what, bool on) const {
  put("/v1/servers/" + server.name + (on ? "/set" : "/clear") + "?state=" + what);
}

void Maxscale::run_listeners(const Seen& seen, bool on) const {
  for (const auto& listener : seen.listeners) {
    if (listener.is_running != on) {
      put("/v1/listeners/" + listener.name + (on ? "/start" : "/stop"));
    }
  }
}

void Maxscale::run_monitor(const Seen& seen, bool on) const {
  if (seen.is_monitor_running != on) {
    put("/v1/monitors/" + options_.monitor + (on ? "/start" : "/stop"));
  }
}

// --- The driver ---

void Maxscale::hold(const client::Hold& hold) {
  switchover_id_ = hold.switchover_id;
  note(hold.epoch);
  const auto is_held = [](const Seen& seen) {
    return !seen.is_monitor_running &&
           std::ranges::none_of(seen.listeners, &Listener::is_running) &&
           std::ranges::none_of(seen.servers, [](const auto& s) { return s.is("Master"); });
  };
  const Seen seen = read();
  if (is_held(seen)) return;
  run_listeners(seen, false);
  run_monitor(seen, false);
  held_at_.clear();
  for (const auto& server : seen.servers) {
    if (!server.is("Master")) continue;
    held_at_.insert(server.name);
    set_state(server, "master", false);
  }
  if (!is_held(read())) fail("traffic isn't held: does another program steer it?");
}

uint64_t Maxscale::running() {
  uint64_t sum = 0;
  for (const auto& server : read().servers) {
    if (held_at_.contains(server.name)) sum += server.active_operations;
  }
  return sum;
}

void Maxscale::open(const Target& target) {
  note(target.epoch);
  const auto is_target = [&](const Server& server) {
    return is_same_server(server.address, target.active.address);
  };
  const auto is_open = [&](const Seen& seen) {
    return seen.is_monitor_running && std::ranges::all_of(seen.listeners, &Listener::is_running) &&
           std::ranges::all_of(seen.servers,
                               [&](const auto& s) { return s.is("Master") == is_target(s); });
  };
  const Seen seen = read();
  const auto active = std::ranges::find_if(seen.servers, is_target);
  if (active == seen.servers.end()) {
    fail("monitor " + options_.monitor + " has no server at " + target.active.address.to_string() +
         ", where the active master " + target.active.name + " is: 'maxctrl create server " +
         target.active.name + " " + target.active.address.host + " " +
         std::to_string(target.active.address.port) + " --monitors " + options_.monitor + "'");
  }
  if (!is_open(seen)) {
    run_monitor(seen, false);
    for (const auto& server : seen.servers) {
      if (server.is("Master") && !is_target(server)) set_state(server, "master", false);
    }
    if (!active->is("Master")) set_state(*active, "master", true);
    if (active->is("Slave")) set_state(*active, "slave", false);
    run_listeners(seen, true);
    put("/v1/monitors/" + options_.monitor + "/start");
    if (!is_open(read())) {
      fail("traffic isn't open at " + active->name + " alone: does monitor " + options_.monitor +
           " or another program take another server for the master?");
    }
    held_at_.clear();
    switchover_id_ = 0;
  }
  if (options_.install_statement && !is_statement_installed_) install_statement();
}

std::vector<std::string> Maxscale::check() {
  std::vector<std::string> advice;
  (void)read();
  for (const auto& name : options_.services) {
    const Json service = get("/v1/services/" + name);
    try {
      const auto& attributes = service.at("data").at("attributes");
      const auto& parameters = attributes.at("parameters");
      if (attributes.at("router") != "readwritesplit") {
        advice.push_back(
            "service " + name + " has router " + attributes.at("router").get<std::string>() +
            ", which can't keep statements back: its sessions wait at the active master's own"
            " gate, and are closed when the role has moved");
      } else if (!is_on(parameters, "delayed_retry") && !is_on(parameters, "transaction_replay")) {
        advice.push_back("service " + name +
                         " closes sessions that write while traffic is held: 'maxctrl"
                         " alter service " +
                         name + " transaction_replay true'");
      }
    } catch (const Json::exception& error) {
      fail(std::string("its answers aren't as expected: ") + error.what());
    }
  }
  return advice;
}

// A filter that rewrites the statement, before the filters that each service has.
void Maxscale::install_statement() {
  try {
    bool is_there = false;
    const Json filters_there = get("/v1/filters");
    for (const auto& filter : filters_there.at("data")) is_there |= filter.at("id") == kFilter;
    if (!is_there) {
      const Json filter{{"data",
                         {{"id", kFilter},
                          {"type", "filters"},
                          {"attributes",
                           {{"module", "regexfilter"},
                            {"parameters",
                             {{"match", kMaxscaleStatement.match},
                              {"replace", kMaxscaleStatement.replace},
                              {"options", "ignorecase"}}}}}}}};
      (void)request("POST", "/v1/filters", filter.dump());
    }
    for (const auto& name : options_.services) {
      const Json service = get("/v1/services/" + name);
      Json filters = Json::array({{{"id", kFilter}, {"type", "filters"}}});
      const auto& relationships = service.at("data").at("relationships");
      if (relationships.contains("filters")) {
        for (const auto& filter : relationships.at("filters").at("data")) {
          if (filter.at("id") != kFilter) filters.push_back(filter);
        }
        if (filters.size() == relationships.at("filters").at("data").size()) continue;
      }
      (void)request("PATCH", "/v1/services/" + name + "/relationships/filters",
                    Json{{"data", filters}}.dump());
    }
  } catch (const Json::exception& error) {
    fail(std::string("its answers aren't as expected: ") + error.what());
  }
  is_statement_installed_ = true;
}

}  // namespace active_master::agent
