#include "client/witness/host.h"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <iterator>
#include <stdexcept>
#include <utility>

namespace active_master::witness {
namespace {

using std::chrono::steady_clock;

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what);
}

std::string why_unsafe(const std::string& address, const protocol::Credentials& credentials) {
  boost::system::error_code error;
  (void)boost::asio::ip::make_address(address, error);
  if (error) return "--listen: '" + address + "' is no IP address";
  if (credentials.may_listen_on(address)) return {};
  return "--listen " + address +
         ": without --secret-file or --tls-ca, --tls-cert and --tls-key it must be a loopback "
         "address, as connections are not authenticated";
}

Durable load_state(const StateFile& file, const Identity& identity) {
  std::string error;
  const auto durable = file.load(error);
  // What it has promised is not known: as a new one it must hear every node first.
  if (!error.empty())
    fail(error +
         "; if it can't be restored, remove it: then this witness has no vote until it has "
         "heard every node");
  if (durable && durable->identity != identity)
    fail(file.path() + " belongs to witness " + durable->identity.node + " of cluster " +
         durable->identity.cluster + ": give each witness a --state-file of its own");
  return durable.value_or(Durable{});
}

NetworkOptions network_options(const Options& options) {
  std::string error;
  NetworkOptions network;
  network.credentials = protocol::Credentials::load_to_listen(options.credentials, error);
  if (!network.credentials) fail(error);
  if (error = why_unsafe(options.listen_address, *network.credentials); !error.empty()) fail(error);
  network.cluster = options.config.identity.cluster;
  network.node = options.config.identity.node;
  network.kind = protocol::PEER_KIND_WITNESS;
  network.listen_address = options.listen_address;
  network.port = options.port;
  network.peers = options.config.peers;
  network.peer_timeout = options.config.peer_timeout;
  return network;
}

}  // namespace

Host::Host(boost::asio::io_context& io, const Options& options, std::function<void(LogLine)> log)
    : options_(options),
      log_(std::move(log)),
      state_file_(options.state_file),
      witness_(options.config, load_state(state_file_, options.config.identity)),
      io_(io),
      wakeup_(io),
      network_(
          io, network_options(options), [this](const Input& input) { handle(input); }, log_) {
  // A promise that can't be kept is noticed now, not at a failover.
  if (const auto error = state_file_.store(witness_.durable()); !error.empty()) fail(error);
  if (const auto error = network_.start(); !error.empty()) fail(error);
  handle(Tick{});
}

void Host::reload() {
  std::string error;
  const auto credentials = protocol::Credentials::load_to_listen(options_.credentials, error);
  if (credentials) error = why_unsafe(options_.listen_address, *credentials);
  if (!error.empty())
    return log_({LogLine::Level::kError, "reload=FAILED error=\"" + error + "\""});
  network_.use(credentials);
  log_({LogLine::Level::kNote, "reload=DONE"});
}

void Host::handle(const Input& input) {
  const Time now{std::chrono::duration_cast<Duration>(steady_clock::now().time_since_epoch())};
  const auto made = witness_.handle(input, now);
  // Taken out first: to send may end a connection, which is told to the witness within.
  std::vector<Action> actions(std::move_iterator(made.begin()), std::move_iterator(made.end()));
  for (auto& action : actions) carry_out(std::move(action));
  schedule();
}

void Host::carry_out(Action action) {
  if (const auto* send = std::get_if<SendToNode>(&action)) {
    network_.send(send->node, send->message);
  } else if (const auto* all = std::get_if<SendToAll>(&action)) {
    network_.send_to_all(all->state, false);
  } else if (const auto* line = std::get_if<LogLine>(&action)) {
    log_(*line);
  } else if (const auto* job = std::get_if<RunJob>(&action)) {
    JobDone done;
    done.id = job->id;
    done.error = state_file_.store(std::get<PersistJob>(job->job).durable);
    boost::asio::post(io_, [this, done] { handle(done); });
  }
}

void Host::schedule() {
  wakeup_.expires_at(steady_clock::time_point(witness_.next_wakeup().since_start));
  wakeup_.async_wait([this](boost::system::error_code error) {
    if (!error) handle(Tick{});
  });
}

}  // namespace active_master::witness
