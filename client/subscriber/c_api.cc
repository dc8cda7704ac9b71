// The plain C interface over Subscriber and TrafficGate.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "client/protocol/credentials.h"
#include "client/subscriber/active_master.h"
#include "client/subscriber/subscriber.h"
#include "client/subscriber/traffic_gate.h"

namespace client = active_master::client;

namespace {

// Shared with each pass: one that is given back late still finds its gate.
struct Inside {
  explicit Inside(client::Subscriber::Options options)
      : handler(gate), subscriber(std::move(options), handler) {
    handler.answer_to(subscriber);
    subscriber.start();
  }
  ~Inside() { subscriber.stop(); }

  client::TrafficGate gate;
  client::GateHandler handler;
  client::Subscriber subscriber;
};

void copy(std::string_view text, char* to, size_t size) {
  if (to == nullptr || size == 0) return;
  const size_t length = std::min(text.size(), size - 1);
  std::memcpy(to, text.data(), length);
  to[length] = '\0';
}

void copy(const client::Route& route, active_master_route* to) {
  if (to == nullptr) return;
  to->epoch = route.epoch;
  copy(route.node, to->node, sizeof to->node);
  copy(route.sql_address.host, to->host, sizeof to->host);
  to->port = route.sql_address.port;
}

// What is wrong with the options, or the options as the library has them.
std::string take(const active_master_options& from, client::Subscriber::Options& to) {
  const auto text = [](const char* value) { return std::string(value == nullptr ? "" : value); };
  if (from.size < sizeof from) return "size must be sizeof(active_master_options)";
  to.name = text(from.name);
  if (!active_master::is_valid_name(to.name)) {
    return "name must be 1 to 64 letters, digits, '_', '.' or '-', beginning with a letter or "
           "digit";
  }
  if (from.cluster != nullptr) to.cluster = from.cluster;
  if (!active_master::is_valid_name(to.cluster)) return "cluster is no valid name";
  std::string error;
  const auto nodes = active_master::parse_named_addresses(text(from.nodes), error);
  if (!nodes) return "nodes: " + error;
  if (nodes->empty()) return "nodes must name every node of the cluster, as name=host:port";
  to.nodes = *nodes;
  to.driver = "library";
  to.credentials = {text(from.secret_file), text(from.tls_ca), text(from.tls_cert),
                    text(from.tls_key), text(from.tls_crl)};
  if (!active_master::protocol::Credentials::load(to.credentials, error)) return error;
  const auto duration = [](uint32_t value, auto& target) {
    if (value != 0) target = std::chrono::milliseconds(value);
  };
  duration(from.heartbeat_ms, to.heartbeat);
  duration(from.peer_timeout_ms, to.peer_timeout);
  duration(from.startup_wait_ms, to.startup_wait);
  return {};
}

// Nothing may be thrown into a caller that isn't C++.
template <typename Call>
int guarded(Call call) noexcept {
  try {
    return call();
  } catch (...) {
    return ACTIVE_MASTER_FAILED;
  }
}

}  // namespace

struct active_master_client {
  std::shared_ptr<Inside> inside;
};

struct active_master_pass {
  std::shared_ptr<Inside> inside;  // outlives the pass
  client::TrafficGate::Pass pass;
};

int active_master_create(const active_master_options* options, active_master_client** result,
                         char* error, size_t error_size) {
  copy("", error, error_size);
  return guarded([&] {
    client::Subscriber::Options checked;
    const std::string wrong = options == nullptr || result == nullptr
                                  ? "options and result can't be NULL"
                                  : take(*options, checked);
    copy(wrong, error, error_size);
    if (!wrong.empty()) return int{ACTIVE_MASTER_INVALID};
    *result = new active_master_client{std::make_shared<Inside>(std::move(checked))};
    return int{ACTIVE_MASTER_OK};
  });
}

int active_master_enter(active_master_client* cluster, uint32_t timeout_ms,
                        active_master_pass** pass, active_master_route* route) {
  if (cluster == nullptr || pass == nullptr) return ACTIVE_MASTER_INVALID;
  *pass = nullptr;
  return guarded([&] {
    const auto inside = cluster->inside;
    auto entered = inside->gate.enter(std::chrono::milliseconds(timeout_ms));
    if (!entered) return int{ACTIVE_MASTER_TIMEOUT};
    copy(entered->route(), route);
    *pass = new active_master_pass{inside, std::move(*entered)};
    return int{ACTIVE_MASTER_OK};
  });
}

void active_master_leave(active_master_pass* pass) {
  if (pass == nullptr) return;
  const auto inside = pass->inside;
  delete pass;
}

int active_master_current(active_master_client* cluster, active_master_route* route) {
  if (route == nullptr) return ACTIVE_MASTER_INVALID;
  active_master_pass* pass = nullptr;
  const int code = active_master_enter(cluster, 0, &pass, route);
  active_master_leave(pass);
  return code;
}

int active_master_last_error(active_master_client* cluster, char* text, size_t size) {
  if (cluster == nullptr || text == nullptr) return ACTIVE_MASTER_INVALID;
  return guarded([&] {
    copy(cluster->inside->subscriber.snapshot().proxy_state.last_error(), text, size);
    return int{ACTIVE_MASTER_OK};
  });
}

int active_master_log_level(const char* level) {
  constexpr std::string_view kLevels[] = {"debug", "info", "warning", "error", "off"};
  if (level == nullptr || std::ranges::count(kLevels, level) == 0) return ACTIVE_MASTER_INVALID;
  return guarded([&] {
    spdlog::set_level(spdlog::level::from_str(level));
    return int{ACTIVE_MASTER_OK};
  });
}

void active_master_destroy(active_master_client* cluster) {
  if (cluster == nullptr) return;
  cluster->inside->subscriber.stop();
  delete cluster;
}

const char* active_master_text(int code) {
  switch (code) {
    case ACTIVE_MASTER_OK:
      return "done";
    case ACTIVE_MASTER_TIMEOUT:
      return "traffic is held: no active master is known, or a switchover is going on";
    case ACTIVE_MASTER_INVALID:
      return "an argument makes no sense";
    case ACTIVE_MASTER_FAILED:
      return "out of memory or threads";
    default:
      return "unknown code";
  }
}
