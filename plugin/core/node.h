// The protocol, as one node lives it: a pure state machine. Everything that happens reaches it as
// an Input with the time at which it happened; everything that it wants done leaves as an Action.
// It has no threads, no clock, no I/O and knows nothing of MariaDB, so that the code that runs in
// the server is the code that a simulator can play.
//
// rules.cc holds its transitions as one table. This class keeps the books that the rules look at.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "plugin/core/actions.h"
#include "plugin/core/config.h"
#include "plugin/core/durable.h"
#include "plugin/core/errors.h"
#include "plugin/core/inputs.h"
#include "plugin/core/jobs.h"
#include "plugin/core/messages.h"
#include "plugin/core/types.h"
#include "plugin/core/view.h"
#include "plugin/core/voter.h"

namespace active_master {

enum class State {
  kStart,
  kNew,
  kBootstrapCheck,
  kBootstrapPersist,
  kRecover,
  kReopen,
  kStandby,
  kActive,
  // the director of a switchover
  kCheck,
  kApproach,
  kIntent,
  kPause,
  kDrain,
  kFence,
  kHandover,
  kCatchUp,
  kGrant,
  kGranted,
  kResume,
  kAbortPersist,
  kAbortOpen,
  // the candidate
  kFollow,
  kRequest,
  kActivatePersist,
  kActivateOpen,
  // the candidate of a failover
  kAsk,
  kBid,
  kApply,
  kStopped,
};
inline constexpr int kStateCount = static_cast<int>(State::kStopped) + 1;

const char* to_string(State state);
Phase phase_of(State state);

// What the rules see of an input.
enum class Event {
  kNone,
  kAlways,  // tried after every input, until no such rule applies
  kServerStarted,
  kBootstrap,
  kSwitch,
  kCancel,
  kJobDone,
  kJobFailed,
  kHigherActivation,
  kOffer,
  kGrantRequest,
  kDecline,
  kCheckReply,
  kProbeReply,
  kWritableStandby,
  kErrantWrite,
  kRejoin,
  kFollowStep,
  kFollowFailed,
  kFollowReply,
  kFailover,
  kAsk,
};

const char* to_string(Event event);

struct Rule;
[[nodiscard]] std::span<const Rule> rules();

class Node {
 public:
  // `durable` as read at start; one of another identity gives knowledge of its epoch, but no role.
  // There is one table of rules; only who tests the tests hands in another.
  Node(Config config, const Durable& durable, std::span<const Rule> table = rules());

  // The actions are to be carried out in their order. They are gone with the next input.
  [[nodiscard]] std::span<Action> handle(const Input& input, Time now, WallTime wall);

  // When handle(Tick) has something to do at the latest.
  [[nodiscard]] Time next_wakeup() const;

  [[nodiscard]] std::shared_ptr<const View> view() const;
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool stopped() const { return state_ == State::kStopped; }
  [[nodiscard]] const Durable& durable() const { return durable_; }
  [[nodiscard]] const Config& config() const { return config_; }
  [[nodiscard]] Replication replication() const { return following_.status; }
  [[nodiscard]] Role role() const;
  [[nodiscard]] bool fenced() const;
  // The numbers of the rules that the last input fired.
  [[nodiscard]] const std::vector<int>& fired() const { return fired_; }
  [[nodiscard]] bool is_directing() const { return operation_.has_value(); }

 private:
  friend struct Rules;  // the guards and actions of the table
  friend struct FailoverRules;
  friend struct Mutations;  // those of the simulator's planted faults

  struct Peer {
    bool is_witness = false;
    bool link_up = false;
    bool was_up = false;
    std::optional<Time> heard_at;
    WallTime heard_wall = 0;
    NodeState state;
    std::string error;
    int claims = 0;  // in a row, to be active where it can't be
  };

  struct Proxy {
    std::string ip;
    bool connected = false;  // to this node
    bool lost = false;       // its connection was lost after this state
    bool by_sql = false;     // has no connection that could be lost, only a lease
    Time heard_at;           // by the node that heard it, as far as is known here
    WallTime heard_wall = 0;
    ProxyState state;
    // When it was heard to hold last, and to have opened after that.
    std::optional<WallTime> held_at;
    std::optional<WallTime> opened_at;
    std::set<NodeName> at;  // peers that it is connected to, and that need not be told at once
  };
  struct HeardPause {
    SwitchoverId switchover;
    Epoch epoch;
    Epoch after;  // the director's own, as far as was known; a later one ends the pause, too
    Time until;
  };

