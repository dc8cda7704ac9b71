#include "plugin/daemon.h"

#include <boost/asio/post.hpp>

#include "plugin/server/log.h"

namespace active_master {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kServerStartGlance{20};
constexpr std::chrono::seconds kStatusInterval{1};
// How long a stop may take to undo a switchover before the threads are ended regardless; the
// durable state tells the next start what was left.
constexpr std::chrono::seconds kStopPatience{5};
// After KILL, how long a session waits to learn how its request ended.
constexpr std::chrono::seconds kKillPatience{3};
constexpr std::chrono::milliseconds kKillGlance{20};
// Of the lease of a proxy that waits here; well below the shortest that makes sense.
constexpr std::chrono::milliseconds kRenewInterval{500};

Time monotonic_now() {
  return {std::chrono::duration_cast<Duration>(steady_clock::now().time_since_epoch())};
}

WallTime wall_now() {
  return static_cast<WallTime>(
      std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch())
          .count());
}

// What a client is told that would write here. At most 255 bytes reach it.
std::string why_fenced(const View& view) {
  std::string text = "active_master: " + view.node + " is fenced: ";
  if (view.activation && view.activation->node != view.node) {
    return text + "write to the active master, " + view.activation->node + " at " +
           view.activation->sql_address;
  }
  if (view.state == to_string(State::kRecover))
    return text + "it waits until it is sure to be the active master, see ACTIVE_MASTER_STATE";
  return text + (view.phase == Phase::kNone ? "no active master is known here yet"
                                            : "a switchover is running, try again");
}

}  // namespace

Daemon::Daemon(Settings settings, std::string state_path)
    : work_(io_.get_executor()),
      wakeup_(io_),
      status_timer_(io_),
      publish_timer_(io_),
      start_timer_(io_),
      state_file_(std::move(state_path)),
      view_(std::make_shared<View>()) {
  jobs_ = std::make_unique<JobRunner>(
      state_file_,
      [this](JobDone done) {
        boost::asio::post(io_, [this, done = std::move(done)] { handle(done); });
      },
      [this](ServerStatus status) {
        boost::asio::post(io_, [this, status = std::move(status)] { handle(status); });
      });
  configure(std::move(settings));
  boost::asio::post(io_, [this] { await_server_start(); });
  thread_ = std::thread([this] { io_.run(); });
}

Daemon::~Daemon() {
  boost::asio::post(io_, [this] { handle(StopCommand{}); });
  {
    std::unique_lock lock(mutex_);
    // A server that shuts down runs no more SQL, so nothing can be undone: the next start does it.
    const auto patience = server_is_stopping() ? std::chrono::seconds(0) : kStopPatience;
    answered_.wait_for(lock, patience, [this] {
      return view_->state == "STOPPED" || view_->role == Role::kUnconfigured;
    });
  }
  // Messages that the stop made, such as the new activation after an undone switchover, leave
  // first.
  boost::asio::post(io_, [this] {
    wakeup_.expires_after(kKillGlance);
    wakeup_.async_wait([this](boost::system::error_code) { io_.stop(); });
  });
  thread_.join();
  jobs_.reset();
  network_.reset();
}

void Daemon::reconfigure(Settings settings) {
  boost::asio::post(io_, [this, settings = std::move(settings)] { configure(settings); });
}

std::shared_ptr<const View> Daemon::view() const {
  const std::lock_guard lock(mutex_);
  return view_;
}

