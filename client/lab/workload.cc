#include "client/lab/workload.h"

#include <mysqld_error.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>
#include <algorithm>

#include "client/lab/wait.h"
#include "client/subscriber/subscriber.h"
#include "client/subscriber/traffic_gate.h"

namespace active_master::lab {
namespace {

using namespace std::chrono_literals;

constexpr auto kGateLimit = 30s;
constexpr auto kRetryPause = 2ms;  // after an error, as a pool does

// The node gave the role away before the statement began, refused it, and closes the connection.
bool sent_away(const sql::Error& error) {
  return error.number() == ER_SERVER_SHUTDOWN &&
         std::string_view(error.what()).find("active_master: ") != std::string_view::npos;
}

}  // namespace

// One writer: its numbers, and what it saw. For its own thread only, until that has ended.
class Workload::Client {
 public:
  Client(uint32_t number, const WorkloadOptions& options, std::atomic<uint64_t>& acknowledged)
      : number_(number), options_(options), acknowledged_(acknowledged) {}

  // One write. Leaves no connection if it isn't fit for another one.
  void write() {
    Write write = begin();
    const bool is_autocommit = write.sequence % 2 == 0;
    const bool has_variable = options_.statements == Statements::kUserVariables;
    const std::string insert =
        std::string("INSERT INTO lab.writes (client, sequence, server_id") +
        (options_.row_bytes != 0 ? ", pad" : "") + ") VALUES (" + std::to_string(number_) + ", " +
        (has_variable ? "@sequence" : std::to_string(write.sequence)) + ", @@server_id" +
        (options_.row_bytes != 0 ? ", '" + std::string(options_.row_bytes, 'x') + "')" : ")");
    // What is lost with the connection: at BEGIN nothing, at the INSERT of a transaction nothing
    // that counts (it is rolled back), at an autocommit INSERT and at COMMIT the answer.
    bool decides = false;
    write.stage = Stage::kBegin;
    try {
      if (has_variable) connection->execute("SET @sequence = " + std::to_string(write.sequence));
      decides = is_autocommit;
      if (is_autocommit) write.stage = Stage::kAutocommit;
      if (!is_autocommit) {
        connection->execute("BEGIN");
        write.stage = Stage::kInside;
      }
      connection->execute(insert);
      if (!is_autocommit) {
        if (options_.lasts.count() > 0) std::this_thread::sleep_for(options_.lasts);
        decides = true;
        connection->execute("COMMIT");
      }
      end(std::move(write));
      ++acknowledged_;
    } catch (const sql::Error& error) {
      if (error.connection_lost() || write.stage == Stage::kInside) connection.reset();
      write.answer = decides && error.connection_lost() && !sent_away(error) ? Answer::kUnknown
                                                                             : Answer::kError;
      fail(std::move(write), error.number(), error.what());
    }
  }

  void failed(Stage stage, unsigned error, const std::string& text) {
    Write write = begin();
    write.stage = stage;
    write.answer = Answer::kError;
    fail(std::move(write), error, text);
  }

  [[nodiscard]] uint32_t number() const { return number_; }
  std::vector<Write> take() { return std::move(writes_); }

  std::optional<sql::Connection> connection;
  // Where it leads: known to a writer through a gate.
  Address connected_to;

 private:
  Write begin() {
    Write write;
    write.client = number_;
    write.sequence = ++sequence_;
    write.start_us = now_us();
    return write;
  }

  void end(Write write) {
    write.end_us = now_us();
    writes_.push_back(std::move(write));
  }

  void fail(Write write, unsigned error, const std::string& text) {
    write.error = error;
    write.text = text;
    end(std::move(write));
    std::this_thread::sleep_for(kRetryPause);
  }