  // The switchover that this node directs.
  struct Operation {
    std::shared_ptr<SwitchoverReport> report;
    Time deadline;
    Time phase_since;
    std::optional<Time> paused_at;
    uint32_t probe = 0;
    Time probe_sent;
    Duration lag{0};      // as the last probe told
    Duration running{0};  // the oldest transaction when that was sent
    Duration pace{0};     // at which writes shall run since
    std::string gtid;
    Error failure;  // why it is being undone
    std::string exceptions;
    // Of a failover only.
    bool failover = false;
    bool forced = false;
    bool by_itself = false;
    bool looks_who_has_more = false;  // before it asks for promises
    bool is_bidding = false;          // its own promise is durable, the others are asked for theirs
    std::set<NodeName> present;       // answered before that
    std::set<NodeName>
        vouched_for;  // not connected when it was forced: the operator knows they are off
    std::map<NodeName, AskReply> answers;
  };

  // A statement given on this node that waits for its answer.
  struct Request {
    Time deadline;
    NodeName sent_to;  // empty: this node directs it
    SwitchRequest request;
    bool cancelled = false;
  };

  // What a proxy acts on. There may be thousands, so in the steps of a switchover that are no news
  // to them they are left in peace.
  struct ToldProxies {
    Role role = Role::kNew;
    Epoch epoch;
    std::optional<Activation> activation;
    std::optional<SwitchoverId> pause;
    Duration pace{0};
    bool confirmed = false;
    std::string sql_address;

    bool operator==(const ToldProxies&) const = default;
  };

  // A job that this node runs for a peer.
  struct Errand {
    enum class Kind { kCheck, kProbe, kCompare, kDescribe, kPromise, kAsk } kind = Kind::kCheck;
    NodeName from;
    SwitchoverId id;
    uint64_t number = 0;
    Epoch promise{};  // that was asked for
  };

  // A restarted active master asks every peer whether anybody is active above it, in rounds: only
  // answers of one round count, so that they are true at about the same time.
  struct Recall {
    uint64_t round = 0;
    std::map<NodeName, std::string> answers;  // what speaks against it; empty: nothing
  };

  // What a majority of voters lets this node be.
  struct Lease {
    Epoch epoch;                       // that it is asked for; 0: for none
    Time since{};                      // the first asking
    Time due{};                        // the next one
    Time until{};                      // by this node's clock
    Epoch outbid{};                    // the highest that a voter has promised
    Time told = kNever;                // to the server's gate
    std::map<NodeName, Time> given{};  // when those were asked that have given it
    std::map<NodeName, std::string> refusals{};
  };

  // How this standby comes to replicate from the active master.
  struct Following {
    enum class Step { kRest, kRead, kAsk, kChange, kCatchUp } step = Step::kRest;
    Replication status = Replication::kNone;
    NodeName node;  // whom
    std::string address;
    std::optional<JobId> job;
    uint64_t number = 0;  // of the question
    Time due = kNever;    // when to begin, or to begin again
    std::string error;
    bool alone = false;                  // the active master came by a failover
    bool seemed_stopped = false;         // replication, when it was looked at last
    std::string errant;                  // transactions that the active master lacks
    std::string errant_described;        // what they have done
    std::string position;                // of the active master, when this node had restarted
    std::optional<SwitchoverId> rejoin;  // a statement that waits for it
  };

  // Each takes an input into the books and says what the rules shall see of it.
  Event absorb(const ServerStarted& input);
  Event absorb(const LinkUp& input);
  Event absorb(const LinkDown& input);
  Event absorb(const ProxyConnected& input);
  Event absorb(const ProxyLost& input);
  Event absorb(const FromNode& input);
  Event absorb(const ProxyState& input);
  Event absorb(const JobDone& input);
  Event absorb(const BootstrapCommand& input);
  Event absorb(const SwitchCommand& input);
  Event absorb(const CancelCommand& input);
  Event absorb(const RejoinCommand& input);
  Event absorb(const RegisterProxy& input);
  Event absorb(const AcknowledgeProxy& input);
  Event absorb(const ServerStatus& input);
  Event absorb(const Reconfigured& input);
  Event absorb(const Tick& input);
  Event absorb(const StopCommand& input);

