// What a proxy does about the active master, decided from what the nodes say. No I/O, no threads,
// no clock: each input brings the time along, each output is an Action that the caller carries out.
//
// The one rule: route to the highest Activation seen; a Pause of epoch E holds traffic until an
// Activation of epoch E or higher is known. At the first opening hearsay is not enough: the node
// has to say itself that it is active, and the others get a while to know better. Nothing else that
// a node says, repeats, or says too late changes anything. rules() is the whole of it, as a table.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "active_master.pb.h"
#include "client/protocol/names.h"

namespace active_master::client {

using Clock = std::chrono::steady_clock;

// Traffic is to be held: new transactions wait, running ones finish.
struct Hold {
  uint64_t switchover_id = 0;
  uint64_t epoch = 0;          // that is being prepared
  Clock::time_point deadline;  // when the director gives up; for information
};

// Traffic is to go here.
struct Route {
  uint64_t epoch = 0;
  std::string node;
  Address sql_address;

  bool operator==(const Route&) const = default;
};

// Transactions are to begin so far apart, as they are about to be held; zero: as they come.
struct Pace {
  std::chrono::microseconds distance{0};
};

// The ProxyState has changed: all nodes are to hear it.
struct Announce {};

// The highest activation known, to be durable before what comes after it is carried out: a proxy
// that restarts never acts on a lower one.
struct Remember {
  Route route;
};

using Action = std::variant<Hold, Route, Pace, Announce, Remember>;

enum class State : uint8_t {
  kStarting,  // closed; the cluster is being asked
  kClosed,    // closed; the active master is not certain (conflict, or nobody who should know is
              // there)
  kOpening,   // the handler was told to open
  kOpen,      // traffic runs
  kHolding,   // the handler was told to hold; transactions may still run
  kHeld,      // no transaction runs, none starts
};
[[nodiscard]] std::string_view to_string(State state);

class Subscription {
 public:
  struct Options {
    std::string proxy;                                       // its own name
    std::string driver;                                      // "gate", "haproxy", ...
    std::vector<std::string> nodes;                          // all of the cluster
    Clock::duration startup_wait = std::chrono::seconds(3);  // for nodes that aren't heard at start
    std::optional<Route> remembered = std::nullopt;          // from its last run
    uint64_t incarnation = 0;                                // higher than that of its last run
  };

  struct Rule {
    int number;
    State from;
    bool (Subscription::*when)() const;
    std::string_view condition;  // `when`, in words
    State to;
    void (Subscription::*then)();  // may be null
    std::string_view action;       // `then`, in words
    std::string_view reason;
  };
  [[nodiscard]] static std::span<const Rule> rules();

  explicit Subscription(Options options);

  // The startup wait begins now.
  void start(Clock::time_point now) { started_ = now_ = now; }

  // --- Inputs. Each may lead to actions and to rules that fired, to be taken afterwards.

  // What a configured node said; the caller has checked that it comes from that node. False: it
  // makes no sense, and was ignored.
  [[nodiscard]] bool heard(const protocol::NodeState& state, Clock::time_point now);
  void lost(const std::string& node);
  void tick(Clock::time_point now);
  // The handler's answers. One that comes too late for what was asked last is ignored.
  void held(uint64_t epoch);
  void opened(uint64_t epoch);
  void failed(std::string text);

  // --- Outputs.

  [[nodiscard]] std::vector<Action> take_actions();
  [[nodiscard]] std::vector<const Rule*> take_fired();
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] protocol::ProxyState proxy_state() const;
  // The same as the next message to all nodes.
  [[nodiscard]] protocol::ProxyState announcement();
  // Two nodes claim the highest epoch known.
  [[nodiscard]] bool has_conflict() const { return !rival_.empty(); }
  [[nodiscard]] const std::optional<Route>& highest() const { return highest_; }
  // Where each node takes SQL, as far as it has said so itself.
  [[nodiscard]] std::vector<NamedAddress> servers() const;
  // Why traffic isn't as it should be; empty while it is.
  [[nodiscard]] std::string last_error() const;

 private:
  // Conditions of the rules.
  bool is_paused() const;
  bool is_pause_newer() const;
  bool is_routable() const;
  bool is_route_newer() const;
  bool is_resolved() const;
  bool is_start_over() const;
  bool is_held() const { return held_; }
  bool is_opened() const { return opened_answer_; }

  // Actions of the rules.
  void hold();
  void open();
  void adopt_pause();

  // What all nodes shall hear at once when it changes.
  struct Said {
    std::optional<uint64_t> held_for;  // a switchover
    uint64_t open_in = 0;              // an epoch
    std::string open_at;
    std::string error;

    bool operator==(const Said&) const = default;
  };
  Said said() const;

  bool is_certain() const;
  std::string unheard() const;
  void learn(const Route& activation, bool from_itself);
  std::chrono::microseconds asked_pace() const;
  void settle();

  struct Node {
    bool heard = false;  // ever: what it knew then is in highest_
    // In which it says that it is active, or that it hears the node say so that is; while linked.
    uint64_t active_epoch = 0;
    std::optional<Address> sql_address;
    std::chrono::microseconds pace{0};  // that it asks for as the active master; while linked
  };

  const Options options_;
  Clock::time_point started_;
  Clock::time_point now_;
  State state_ = State::kStarting;

  // What the nodes said.
  std::map<std::string, Node> nodes_;
  std::optional<Route> highest_;
  std::string rival_;  // another node that claims the epoch of highest_
  std::optional<Hold> pause_;
  uint64_t pause_after_ = 0;  // the epoch of its director; a later activation ends it, too

  // What the handler was told, and answered.
  Hold told_hold_;
  bool held_ = false;
  std::optional<Route> told_route_;
  bool opened_answer_ = false;
  std::optional<Route> opened_;
  std::string failure_;  // until it has done something
  std::chrono::microseconds told_pace_{0};

  Said announced_;
  uint64_t sequence_ = 0;
  std::vector<Action> actions_;
  std::vector<const Rule*> fired_;
};

// What a state does not react to, on purpose.
struct Ignored {
  State in;
  std::string_view what;
  std::string_view why;
};
[[nodiscard]] std::span<const Ignored> ignored();

// For docs/protocol.md.
[[nodiscard]] std::string rules_as_markdown();
[[nodiscard]] std::string ignored_as_markdown();
[[nodiscard]] std::string rules_as_mermaid();

}  // namespace active_master::client
