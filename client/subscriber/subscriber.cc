#include "client/subscriber/subscriber.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <mutex>
#include <random>
#include <thread>

#include "client/protocol/dialler.h"
#include "client/protocol/frame.h"
#include "client/subscriber/memory_file.h"
#include "client/subscriber/traffic_gate.h"

namespace active_master::client {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using protocol::Frame;
using std::chrono::milliseconds;

constexpr milliseconds kFirstRetry{50};
constexpr milliseconds kSlowestRetry{2000};
constexpr milliseconds kTick{500};  // for what depends on time alone

constexpr const char* kSoftwareVersion = "0.1.0";

// Names and addresses may come from a hostile or broken peer: what is logged or kept stays short.
constexpr size_t kMaxTextLength = 500;

}  // namespace

// One link to one node, dialled again for ever.
class Link {
 public:
  struct Owner {
    virtual ~Owner() = default;
    virtual protocol::Self self() const = 0;
    virtual const protocol::CredentialFiles& credentials() const = 0;
    virtual Frame proxy_state() = 0;
    virtual void linked(const Link& link) = 0;
    virtual void unlinked(const Link& link, const std::string& why) = 0;
    // False: it makes no sense.
    virtual bool heard(const protocol::NodeState& state) = 0;
  };

  Link(asio::io_context& io, NamedAddress node, const Subscriber::Options& options, Owner& owner)
      : io_(io),
        node_(std::move(node)),
        peer_timeout_(options.peer_timeout),
        silence_(options.silence),
        owner_(owner),
        timer_(io) {}

  [[nodiscard]] const std::string& node() const { return node_.name; }
  [[nodiscard]] bool is_linked() const { return connection_ != nullptr; }

  void dial() {
    std::string error;
    const auto credentials = protocol::Credentials::load(owner_.credentials(), error);
    if (!credentials) {
      retry_ = kSlowestRetry;
      return ended(error);
    }
    dialler_ = std::make_shared<protocol::Dialler>(io_, owner_.self(), node_, credentials);
    dialler_->dial(peer_timeout_, [this](protocol::Dialler::Outcome outcome) {
      if (outcome.is_refusal) retry_ = kSlowestRetry;
      if (!outcome.connection) return ended(outcome.error);
      linked(std::move(outcome.connection));
    });
  }

  // To a node that has welcomed us; others get everything when they do.
  void send(const protocol::Connection::Bytes& bytes) {
    const auto connection = connection_;  // which a full queue ends
    if (connection) connection->send(bytes);
  }

 private:
  void linked(std::shared_ptr<protocol::Connection> connection) {
    connection_ = std::move(connection);
    connection_->limit_absence(peer_timeout_);
    connection_->hand_over(
        silence_, [this](const Frame& frame) { take(frame); },
        [this](const std::string& reason) { ended(reason); });
    retry_ = kFirstRetry;
    owner_.linked(*this);
    connection_->send(owner_.proxy_state());
  }

  void take(const Frame& frame) {
    if (frame.has_refused()) {
      reject("refused: " + frame.refused().reason().substr(0, kMaxTextLength));
    } else if (frame.has_node_state() &&
               (frame.node_state().node() != node_.name || !owner_.heard(frame.node_state()))) {
      reject("it says what makes no sense");
    }
  }

  // Nothing that changes by asking again at once.
  void reject(const std::string& why) {
    retry_ = kSlowestRetry;
    connection_->close(why);
  }

  void ended(const std::string& why) {
    const bool was_linked = std::exchange(connection_, nullptr) != nullptr;
    const bool is_news = was_linked || why != last_error_;
    last_error_ = why;
    if (is_news) owner_.unlinked(*this, why);
    // Jitter, so that the proxies of a node that comes back don't arrive all at once.
    std::uniform_int_distribution<int64_t> jitter(retry_.count() / 2, retry_.count());
    timer_.expires_after(milliseconds(jitter(random_)));
    retry_ = std::min(retry_ * 2, kSlowestRetry);
    timer_.async_wait([this](error_code cancelled) {
      if (!cancelled) dial();
    });
  }