std::shared_ptr<const SwitchoverReport> Daemon::request(SwitchoverId id, Input command,
                                                        const std::function<bool()>& is_killed) {
  const auto waiter = std::make_shared<Waiter>();
  {
    const std::lock_guard lock(mutex_);
    waiters_[id] = waiter;
  }
  boost::asio::post(io_, [this, id, command = std::move(command)] {
    if (node_) return handle(command);
    auto report = std::make_shared<SwitchoverReport>();
    report->id = id;
    report->result = Result::kRefused;
    const auto error = make_error(ErrorCode::kUnconfigured, settings_.error);
    report->error_number = static_cast<uint32_t>(error.code);
    report->error = error.text;
    answer(report);
  });
  std::optional<steady_clock::time_point> give_up;
  std::unique_lock lock(mutex_);
  while (!waiter->answered) {
    answered_.wait_for(lock, kKillGlance);
    if (waiter->answered || !is_killed()) continue;
    if (!give_up) {
      give_up = steady_clock::now() + kKillPatience;
      boost::asio::post(io_, [this, id] { handle(CancelCommand{id}); });
    } else if (steady_clock::now() >= *give_up) {
      break;
    }
  }
  waiters_.erase(id);
  return waiter->report;
}

void Daemon::await_event(uint64_t after, std::chrono::milliseconds timeout,
                         const std::string& proxy, const std::function<bool()>& is_killed) {
  const auto deadline = steady_clock::now() + timeout;
  auto renewal = steady_clock::now();
  std::unique_lock lock(mutex_);
  while (!is_killed()) {
    const auto now = steady_clock::now();
    if (!proxy.empty() && now >= renewal) {
      boost::asio::post(io_, [this, proxy] { handle(AcknowledgeProxy{{}, proxy, {}}); });
      renewal = now + kRenewInterval;
    }
    const bool is_news = !view_->events.empty() && view_->events.back()->seq > after;
    if (is_news || now >= deadline) return;
    answered_.wait_until(lock, std::min(deadline, now + kKillGlance));
  }
}

// --- On the network thread ---

void Daemon::configure(Settings settings) {
  const bool same_identity = node_ && settings.config.identity == settings_.config.identity;
  const bool same_network = network_ && settings.network.goes_on_with(settings_.network);
  settings_ = std::move(settings);
  if (!settings_.error.empty()) return fail(settings_.error);
  if (same_identity) {
    handle(Reconfigured{settings_.config});
  } else {
    std::string error;
    const auto durable = state_file_.load(error);
    if (!error.empty())
      return fail(
          error +
          "; this node stays fenced. If it is a standby, remove the file and reload the plugin");
    start_node(durable.value_or(Durable{}));
  }
  if (!same_network || !same_identity) return start_network();
  network_->use(settings_.network.credentials);
}

void Daemon::start_node(const Durable& durable) {
  network_.reset();
  node_.emplace(settings_.config, durable);
  if (durable.epoch > Epoch{} && durable.identity != settings_.config.identity) {
    log_line({LogLine::Level::kWarning,
              "the state file belongs to node=" + durable.identity.node + " server_id=" +
                  std::to_string(durable.identity.server_id) + ": its role is not taken over"});
  }
  if (server_started_) handle(ServerStarted{});
  publish();
}

void Daemon::await_server_start() {
  if (server_is_started()) {
    server_started_ = true;
    if (node_) handle(ServerStarted{});
    start_network();
    jobs_->read_status();
    return schedule_status();
  }
  start_timer_.expires_after(kServerStartGlance);
  start_timer_.async_wait([this](boost::system::error_code error) {
    if (!error) await_server_start();
  });
}

// Peers and proxies are heard only once this server can answer them with SQL.
void Daemon::start_network() {
  if (!server_started_ || !node_) return;
  network_.reset();
  network_ = std::make_unique<Network>(
      io_, settings_.network, [this](const Input& input) { handle(input); },
      [](const LogLine& line) { log_line(line); });
  listen_error_ = network_->start();
  if (!listen_error_.empty()) log_line({LogLine::Level::kError, listen_error_});
  publish();
}

void Daemon::handle(const Input& input) {
  if (!node_) return;
  // Taken out of the node first: to send may end a connection whose queue is full, and then the
  // node is given that input here, within.
  const auto made = node_->handle(input, monotonic_now(), wall_now());
  std::vector<Action> actions(std::move_iterator(made.begin()), std::move_iterator(made.end()));
  for (auto& action : actions) carry_out(std::move(action));
  schedule();
}