  const uint32_t number_;
  const WorkloadOptions& options_;
  uint64_t sequence_ = 0;
  std::vector<Write> writes_;
  std::atomic<uint64_t>& acknowledged_;
};

// The process's subscription and the gate that it opens and closes.
class Workload::Gate {
 public:
  explicit Gate(const Cluster& cluster)
      : handler_(gate_),
        subscriber_({.name = "gate1",
                     .cluster = std::string(kClusterName),
                     .nodes = cluster.plugin_addresses(),
                     .credentials = {.secret = cluster.secret_file()}},
                    handler_) {
    // The library's log, which would go to standard output.
    spdlog::set_default_logger(std::make_shared<spdlog::logger>(
        "gate1", std::make_shared<spdlog::sinks::basic_file_sink_mt>(
                     (cluster.directory() / "gate.log").string())));
    handler_.answer_to(subscriber_);
    subscriber_.start();
  }
  ~Gate() { subscriber_.stop(); }

  [[nodiscard]] client::TrafficGate& operator*() { return gate_; }

 private:
  client::TrafficGate gate_;
  client::GateHandler handler_;
  client::Subscriber subscriber_;
};

Workload::Workload(Cluster& cluster, const WorkloadOptions& options) : options_(options) {
  if (options.via == Via::kGate) {
    if (options.gate == nullptr) own_gate_ = std::make_unique<Gate>(cluster);
    gate_ = own_gate_ ? &**own_gate_ : options.gate;
    account_.user = kAppUser;
    account_.password = kAppPassword;
    account_.connect_timeout = std::min(account_.connect_timeout, options.patience);
  } else {
    account_ = cluster.through_proxy();
    if (options.port != 0) account_.port = options.port;
  }
  account_.read_timeout = options.patience;
  for (int i = 0; i < options.writers; ++i) {
    Client& client = *clients_.emplace_back(std::make_unique<Client>(
        options_.first_client + static_cast<uint32_t>(i), options_, acknowledged_));
    threads_.emplace_back([this, i, &client] {
      // By the clock, the clients' writes are spread evenly, also after a hold, and what was held
      // is not made up for.
      auto next = std::chrono::steady_clock::now() + options_.every * i / options_.writers;
      while (!stopping_) {
        if (options_.every.count() > 0) {
          std::this_thread::sleep_until(next);
          do next += options_.every;
          while (next < std::chrono::steady_clock::now());
        }
        if (options_.via == Via::kGate) {
          write_through_gate(client);
        } else {
          write_through_proxy(client);
        }
        if (options_.think.count() > 0) std::this_thread::sleep_for(options_.think);
      }
    });
  }
}

Workload::~Workload() {
  stop_writers();
}

void Workload::stop_writers() {
  stopping_ = true;
  threads_.clear();
}

void Workload::stop(History& history) {
  stop_writers();
  for (const auto& client : clients_) {
    if (options_.via == Via::kGate) history.strict_clients.insert(client->number());
    std::vector<Write> writes = client->take();
    history.writes.insert(history.writes.end(), std::make_move_iterator(writes.begin()),
                          std::make_move_iterator(writes.end()));
  }
  clients_.clear();
}

bool Workload::wait_for_writes(uint64_t count, std::chrono::milliseconds limit) const {
  const uint64_t enough = acknowledged_ + count;
  return wait_until(limit, [this, enough] { return acknowledged_ >= enough; });
}

void Workload::write_through_proxy(Client& client) const {
  if (!client.connection) {
    try {
      client.connection.emplace(account_);
    } catch (const sql::Error& error) {
      client.failed(Stage::kConnect, error.number(), error.what());
      return;
    }
  }
  client.write();
}

void Workload::write_through_gate(Client& client) const {
  // In short steps, so that stop() doesn't wait for a gate that stays closed.
  const auto deadline = std::chrono::steady_clock::now() + kGateLimit;
  std::optional<client::TrafficGate::Pass> pass;
  while (!(pass = gate_->enter(100ms))) {
    if (stopping_) return;
    if (std::chrono::steady_clock::now() >= deadline) {
      client.failed(Stage::kGate, 0, "the gate was held for too long");
      return;
    }
  }
  const Address& address = pass->route().sql_address;
  if (!client.connection || client.connected_to != address) {
    sql::Options options = account_;
    options.host = address.host;
    options.port = address.port;
    client.connection.reset();
    try {
      client.connection.emplace(options);
      client.connected_to = address;
    } catch (const sql::Error& error) {
      client.failed(Stage::kConnect, error.number(), error.what());
      return;
    }
  }
  client.write();
}

}  // namespace active_master::lab