  asio::io_context& io_;
  const NamedAddress node_;
  const milliseconds peer_timeout_;
  const milliseconds silence_;
  Owner& owner_;
  std::shared_ptr<protocol::Dialler> dialler_;
  std::shared_ptr<protocol::Connection> connection_;  // once welcomed
  asio::steady_timer timer_;                          // until the next attempt
  std::minstd_rand random_{std::random_device{}()};
  milliseconds retry_ = kFirstRetry;
  std::string last_error_;  // so that a node that stays away is logged once
};

class Subscriber::Impl : public Link::Owner {
 public:
  Impl(Options options, Handler& handler)
      : options_(std::move(options)),
        handler_(handler),
        memory_(options_.state_file),
        subscription_({options_.name, options_.driver, names(options_.nodes), options_.startup_wait,
                       remembered(), incarnation()}),
        own_io_(options_.io ? nullptr : std::make_unique<asio::io_context>(1)),
        io_(options_.io ? *options_.io : *own_io_),
        beat_(io_) {
    for (const auto& node : options_.nodes) {
      links_.push_back(std::make_unique<Link>(io_, node, options_, *this));
    }
    publish();
  }

  ~Impl() override { stop(); }

  void start() {
    if (std::exchange(is_started_, true)) return;
    subscription_.start(Clock::now());
    for (const auto& link : links_) link->dial();
    beat();
    if (own_io_) thread_ = std::thread([this] { io_.run(); });
  }

  void stop() {
    if (own_io_) own_io_->stop();
    if (thread_.joinable()) thread_.join();
  }

  // Inputs come from anywhere, and are taken on the network thread.
  template <typename Input>
  void post(Input input) {
    asio::post(io_, [this, input = std::move(input)]() mutable {
      input(subscription_);
      carry_out();
    });
  }

  Snapshot snapshot() const {
    const std::lock_guard lock(snapshot_mutex_);
    return snapshot_;
  }

 private:
  static std::vector<std::string> names(const std::vector<NamedAddress>& nodes) {
    std::vector<std::string> result;
    for (const auto& node : nodes) result.push_back(node.name);
    return result;
  }

  std::optional<Route> remembered() const {
    std::string error;
    auto route = memory_.load(error);
    if (!error.empty())
      spdlog::error("cluster={} proxy={} error=\"{}\"", options_.cluster, options_.name, error);
    return route;
  }

