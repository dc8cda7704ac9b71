// The sidecar of a proxy: does with a Driver what the cluster decides.
//
// Threads: the subscriber's calls hold() and open(), which only note what is wanted; one worker
// does it, tries again while it fails, and looks now and then whether it still is so (someone may
// have restarted the proxy). What is wanted first is to hold: no traffic before the active master
// is known.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>

#include "client/agent/driver.h"
#include "client/subscriber/subscriber.h"

namespace active_master::agent {

// What to do while no node can be heard.
enum class Alone {
  kKeep,  // traffic stays as it is: open at the active master that was known last
  kHold,  // new transactions wait until a node is heard again
};

class Agent : public client::Handler {
 public:
  struct Options {
    std::chrono::milliseconds verify{1000};
    std::chrono::milliseconds retry{250};
    std::chrono::milliseconds drain{200};  // how long to wait for Driver::running() to be none
    Alone alone = Alone::kKeep;
  };

  Agent(Driver& driver, Options options) : driver_(driver), options_(options) {}
  ~Agent() override { stop(); }

  // The subscriber must outlive the worker, that is, stop().
  void start(client::Subscriber& subscriber);
  // Leaves the proxy as it is.
  void stop();

  void hold(const client::Hold& hold) override { want(hold); }
  void open(const client::Route& route) override { want(route); }

 private:
  using Wish = std::variant<client::Hold, client::Route>;

  void want(Wish wish);
  void run();
  void advise();
  [[nodiscard]] bool is_cut_off();
  // The error, empty if there was none; nothing if a newer wish came in between.
  [[nodiscard]] std::optional<std::string> attempt(const Wish& wish, uint64_t number);
  [[nodiscard]] Target target(const client::Route& route) const;
  [[nodiscard]] bool drain(uint64_t number);
  [[nodiscard]] bool is_newer_than(uint64_t number);
  void report(const Wish& wish, uint64_t number, const std::string& error);

  Driver& driver_;
  const Options options_;
  client::Subscriber* subscriber_ = nullptr;
  std::thread worker_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Wish wish_ = client::Hold{};
  uint64_t wishes_ = 1;
  bool stopping_ = false;

  // The worker's own.
  std::pair<uint64_t, std::string> reported_;
  uint64_t drained_ = 0;  // the wish that was drained for already
  bool is_advised_ = false;
  bool was_heard_ = false;  // a node, ever
  bool is_cut_off_ = false;
};

}  // namespace active_master::agent
