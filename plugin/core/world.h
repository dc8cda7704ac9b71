// Nodes that talk to each other in a test: messages arrive in order unless the test meddles, jobs
// succeed at once unless the test says otherwise, time passes when the test lets it.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "plugin/core/node.h"

namespace active_master::testing {

class World {
 public:
  struct PendingJob {
    NodeName node;
    JobId id;
    Job job;
  };

  explicit World(std::vector<NodeName> names) : names_(std::move(names)) {
    for (const auto& name : names_) start(name, {});
  }

  // --- what a test does ---

  // Starts the node with this durable state, as a server start would.
  void start(const NodeName& name, const Durable& durable) {
    nodes_[name] = std::make_unique<Node>(config(name), durable);
    give(name, ServerStarted{});
    for (const auto& other : names_) {
      if (other == name || !nodes_.contains(other)) continue;
      connect(name, other);
      connect(other, name);
    }
    run();
  }

  // Kills the node; its durable state stays.
  Durable crash(const NodeName& name) {
    Durable durable = disks_[name];
    nodes_.erase(name);
    std::erase_if(jobs_, [&](const auto& job) { return job.node == name; });
    for (const auto& [other, node] : nodes_) give(other, LinkDown{name, "gone"});
    run();
    return durable;
  }

  void restart(const NodeName& name) { start(name, disks_[name]); }

  void bootstrap(const NodeName& name) {
    give(name, BootstrapCommand{next_id()});
    run();
  }

  SwitchoverId ask(const NodeName& at, const NodeName& target, bool check_only = false) {
    const auto id = next_id();
    give(at, SwitchCommand{id, target, check_only});
    run();
    return id;
  }

  SwitchoverId fail_over(const NodeName& at, const NodeName& target, bool forced = false,
                         bool check_only = false) {
    const auto id = next_id();
    give(at, SwitchCommand{id, target, check_only, true, forced});
    run();
    return id;
  }

  void give(const NodeName& name, const Input& input) {
    const auto it = nodes_.find(name);
    if (it == nodes_.end()) return;
    Node& node = *it->second;
    for (auto& action : node.handle(input, now_, wall())) carry_out(name, action);
    fired_.insert(node.fired().begin(), node.fired().end());
  }

  // Delivers what is under way until nothing moves.
  void run() {
    while (true) {
      if (!mail_.empty()) {
        auto [to, message] = std::move(mail_.front());
        mail_.pop_front();
        give(to, message);
      } else if (const auto job = take_runnable_job(); job) {
        finish(*job, "");
      } else {
        return;
      }
    }
  }