  // Orders this run after the earlier ones of this proxy, nothing else.
  static uint64_t incarnation() {
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                     std::chrono::system_clock::now().time_since_epoch())
                                     .count());
  }

  // Traffic doesn't stop because a disk is full: the nodes themselves are fenced.
  void remember(const Route& route) const {
    if (const auto error = memory_.store(route); !error.empty())
      spdlog::error("cluster={} proxy={} error=\"{}\"", options_.cluster, options_.name, error);
  }

  protocol::Self self() const override {
    return {options_.cluster, options_.name, protocol::PEER_KIND_PROXY, kSoftwareVersion};
  }
  const protocol::CredentialFiles& credentials() const override { return options_.credentials; }

  Frame proxy_state() override {
    Frame frame;
    *frame.mutable_proxy_state() = subscription_.announcement();
    return frame;
  }

  void linked(const Link& link) override {
    spdlog::info("cluster={} proxy={} node={} link=CONNECTED", options_.cluster, options_.name,
                 link.node());
    publish();
  }

  void unlinked(const Link& link, const std::string& why) override {
    spdlog::warn("cluster={} proxy={} node={} link=LOST reason=\"{}\"", options_.cluster,
                 options_.name, link.node(), why);
    subscription_.lost(link.node());
    carry_out();
  }

  bool heard(const protocol::NodeState& state) override {
    const bool makes_sense = subscription_.heard(state, Clock::now());
    carry_out();
    return makes_sense;
  }

  void beat() {
    subscription_.tick(Clock::now());
    carry_out();
    if (Clock::now() >= announce_at_) {
      announce();
      announce_at_ = Clock::now() + options_.heartbeat;
    }
    beat_.expires_after(std::min(options_.heartbeat, kTick));
    beat_.async_wait([this](error_code error) {
      if (!error) beat();
    });
  }

  void announce() {
    const auto bytes = std::make_shared<const std::string>(protocol::encode(proxy_state()));
    for (const auto& link : links_) link->send(bytes);
  }

  void carry_out() {
    for (const auto* rule : subscription_.take_fired()) log(*rule);
    for (const auto& action : subscription_.take_actions()) {
      if (const auto* hold = std::get_if<Hold>(&action)) {
        ask([&] { handler_.hold(*hold); });
      } else if (const auto* route = std::get_if<Route>(&action)) {
        ask([&] { handler_.open(*route); });
      } else if (const auto* pace = std::get_if<Pace>(&action)) {
        ask([&] { handler_.pace(pace->distance); });
      } else if (const auto* known = std::get_if<Remember>(&action)) {
        remember(known->route);
      } else {
        announce();
      }
    }
    publish();
  }

  // A handler that throws is one that has failed; the network thread goes on.
  template <typename Call>
  void ask(Call call) {
    try {
      call();
    } catch (const std::exception& error) {
      post([text = std::string(error.what())](Subscription& to) { to.failed(text); });
    }
  }

  void log(const Subscription::Rule& rule) const {
    const auto& highest = subscription_.highest();
    spdlog::info(
        "cluster={} proxy={} rule={} from={} to={} epoch={} node={} switchover_id={} reason=\"{}\"",
        options_.cluster, options_.name, rule.number, to_string(rule.from), to_string(rule.to),
        highest ? highest->epoch : 0, highest ? highest->node : "",
        subscription_.proxy_state().switchover_id(), rule.reason);
  }

  void publish() {
    Snapshot next{subscription_.state(),
                  subscription_.has_conflict(),
                  subscription_.proxy_state(),
                  {},
                  subscription_.servers()};
    for (const auto& link : links_) {
      if (link->is_linked()) next.connected.push_back(link->node());
    }
    const std::lock_guard lock(snapshot_mutex_);
    if (next.proxy_state.last_error() != snapshot_.proxy_state.last_error()) {
      spdlog::warn("cluster={} proxy={} last_error=\"{}\"", options_.cluster, options_.name,
                   next.proxy_state.last_error());
    }
    snapshot_ = std::move(next);
  }

  const Options options_;
  Handler& handler_;
  const MemoryFile memory_;
  Subscription subscription_;
  const std::unique_ptr<asio::io_context> own_io_;
  asio::io_context& io_;  // before what lives on it
  asio::steady_timer beat_;
  Clock::time_point announce_at_{};
  std::vector<std::unique_ptr<Link>> links_;
  bool is_started_ = false;
  std::thread thread_;
  mutable std::mutex snapshot_mutex_;
  Snapshot snapshot_;
};

Subscriber::Subscriber(Options options, Handler& handler)
    : impl_(std::make_unique<Impl>(std::move(options), handler)) {}
Subscriber::~Subscriber() = default;

void Subscriber::start() {
  impl_->start();
}
void Subscriber::stop() {
  impl_->stop();
}

void Subscriber::held(uint64_t epoch) {
  impl_->post([epoch](Subscription& subscription) { subscription.held(epoch); });
}

void Subscriber::opened(uint64_t epoch) {
  impl_->post([epoch](Subscription& subscription) { subscription.opened(epoch); });
}

void Subscriber::failed(std::string_view text) {
  impl_->post([text = std::string(text.substr(0, kMaxTextLength))](Subscription& subscription) {
    subscription.failed(text);
  });
}

Subscriber::Snapshot Subscriber::snapshot() const {
  return impl_->snapshot();
}

void GateHandler::hold(const Hold& hold) {
  gate_.hold([this, epoch = hold.epoch] { subscriber_->held(epoch); });
}

void GateHandler::pace(std::chrono::microseconds distance) {
  gate_.pace(distance);
}

void GateHandler::open(const Route& route) {
  gate_.open(route);
  subscriber_->opened(route.epoch);
}

}  // namespace active_master::client