  Event receive(const NodeName& from, const NodeState& message);
  Event receive(const NodeName& from, const SwitchRequest& message);
  Event receive(const NodeName& from, const CancelRequest& message);
  Event receive(const NodeName& from, const CheckRequest& message);
  Event receive(const NodeName& from, const CheckReply& message);
  Event receive(const NodeName& from, const Probe& message);
  Event receive(const NodeName& from, const ProbeReply& message);
  Event receive(const NodeName& from, const Offer& message);
  Event receive(const NodeName& from, const GrantRequest& message);
  Event receive(const NodeName& from, const Decline& message);
  Event receive(const NodeName& from, const SwitchoverReport& message);
  Event receive(const NodeName& from, const ProxyNews& message);
  Event receive(const NodeName& from, const FollowRequest& message);
  Event receive(const NodeName& from, const FollowReply& message);
  Event receive(const NodeName& from, const Ask& message);
  Event receive(const NodeName& from, const AskReply& message);

  bool fire(Event event);
  void keep_pace();
  void tell_all();
  void find_rules_here();
  void enter(State next, const Rule& rule, SwitchoverId id);

  void run(Job job);           // awaited: its JobDone reaches the rules
  void persist(Durable next);  // awaited; `next` becomes durable() when it is on disk
  JobId run_aside(Job job);    // not awaited
  void cancel_job();
  void send(const NodeName& to, NodeMessage message) {
    actions_.push_back(SendToNode{to, std::move(message)});
  }
  void log(LogLine::Level level, std::string text);
  [[nodiscard]] HookJob hook_job(Hook hook, std::string text) const;
  void tell_operator(Hook hook, std::string text = {});  // if there is a program for it
  void tell_outcome(const SwitchoverReport& report);
  void note_claim(Peer& peer);

  [[nodiscard]] bool linked(const NodeName& node) const;
  [[nodiscard]] bool knows(const NodeName& node) const;
  [[nodiscard]] Epoch known_epoch() const { return durable_.epoch; }
  [[nodiscard]] const NodeName& self() const { return config_.identity.node; }
  [[nodiscard]] NodeState node_state() const;
  [[nodiscard]] bool is_confirmed() const;
  [[nodiscard]] bool active_takes_writes() const;
  [[nodiscard]] Offer offer() const;
  [[nodiscard]] SwitchoverId switchover() const;  // that this node directs or is the candidate of
  [[nodiscard]] Error refusal(const SwitchRequest& request) const;
  [[nodiscard]] bool is_proxy_ready(const Proxy& proxy, bool holding) const;
  [[nodiscard]] bool are_proxies_ready(bool holding) const;
  [[nodiscard]] std::string proxies_not(bool holding) const;
  void adopt(const Activation& activation);
  void note(Proxy& proxy, const ProxyState& said) const;
  void forget_expired_proxies();
  void answer_plainly(SwitchoverId statement, const Error& error);
  void begin_recall();
  void recall(const NodeName& node);
  [[nodiscard]] bool is_closed() const;
  [[nodiscard]] std::string recall_waits_for() const;
  void send_ask(const NodeName& to);
  void ask_again();
  void answer_ask(const Errand& errand, const std::string& gtids, const std::string& error);
  [[nodiscard]] std::string why_no_promise(Epoch epoch, const NodeName& candidate) const;
  [[nodiscard]] Epoch highest_promise() const;
  [[nodiscard]] Epoch next_epoch() const;
  [[nodiscard]] Epoch failover_epoch() const;
  [[nodiscard]] uint64_t place() const;
  [[nodiscard]] bool is_bidding() const;
  [[nodiscard]] bool has_voters() const { return !config_.voters.empty(); }
  [[nodiscard]] size_t majority() const { return config_.voters.size() / 2 + 1; }
  [[nodiscard]] bool is_voter(const NodeName& node) const;
  [[nodiscard]] bool has_lease() const { return !has_voters() || now_ < lease_.until; }
  [[nodiscard]] Epoch lease_epoch() const;
  [[nodiscard]] Time lease_end() const;
  [[nodiscard]] Time lease_lost_at() const;
  [[nodiscard]] std::string lease_waits_for() const;
  [[nodiscard]] Durable durable_as_voter() const;
  [[nodiscard]] bool has_vote() const;
  void recover_vote();
  void meet_peers();
  void keep_lease();
  void ask_for_lease();
  void take_lease(const NodeName& from, const AskReply& reply);
  [[nodiscard]] bool hears_active_master() const;
  [[nodiscard]] bool misses_active_master() const;
  void watch_active_master();
  void note_failover();
  [[nodiscard]] Time may_stand_from() const;
  [[nodiscard]] Time watch_wakeup() const;
  void begin_following();
  void stand_down(StandDownJob job) { standing_down_ = run_aside(job); }
  [[nodiscard]] Error divergence() const;
  void describe_divergence(const JobDone& done);
  void look_at_replication(const std::vector<Source>& sources);
  void rest_from_following();
  void stop_receiving();
  [[nodiscard]] Time may_follow_from() const;
  void answer_rejoin(const Error& error);
  [[nodiscard]] std::vector<uint32_t> member_server_ids() const;
  [[nodiscard]] bool knows_all_members() const;
  [[nodiscard]] std::string standbys_that(bool (*is_meant)(Replication)) const;
  [[nodiscard]] Error take_acknowledgement(Proxy& proxy, SwitchoverId switchover) const;