  void pass(Duration time) {
    constexpr Duration kStep{50'000};
    for (const Time end = now_ + time; now_ < end;) {
      now_ = now_ + kStep;
      for (const auto& name : names_) give(name, Tick{});
      run();
    }
  }

  // Time that nobody notices before the next input.
  void elapse(Duration time) { now_ = now_ + time; }

  void connect_proxy(const std::string& proxy, const NodeName& node) {
    give(node, ProxyConnected{proxy, "10.0.0.9"});
    run();
  }
  void proxy_says(const std::string& proxy, bool holding, SwitchoverId id, Epoch epoch) {
    ProxyState state;
    state.proxy = proxy;
    state.holding = holding;
    state.switchover = id;
    state.epoch = epoch;
    for (const auto& name : names_) give(name, state);
    run();
  }

  // Jobs of this kind stay undone on that node until finish_held().
  template <typename JobKind>
  void hold(const NodeName& node) {
    held_.insert({node, Job(JobKind{}).index()});
  }
  // Ends what is held; with an error if one is given. What comes later is not held.
  void finish_held(const std::string& error = "") {
    held_.clear();
    auto jobs = std::exchange(jobs_, {});
    for (const auto& job : jobs) finish(job, error);
    run();
  }
  [[nodiscard]] bool has_held() const { return !jobs_.empty(); }

  // The next message of this kind to that node is lost.
  template <typename Message>
  void lose_next(const NodeName& to) {
    lose_ = {to, NodeMessage(Message{}).index()};
  }

  // --- what a test looks at ---

  Node& node(const NodeName& name) { return *nodes_.at(name); }
  [[nodiscard]] const SwitchoverReport* answer(SwitchoverId id) const {
    const auto it = answers_.find(id);
    return it == answers_.end() ? nullptr : it->second.get();
  }
  [[nodiscard]] std::vector<NodeName> writable() const {
    std::vector<NodeName> names;
    for (const auto& [name, node] : nodes_) {
      if (node->role() == Role::kActive && !node->fenced()) names.push_back(name);
    }
    return names;
  }
  // The lease, as the node's gate was told.
  [[nodiscard]] Time write_until(const NodeName& name) { return write_until_[name]; }
  // What the node's gate was told, in order.
  [[nodiscard]] const std::vector<Duration>& paces(const NodeName& name) { return paces_[name]; }
  [[nodiscard]] const std::set<int>& fired() const { return fired_; }
  [[nodiscard]] const Durable& disk(const NodeName& name) { return disks_[name]; }
  Config& config_of(const NodeName& name) { return configs_[name]; }
  [[nodiscard]] const NodeState& told_to_all(const NodeName& name) { return told_[name]; }
  [[nodiscard]] const NodeState& told_to_proxies(const NodeName& name) {
    return told_to_proxies_[name];
  }

  std::function<void(const PendingJob&, JobDone&)> on_job = [](const PendingJob&, JobDone&) {};

 private:
  Config config(const NodeName& name) {
    auto [it, is_new] = configs_.try_emplace(name);
    if (is_new) {
      Config& config = it->second;
      config.identity = {"test", name, static_cast<uint32_t>(configs_.size())};
      config.sql_address = name + ":3306";
      for (const auto& other : names_) {
        if (other != name) config.peers.push_back({other, {other, 33307}});
      }
    }
    return it->second;
  }

  void connect(const NodeName& from, const NodeName& to) { give(from, LinkUp{to}); }

  void carry_out(const NodeName& name, Action& action) {
    if (auto* send = std::get_if<SendToNode>(&action)) {
      post(name, send->node, std::move(send->message));
    } else if (auto* all = std::get_if<SendToAll>(&action)) {
      told_[name] = all->state;
      if (all->to_proxies) told_to_proxies_[name] = all->state;
      for (const auto& other : names_) {
        if (other != name) post(name, other, all->state);
      }
    } else if (auto* run_job = std::get_if<RunJob>(&action)) {
      jobs_.push_back({name, run_job->id, std::move(run_job->job)});
    } else if (const auto* pace = std::get_if<Pace>(&action)) {
      paces_[name].push_back(pace->distance);
    } else if (const auto* write = std::get_if<WriteUntil>(&action)) {
      write_until_[name] = write->until;
    } else if (auto* cancel = std::get_if<CancelJob>(&action)) {
      std::erase_if(jobs_,
                    [&](const auto& job) { return job.node == name && job.id == cancel->id; });
    } else if (auto* answer = std::get_if<Answer>(&action)) {
      answers_[answer->report->id] = answer->report;
    }
  }

  void post(const NodeName& from, const NodeName& to, NodeMessage message) {
    if (!nodes_.contains(to)) return;
    if (lose_ == std::pair{to, message.index()}) {
      lose_ = {};
      return;
    }
    mail_.push_back({to, FromNode{from, std::move(message)}});
  }

  std::optional<PendingJob> take_runnable_job() {
    for (auto it = jobs_.begin(); it != jobs_.end(); ++it) {
      if (held_.contains({it->node, it->job.index()})) continue;
      PendingJob job = std::move(*it);
      jobs_.erase(it);
      return job;
    }
    return std::nullopt;
  }

  void finish(const PendingJob& job, const std::string& error) {
    JobDone done;
    done.id = job.id;
    done.error = error;
    if (std::holds_alternative<HandoverJob>(job.job)) done.text = "0-1-100";
    if (std::holds_alternative<ReadPositionJob>(job.job)) done.text = "0-1-99";
    on_job(job, done);
    const auto* persist = std::get_if<PersistJob>(&job.job);
    if (persist && done.error.empty()) disks_[job.node] = persist->durable;
    give(job.node, done);
  }

  SwitchoverId next_id() { return {++last_id_}; }
  [[nodiscard]] WallTime wall() const { return static_cast<WallTime>(now_.since_start.count()); }

  std::vector<NodeName> names_;
  std::map<NodeName, Config> configs_;
  std::map<NodeName, std::unique_ptr<Node>> nodes_;
  std::map<NodeName, Durable> disks_;
  std::deque<std::pair<NodeName, FromNode>> mail_;
  std::vector<PendingJob> jobs_;
  std::set<std::pair<NodeName, size_t>> held_;
  std::pair<NodeName, size_t> lose_;
  std::map<SwitchoverId, std::shared_ptr<const SwitchoverReport>> answers_;
  std::map<NodeName, NodeState> told_;
  std::map<NodeName, NodeState> told_to_proxies_;
  std::map<NodeName, Time> write_until_;
  std::map<NodeName, std::vector<Duration>> paces_;
  std::set<int> fired_;
  uint64_t last_id_ = 0;
  Time now_{};
};

}  // namespace active_master::testing