void Daemon::carry_out(Action action) {
  struct Visitor {
    Daemon& daemon;
    void operator()(SendToNode& a) const {
      if (daemon.network_) daemon.network_->send(a.node, a.message);
    }
    void operator()(SendToProxy& a) const {
      if (daemon.network_) daemon.network_->send(a.proxy, a.state);
    }
    void operator()(SendToAll& a) const {
      if (daemon.network_) daemon.network_->send_to_all(a.state, a.to_proxies);
    }
    void operator()(RunJob& a) const { daemon.jobs_->run(a.id, std::move(a.job)); }
    void operator()(CancelJob& a) const { daemon.jobs_->cancel(a.id); }
    void operator()(Answer& a) const { daemon.answer(a.report); }
    void operator()(LogLine& a) const { log_line(a); }
    void operator()(Pace& a) const { daemon.jobs_->pace_writes(a.distance); }
    void operator()(WriteUntil& a) const { daemon.jobs_->write_until(a.until); }
    void operator()(PublishView& a) const {
      if (a.can_wait) {
        daemon.publish_soon();
      } else {
        daemon.publish();
      }
    }
  };
  std::visit(Visitor{*this}, action);
}

void Daemon::schedule() {
  const Time next = node_->next_wakeup();
  if (next == kNever) return;
  wakeup_.expires_at(steady_clock::time_point(next.since_start));
  wakeup_.async_wait([this](boost::system::error_code error) {
    if (!error) handle(Tick{});
  });
}

void Daemon::schedule_status() {
  status_timer_.expires_after(kStatusInterval);
  status_timer_.async_wait([this](boost::system::error_code error) {
    if (error) return;
    jobs_->read_status();
    if (node_) publish();  // what changes without an event, such as when a peer was last seen
    schedule_status();
  });
}

// With thousands of proxies a view takes milliseconds to make, so in a storm of news most of the
// time is kept for the news.
void Daemon::publish_soon() {
  constexpr int kShare = 5;
  if (std::exchange(is_view_stale_, true)) return;
  const auto due = published_at_ + kShare * publishing_took_;
  if (steady_clock::now() >= due) return publish();
  publish_timer_.expires_at(due);
  publish_timer_.async_wait([this](boost::system::error_code error) {
    if (!error && node_ && is_view_stale_) publish();
  });
}

void Daemon::publish() {
  const auto start = steady_clock::now();
  auto view = node_->view();
  if (!listen_error_.empty()) {
    auto with_error = std::make_shared<View>(*view);
    with_error->last_error = listen_error_;
    view = std::move(with_error);
  }
  jobs_->explain_fence(why_fenced(*view));
  {
    const std::lock_guard lock(mutex_);
    view_ = std::move(view);
    answered_.notify_all();
  }
  is_view_stale_ = false;
  published_at_ = steady_clock::now();
  publishing_took_ = published_at_ - start;
}

void Daemon::answer(const std::shared_ptr<const SwitchoverReport>& report) {
  const std::lock_guard lock(mutex_);
  const auto it = waiters_.find(report->id);
  if (it == waiters_.end()) return;
  it->second->answered = true;
  it->second->report = report;
  answered_.notify_all();
}

void Daemon::fail(const std::string& error) {
  log_line({LogLine::Level::kWarning, error});
  settings_.error = error;
  network_.reset();
  node_.reset();
  auto view = std::make_shared<View>();
  view->node = settings_.config.identity.node;
  view->cluster = settings_.config.identity.cluster;
  view->state = "UNCONFIGURED";
  view->last_error = error;
  view->since = wall_now();
  const std::lock_guard lock(mutex_);
  view_ = std::move(view);
  answered_.notify_all();
}

}  // namespace active_master
