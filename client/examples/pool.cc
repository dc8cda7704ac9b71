// A connection pool that takes part in switchovers: pool NAME CLUSTER NODES USER PASSWORD
//
// Who borrows a connection gets one to the active master, and is inside the gate until it is given
// back. A switchover waits for that, and nobody ever holds a connection to the wrong server.
#include <mysql.h>

#include <client/subscriber/subscriber.h>
#include <client/subscriber/traffic_gate.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace am = active_master;

class Pool {
 public:
  struct Close {
    void operator()(MYSQL* connection) const { mysql_close(connection); }
  };
  using Connection = std::unique_ptr<MYSQL, Close>;

  // One transaction: a connection, and the right to use it.
  class Loan {
   public:
    Loan(Pool& pool, am::client::TrafficGate::Pass pass)
        : pool_(pool), pass_(std::move(pass)), connection_(pool_.take(pass_.route())) {}
    ~Loan() { pool_.give_back(std::move(connection_), pass_.route()); }
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;

    MYSQL* operator*() const { return connection_.get(); }

   private:
    Pool& pool_;
    const am::client::TrafficGate::Pass pass_;  // left last, when the connection is idle again
    Connection connection_;
  };

  Pool(am::client::Subscriber::Options options, std::string user, std::string password)
      : user_(std::move(user)),
        password_(std::move(password)),
        handler_(gate_),
        subscriber_(std::move(options), handler_) {
    handler_.answer_to(subscriber_);
    subscriber_.start();
  }
  ~Pool() { subscriber_.stop(); }

  // Waits while a switchover is going on.
  std::unique_ptr<Loan> borrow(std::chrono::milliseconds timeout) {
    auto pass = gate_.enter(timeout);
    if (!pass)
      throw std::runtime_error("no active master: " +
                               subscriber_.snapshot().proxy_state.last_error());
    return std::make_unique<Loan>(*this, std::move(*pass));
  }

 private:
  Connection take(const am::client::Route& route) {
    {
      const std::lock_guard lock(mutex_);
      if (idle_at_ != route) idle_.clear();  // the role has moved
      idle_at_ = route;
      if (!idle_.empty()) {
        Connection connection = std::move(idle_.back());
        idle_.pop_back();
        return connection;
      }
    }
    Connection connection(mysql_init(nullptr));
    const auto& [host, port] = route.sql_address;
    if (!mysql_real_connect(connection.get(), host.c_str(), user_.c_str(), password_.c_str(),
                            nullptr, port, nullptr, 0)) {
      throw std::runtime_error(mysql_error(connection.get()));
    }
    return connection;
  }

  void give_back(Connection connection, const am::client::Route& route) {
    const std::lock_guard lock(mutex_);
    if (connection && mysql_errno(connection.get()) == 0 && idle_at_ == route)
      idle_.push_back(std::move(connection));
  }

  const std::string user_;
  const std::string password_;
  am::client::TrafficGate gate_;
  am::client::GateHandler handler_;
  am::client::Subscriber subscriber_;
  std::mutex mutex_;
  std::vector<Connection> idle_;
  std::optional<am::client::Route> idle_at_;
};

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "pool NAME CLUSTER NODES USER PASSWORD\n");
    return 2;
  }
  try {
    am::client::Subscriber::Options options;
    options.name = argv[1];
    options.cluster = argv[2];
    std::string error;
    const auto nodes = am::parse_named_addresses(argv[3], error);
    if (!nodes) throw std::runtime_error(error);
    options.nodes = *nodes;
    Pool pool(options, argv[4], argv[5]);
    const auto loan = pool.borrow(std::chrono::seconds(5));
    std::printf("connected to a server of version %s\n", mysql_get_server_info(**loan));
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "pool: %s\n", failure.what());
    return 1;
  }
}
