// A whole cluster in one thread and one virtual clock: the very Node and Subscription that run in
// servers and proxies, around them a network that loses, repeats, reorders and delays, servers that
// crash and lag, proxies, and clients that write. One seed, one run, always the same.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "client/subscriber/subscription.h"
#include "plugin/core/node.h"
#include "plugin/core/sim/invariants.h"
#include "plugin/core/sim/mutants.h"
#include "plugin/core/sim/random.h"
#include "plugin/core/sim/schedule.h"
#include "plugin/core/sim/server.h"
#include "plugin/core/witness.h"

namespace active_master::sim {

inline constexpr size_t kMaxNodes = 4;
inline constexpr size_t kMaxProxies = 4;
inline constexpr size_t kMaxParties = kMaxNodes + kMaxProxies + 1;  // the witness is the last one

inline constexpr uint64_t kFirstStatement = 1'000'000;  // of the proxy that speaks only SQL

inline constexpr Duration kMillisecond{1'000};
inline constexpr Duration kSecond{1'000'000};

[[nodiscard]] Config config_of(uint8_t node, const Schedule& schedule);

[[nodiscard]] inline client::Clock::time_point to_clock(Time time) {
  return client::Clock::time_point(
      std::chrono::duration_cast<client::Clock::duration>(time.since_start));
}

struct SimNode {
  NodeName name;
  Config config;
  std::unique_ptr<Node> node;  // none: the server is down, or the plugin is not loaded
  Time wakeup;                 // what the node said after its last input
  Durable disk;
  Server server;
  uint32_t incarnation = 0;  // what was sent to or started by an earlier one is gone
  Time frozen_until{};
  Time disk_full_until{};
  int drift = 0;  // of its clock, in parts of a million
  bool stopping = false;
  Duration absence{0};       // of the plugin, once it is stopped
  bool is_held_off = false;  // an operator has switched it off for a forced failover
};

struct SimWitness {
  Config config;
  std::unique_ptr<Witness> witness;  // none: it is down
  Time wakeup;
  Durable disk;
  std::vector<Durable> writing;  // by number of the job, from 1 on
  uint64_t written = 0;          // the last of them that is on disk: one after the other
  uint32_t incarnation = 0;
  Time frozen_until{};
  int drift = 0;
};

// What clients do through a proxy.
struct Traffic {
  std::optional<uint8_t> open_at;  // their transactions go here
  bool is_orphaned = false;        // the agent died, the proxy goes on as it was
  Time frozen_until{};
  std::vector<uint64_t> transactions;
  Duration client_pause{2'000};
  Duration pace{0};
};

struct SimProxy : Traffic {
  std::string name;
  std::unique_ptr<client::Subscription> subscription;
  std::optional<client::Route> memory;  // its state file
  uint32_t incarnation = 0;
  std::array<Time, kMaxNodes> connected_at{};
  Time hung_until{};
  // What the handler was asked last, and what it has done.
  uint32_t asked = 0;
  std::variant<std::monostate, client::Hold, client::Route> wanted;
  bool enacted = true;
};

// One that speaks only SQL, as docs/examples/sql-proxy does: it asks one node after the other until
// one takes its registration, does what that one says, and acknowledges.
struct SimSqlProxy : Traffic {
  std::string name = "sql";
  bool is_up = true;
  uint8_t at = 0;                    // the node that it talks to
  std::optional<SwitchoverId> held;  // that it has acknowledged there
  Epoch highest;                     // that it was ever open in
  uint64_t statements = 0;
  std::optional<uint32_t> error;  // the answer to the last one
  uint64_t wakeups = 0;
  std::array<Time, kMaxNodes> cut_until{};
  // Its registration where it is: when it was made and renewed, and in which life of the node.
  Time registered_at;
  Time renewed_at;
  uint32_t life = 0;
};

// A statement given on a node.
struct Request {
  SwitchoverId id;
  uint8_t node = 0;
  uint32_t incarnation = 0;
  uint8_t target = 0;
  bool check_only = false;
  bool forced = false;
  Time asked_at;
  Time deadline;
  int answers = 0;
  Result result = Result::kRunning;
  std::string error;
};

class World {
 public:
  World(const Schedule& schedule, const Mutant* mutant, std::string* trace);

  // Plays the schedule to its end.
  void run();

  [[nodiscard]] const std::string& violation() const { return invariants_.violation(); }
  [[nodiscard]] uint64_t steps() const { return all_steps_; }
  [[nodiscard]] uint64_t messages() const { return messages_; }
  [[nodiscard]] uint64_t jobs() const { return jobs_; }
  [[nodiscard]] Time now() const { return now_; }
  [[nodiscard]] const std::vector<Request>& requests() const { return requests_; }
  [[nodiscard]] const std::vector<SimNode>& nodes() const { return nodes_; }
  [[nodiscard]] const std::vector<SimProxy>& proxies() const { return proxies_; }
  // Bits of rules that fired, by their place in the table.
  [[nodiscard]] const std::vector<bool>& fired() const { return fired_; }
  [[nodiscard]] const std::vector<bool>& subscriber_fired() const { return subscriber_fired_; }

 private:
  friend class Invariants;

  enum class Kind : uint8_t {
    kMail,
    kLinkUp,
    kLinkDown,
    kProxyUp,
    kProxyDown,
    kServerStarted,
    kJobEffect,
    kJobAnswer,
    kRestartNode,
    kRestartProxy,
    kHandler,
    kProxyTick,
    kClient,
    kCommit,
    kApply,
    kStatus,
    kStopPatience,
    kReconfigured,
    kRestore,  // a lasting fault ends
    kAsk,
    kForce,
    kWitnessStored,
    kRestartWitness,
    kSqlProxy,
  };
  struct Event {
    Time at;
    uint64_t order = 0;
    Kind kind = Kind::kMail;
    uint8_t a = 0;
    uint8_t b = 0;
    uint32_t incarnation = 0;
    uint64_t value = 0;

    // The order of the heap: what comes first lies on top.
    friend bool operator<(const Event& x, const Event& y) {
      return x.at != y.at ? x.at > y.at : x.order > y.order;
    }
  };
  // Written once, however many get it.
  struct Letter {
    explicit Letter(Input content) : input(std::move(content)) {}

    Input input;                          // for nodes
    std::optional<protocol::Frame> wire;  // for proxies, made when the first one reads it
  };
  using Mail = std::shared_ptr<Letter>;

  // --- world.cc: parties, time, network ---
  void build();
  bool step();
  void dispatch(const Event& event);
  void give(uint8_t node, const Input& input);
  void carry_out(uint8_t node, std::span<Action> actions);
  void push(Duration after, Kind kind, uint8_t a, uint8_t b, uint32_t incarnation,
            uint64_t value = 0);
  void post(uint8_t from, uint8_t to, Mail mail);
  void deliver(const Event& event);
  void link_up(uint8_t from, uint8_t to);
  void dial_all(uint8_t node);
  void drop_links(uint8_t node);
  void crash(uint8_t node);
  void restart(uint8_t node);
  void load_plugin(uint8_t node);
  void unload_plugin(uint8_t node);

  // --- world_witness.cc ---
  void build_witness();
  void restart_witness();
  void crash_witness();
  void give_witness(const Input& input);
  void witness_stored(const Event& event);
  [[nodiscard]] uint8_t witness_party() const {
    return static_cast<uint8_t>(nodes_.size() + proxies_.size());
  }
  [[nodiscard]] bool is_witness(uint8_t party) const {
    return witness_ && party == witness_party();
  }

  // --- world_proxies.cc ---
  void restart_proxy(uint8_t proxy);
  void crash_proxy(uint8_t proxy);
  void proxy_up(uint8_t proxy, uint8_t node);
  void deliver_to_proxy(uint8_t proxy, uint8_t from, Letter& letter);
  void tick_proxy(uint8_t proxy);
  void settle(uint8_t proxy);
  void announce(uint8_t proxy);
  void handler_acts(uint8_t proxy, uint32_t asked);

  // --- world_sql_proxy.cc ---
  void build_sql_proxy();
  void restart_sql_proxy();
  void crash_sql_proxy();
  void wake_sql_proxy(Duration after);
  void poll_sql_proxy(uint64_t wakeup);
  [[nodiscard]] bool follow_over_sql();
  [[nodiscard]] bool give_statement(Input statement);

  // --- world_end.cc: what is asked, and when it is over ---
  void ask(uint8_t node, uint8_t target, bool check_only, bool failover = false,
           bool forced = false);
  void hold_off_who_may_write(uint8_t candidate);
  void force_failover(uint8_t candidate);
  void switch_on_again();
  void help_out();
  void ask_next();
  [[nodiscard]] bool is_answered() const;
  [[nodiscard]] bool is_converged() const;
  [[nodiscard]] std::string why_not_converged() const;
  bool find_unconverged(std::string* why) const;
  void heal();
  void check_the_end();
  void rejoin_the_diverged();

  // --- world_jobs.cc: the model of MariaDB ---
  void start_job(uint8_t node, JobId id, Job job);
  void begin_next(uint8_t node, uint8_t lane);
  void cancel_job(uint8_t node, JobId id);
  void job_effect(uint8_t node, uint8_t lane);
  // What is still missing for this job to succeed; empty: it has had its effect.
  std::string attempt(uint8_t node, RunningJob& job, JobDone& done);
  [[nodiscard]] std::string await_transactions(Server& server, const AwaitTransactionsJob& job,
                                               Duration waited) const;
  void append(uint8_t server, Entry::Kind kind, Epoch epoch);
  void note_failover(uint8_t server, Epoch epoch);
  void lose_what_is_missing(uint8_t server, Epoch epoch);
  void acknowledge(uint8_t source, size_t position);
  void replicate_from(uint8_t server);
  [[nodiscard]] ServerStatus status_of(uint8_t server) const;
  [[nodiscard]] bool flows(uint8_t from, uint8_t to) const;  // replication
  void apply(uint8_t server);
  void client(uint8_t proxy);
  void begin_transaction(uint8_t server, std::optional<uint8_t> proxy, Duration length);
  void commit(uint8_t server, uint64_t transaction);
  [[nodiscard]] Epoch epoch_of(uint8_t server) const;

  // --- world_faults.cc ---
  void fault_before_step();
  void begin_fault(const Fault& fault);
  void end_fault(const Fault& fault);
  [[nodiscard]] std::optional<uint8_t> active_server() const;

  template <typename... Parts>
  void note(const Parts&... parts);  // into the trace, when there is one
  void write_note(const std::string& text);

  [[nodiscard]] bool is_frozen(uint8_t party) const { return now_ < frozen_until(party); }
  [[nodiscard]] Time frozen_until(uint8_t party) const;
  [[nodiscard]] bool is_up(uint8_t party) const;  // a node or the witness
  [[nodiscard]] bool is_cut(uint8_t from, uint8_t to) const { return now_ < cut_until_[from][to]; }
  [[nodiscard]] uint8_t proxy_party(uint8_t proxy) const {
    return static_cast<uint8_t>(nodes_.size() + proxy);
  }
  [[nodiscard]] std::optional<uint8_t> node_number(const NodeName& name) const;
  [[nodiscard]] Traffic& traffic(uint8_t proxy) {
    return proxy < proxies_.size() ? static_cast<Traffic&>(proxies_[proxy]) : *sql_proxy_;
  }
  [[nodiscard]] Duration latency() { return Duration{random_.between(50, 400)}; }
  // With voters every node has a clock of its own, which goes wrong by less than a hundredth.
  [[nodiscard]] Time clock_with(int drift) const {
    return now_ + Duration{now_.since_start.count() / 1'000 * drift / 1'000};
  }
  [[nodiscard]] Time clock_of(uint8_t node) const { return clock_with(nodes_[node].drift); }
  [[nodiscard]] Time when_clock_says(int drift, Time time) const;
  [[nodiscard]] WallTime wall() const {
    return static_cast<WallTime>(now_.since_start.count() + 1);
  }

  const Schedule& schedule_;
  const Mutant* mutant_;
  std::string* trace_;
  Random random_;
  Invariants invariants_;
  std::span<const Rule> table_;

  Time now_{Duration{1'000'000}};
  uint64_t order_ = 0;
  std::vector<Event> heap_;
  std::vector<Mail> mails_;
  std::vector<uint32_t> free_mails_;
  std::vector<JobDone> answers_;
  std::vector<uint32_t> free_answers_;

  std::vector<SimNode> nodes_;
  std::vector<SimProxy> proxies_;
  std::optional<SimWitness> witness_;
  std::optional<SimSqlProxy> sql_proxy_;
  std::array<std::array<bool, kMaxParties>, kMaxParties> link_{};  // from dials to
  std::array<std::array<Time, kMaxParties>, kMaxParties> cut_until_{};
  std::vector<Entry> history_;
  size_t acknowledged_ = 0;  // of it: a standby has received so much
  uint64_t transactions_ = 0;
  std::vector<Request> requests_;

  bool asked_ = false;   // the faults begin to count
  bool healed_ = false;  // no fault begins any more
  bool active_fault_ = false;
  Time healed_at_{};
  std::optional<SwitchoverId> forced_;  // the nodes held off wait for its answer
  bool is_forcing_ = false;             // and before it was given
  Epoch highest_opened_;
  std::set<Epoch> forced_epochs_;
  Time help_at_{};
  uint8_t asks_left_ = 0;
  uint8_t next_target_ = 0;
  std::vector<bool> done_faults_;
  uint64_t steps_ = 0;
  uint64_t all_steps_ = 0;
  uint64_t messages_ = 0;
  uint64_t jobs_ = 0;
  std::vector<bool> fired_;
  std::vector<bool> subscriber_fired_;
};

}  // namespace active_master::sim