  void begin_phase(Phase phase);
  void finish(Result result, Error error);  // by value: it may be the operation's own
  void store(std::shared_ptr<const SwitchoverReport> report);
  void answer(SwitchoverId id);
  void refuse(const SwitchRequest& request, const Error& error);
  void send_heartbeat();
  [[nodiscard]] bool is_here(const Proxy& proxy) const;
  [[nodiscard]] ProxyEntry entry_of(const Proxy& proxy) const;
  void send_proxies(const NodeName& to, const std::vector<ProxyEntry>& entries);
  void send_all_proxies(const NodeName& to);
  void send_proxy_news();
  [[nodiscard]] bool awaits_proxies() const;
  void ask_for_proxies();
  void send_history(const NodeName& to);
  void hear_pause(const NodeState& message);
  void expire_requests();

  const std::span<const Rule> table_;
  std::vector<const Rule*> here_;  // those of the state, in their order
  Config config_;
  Durable durable_;
  Durable next_durable_;                  // what the awaited PersistJob writes
  std::optional<Activation> activation_;  // highest known; this node's own only once it is open
  State state_ = State::kStart;
  WallTime since_ = 0;
  std::string last_error_;

  std::map<NodeName, Peer> peers_;
  std::map<std::string, Proxy> proxies_;
  std::set<std::string> proxy_news_;  // that the peers shall hear at once
  std::optional<HeardPause> pause_;   // of another node's switchover
  std::map<SwitchoverId, Request> requests_;
  std::map<JobId, Errand> errands_;
  std::optional<Operation> operation_;
  std::optional<Offer> offer_;  // that this node follows as candidate
  std::optional<SwitchoverId> bootstrap_;
  Following following_;
  Recall recall_;
  Voter voter_;
  bool may_lack_ = false;            // what it has acknowledged, see AskReply
  std::optional<Time> promised_at_;  // and the failover may still be under way
  bool has_begun_ = false;           // the voter knows when
  Lease lease_;
  Time stands_at_ = kNever;     // for a failover by itself
  int attempts_ = 0;            // in vain
  std::deque<Time> failovers_;  // of the last hour, as this node heard of them
  ServerStatus server_;
  std::optional<JobId> standing_down_;
  bool was_standby_ = false;  // when server_ was read
  bool stopping_ = false;
  bool was_fenced_ = false;  // as the operator's program was told

  uint64_t last_job_ = 0;
  std::optional<JobId> awaited_;
  std::optional<Job> awaited_job_;  // kept for a state that only goes forward and must try again
  Time retry_at_ = kNever;
  Time phase_deadline_ = kNever;
  Time heartbeat_at_{};
  Time gossip_at_{};    // when peers are told of all proxies again
  Time proxies_due_{};  // when proxies are told again what they know
  ToldProxies told_proxies_;

  std::deque<std::shared_ptr<const SwitchoverReport>> history_;
  std::deque<std::shared_ptr<const EventView>> events_;
  uint64_t last_event_ = 0;
  uint64_t done_ = 0;
  uint64_t aborted_ = 0;
  Duration last_write_pause_{0};
  Duration pace_{0};  // as this server's gate was told

  // The input at hand, for the guards and actions of the rules.
  Time now_;
  WallTime wall_ = 0;
  const JobDone* job_ = nullptr;
  std::optional<SwitchRequest> request_;
  const Offer* offered_ = nullptr;
  const Activation* heard_activation_ = nullptr;
  const CheckReply* check_reply_ = nullptr;
  const ProbeReply* probe_reply_ = nullptr;
  const Decline* decline_ = nullptr;
  const GrantRequest* grant_request_ = nullptr;
  const FollowReply* follow_reply_ = nullptr;
  const Ask* ask_ = nullptr;
  std::optional<SwitchoverId> rejoin_;
  std::optional<SwitchoverId> cancel_;
  NodeName from_;
  bool dirty_ = false;  // what the others should know has changed
  bool view_changed_ = false;
  bool proxies_changed_ = false;  // in the view, too
  std::vector<int> fired_;
  std::vector<Action> actions_;
};

}  // namespace active_master
