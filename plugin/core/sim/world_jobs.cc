// The model of MariaDB: how jobs go, who can commit, what arrives where.
#include <algorithm>
#include <charconv>
#include <utility>

#include "plugin/core/sim/note.h"
#include "plugin/core/sim/trace.h"
#include "plugin/core/sim/world.h"

namespace active_master::sim {
namespace {

constexpr const char* kNotYet = "not yet";
constexpr const char* kErrant = "0-9-1";

size_t position_of(const std::string& gtid) {
  const auto dash = gtid.rfind('-');
  size_t position = 0;
  if (dash != std::string::npos)
    std::from_chars(gtid.data() + dash + 1, gtid.data() + gtid.size(), position);
  return position;
}

// Statements that the server ends after so long, whatever holds them up.
Duration statement_limit(const Job& job) {
  if (const auto* fence = std::get_if<FenceJob>(&job)) return fence->timeout;
  if (const auto* handover = std::get_if<HandoverJob>(&job)) return handover->timeout;
  return Duration{0};
}

Duration timeout_of(const Job& job) {
  if (const auto* wait = std::get_if<WaitForPositionJob>(&job)) return wait->timeout;
  if (const auto* drain = std::get_if<DrainJob>(&job)) return drain->timeout;
  if (const auto* apply = std::get_if<ApplyJob>(&job)) return apply->timeout;
  if (const auto* catch_up = std::get_if<CatchUpJob>(&job)) return catch_up->timeout;
  if (const auto* await = std::get_if<AwaitTransactionsJob>(&job))
    return std::max(await->active_limit, await->idle_limit);
  return Duration{0};
}

}  // namespace

void World::start_job(uint8_t number, JobId id, Job job) {
  auto& n = nodes_[number];
  RunningJob running;
  running.id = id;
  running.job = std::move(job);
  running.work = Duration{random_.between(20, 400)};
  if (asked_) {
    ++jobs_;
    if (!healed_) {
      for (const auto& fault : schedule_.faults) {
        if (fault.kind < FaultKind::kFailJob || fault.kind > FaultKind::kHangJob ||
            fault.at != jobs_)
          continue;
        note("fault: ", to_string(fault.kind), " ", id.value, " of ", n.name);
        running.fails |= fault.kind == FaultKind::kFailJob;
        running.fails_after_effect |= fault.kind == FaultKind::kFailJobAfterEffect;
        if (fault.kind == FaultKind::kSlowJob) running.work += fault.duration;
        // However often they are hit, as the server's own limit ends each, and what waits behind
        // several shall not outlast the minute in which all is well again.
        if (fault.kind == FaultKind::kHangJob)
          running.work += std::exchange(n.server.may_hang, Duration{0});
      }
    }
  }
  if (std::holds_alternative<FenceJob>(running.job)) invariants_.fencing(number);
  const Lane lane = lane_of(running.job);
  note(n.name, " runs ", to_string(running.job), " ", id.value);
  n.server.lanes[lane].push_back(std::move(running));
  begin_next(number, lane);
}

void World::begin_next(uint8_t number, uint8_t lane) {
  auto& n = nodes_[number];
  auto& queue = n.server.lanes[lane];
  if (queue.empty() || queue.front().started) return;
  auto& job = queue.front();
  job.started = true;
  job.began = now_;
  const auto timeout = timeout_of(job.job);
  if (timeout > Duration{0}) job.deadline = now_ + timeout;
  if (std::holds_alternative<DrainJob>(job.job)) n.server.gate_open = false;
  push(job.work, Kind::kJobEffect, number, lane, n.incarnation, job.id.value);
}

void World::cancel_job(uint8_t number, JobId id) {
  for (auto& queue : nodes_[number].server.lanes) {
    for (auto& job : queue) {
      if (job.id == id && job.started) job.cancelled = true;
    }
    std::erase_if(queue, [&](const RunningJob& job) { return job.id == id && !job.started; });
  }
}

void World::job_effect(uint8_t number, uint8_t lane) {
  auto& n = nodes_[number];
  auto& queue = n.server.lanes[lane];
  if (queue.empty()) return;
  auto& job = queue.front();
  JobDone done;
  done.id = job.id;
  const auto limit = statement_limit(job.job);
  if (job.fails) {
    done.error = "no luck";
  } else if (limit > Duration{0} && now_ > job.began + limit) {
    done.error = "max_statement_time";
  } else {
    done.error = attempt(number, job, done);
    if (done.error == kNotYet) {
      if (job.cancelled) {
        done.error = "cancelled";
      } else if (now_ < job.deadline) {
        job.poll = std::clamp(job.poll * 2, Duration{500}, Duration{40'000});
        push(job.poll, Kind::kJobEffect, number, lane, n.incarnation);
        return;
      } else {
        done.error = "not in time";
      }
    }
    if (job.fails_after_effect) done.error = "no luck after all";
  }
  uint32_t slot;
  if (free_answers_.empty()) {
    slot = static_cast<uint32_t>(answers_.size());
    answers_.push_back(std::move(done));
  } else {
    slot = free_answers_.back();
    free_answers_.pop_back();
    answers_[slot] = std::move(done);
  }
  push(Duration{random_.between(10, 200)}, Kind::kJobAnswer, number, lane, n.incarnation, slot);
  queue.pop_front();
  begin_next(number, lane);
}

std::string World::attempt(uint8_t number, RunningJob& running, JobDone& done) {
  auto& n = nodes_[number];
  auto& server = n.server;
  const auto& job = running.job;
  if (const auto* persist = std::get_if<PersistJob>(&job)) {
    if (now_ < n.disk_full_until) return "disk full";
    if (mutant_ && mutant_->disk_lies) return {};
    if (persist->durable.role == Role::kActive && is_failover(n.disk.epoch, persist->durable.epoch))
      note_failover(number, persist->durable.epoch);
    invariants_.stored(number, n.disk, persist->durable);
    n.disk = persist->durable;
    return {};
  }
  if (std::holds_alternative<CheckLocalJob>(job)) {
    done.rows.push_back({n.name, "local", Verdict::kOk, {}, {}});
    done.facts.server_id = number + 1U;
    return {};
  }
  if (std::holds_alternative<CheckCandidateJob>(job)) {
    const bool is_fit = server.replicating && !server.errant && server.sources != 0;
    done.rows.push_back({n.name,
                         "candidate",
                         is_fit ? Verdict::kOk : Verdict::kFailed,
                         is_fit ? "" : "not fit",
                         {}});
    return {};
  }
  if (std::holds_alternative<ReadPositionJob>(job)) {
    done.text = "0-1-" + std::to_string(server.applied);
    return {};
  }
  if (const auto* read = std::get_if<ReadGtidsJob>(&job); read && read->with_relay_logs) {
    done.text = "0-1-" + std::to_string(std::max(server.applied, server.received));
    return {};
  }
  if (std::holds_alternative<ReadGtidsJob>(job)) {
    done.text = server.errant ? kErrant : "";
    return {};
  }
  if (const auto* compare = std::get_if<CompareGtidsJob>(&job)) {
    done.facts.gtid_binlog_state = "0-1-" + std::to_string(server.applied);
    done.text = compare->gtids;
    return {};
  }
  if (const auto* follow = std::get_if<FollowJob>(&job)) {
    const auto master = static_cast<uint8_t>(follow->server_id - 1);
    invariants_.follows(number, master);
    if (schedule_.star && !(server.sources >> master & 1)) server.sources = 0;
    if (follow->alone) server.sources = 0;
    server.sources = static_cast<uint8_t>(server.sources | 1U << master);
    server.stopped = static_cast<uint8_t>(server.stopped & ~(1U << master));
    replicate_from(master);
    return {};
  }
  if (const auto* leave = std::get_if<LeaveJob>(&job)) {
    if (const auto old = node_number(leave->address.substr(0, leave->address.find(':'))))
      server.sources = static_cast<uint8_t>(server.sources & ~(1U << *old));
    for (const auto member : leave->members)
      server.sources = static_cast<uint8_t>(server.sources & ~(1U << (member - 1)));
    return {};
  }
  if (std::holds_alternative<StopReceivingJob>(job)) {
    if (!mutant_ || !mutant_->voter_goes_on_receiving) server.stopped = 0xff;
    if (n.node && n.node->durable().promise) server.promised = n.node->durable().promise->epoch;
    done.text = "0-1-" + std::to_string(std::max(server.applied, server.received));
    return {};
  }
  if (const auto* wait = std::get_if<WaitForPositionJob>(&job)) {
    return server.applied >= position_of(wait->gtid_position) ? "" : kNotYet;
  }
  if (const auto* apply = std::get_if<ApplyJob>(&job)) {
    if (apply->timeout > Duration{0} && server.applied < server.received) return kNotYet;
    bool is_behind = false;
    for (const auto& other : apply->others) {
      const size_t own = apply->timeout == Duration{0} ? std::max(server.applied, server.received)
                                                       : server.applied;
      const bool has_more = position_of(other.gtids) > own;
      is_behind |= has_more;
      done.rows.push_back(
          {other.node, "transactions", has_more ? Verdict::kFailed : Verdict::kOk, "", {}});
    }
    if (is_behind && now_ - running.began < apply->patience) {
      done.rows.clear();
      return kNotYet;
    }
    if (apply->timeout > Duration{0}) server.stopped = 0xff;
    return {};
  }
  if (const auto* await = std::get_if<AwaitTransactionsJob>(&job)) {
    return await_transactions(server, *await, now_ - running.began);
  }
  if (const auto* lull = std::get_if<AwaitLullJob>(&job)) {
    const bool is_over = now_ - running.began >= lull->patience;
    return is_over || server.transactions.empty() ? "" : kNotYet;
  }
  if (const auto* drain = std::get_if<DrainJob>(&job)) {
    if (drain->kill && now_ >= running.deadline) server.transactions.clear();
    return server.transactions.empty() ? "" : kNotYet;
  }
  // What the lane for rows may still write after the job.
  const bool is_fence = std::holds_alternative<FenceJob>(job);
  if (is_fence || std::holds_alternative<OpenWritesJob>(job) ||
      std::holds_alternative<StandDownJob>(job)) {
    server.may_record = false;
    server.may_hand_over &= is_fence;
    if (server.writes_a_row()) return kNotYet;
  }
  if (is_fence) {
    if (!mutant_ || !mutant_->fence_lies) server.fenced = server.read_only = true;
    return {};
  }
  const bool writes =
      std::holds_alternative<HandoverJob>(job) || std::holds_alternative<RecordActivationJob>(job);
  if (writes && clock_of(number) >= server.write_until) return "the lease has run out";
  if (const auto* handover = std::get_if<HandoverJob>(&job)) {
    if (!server.may_hand_over) return "it has stood down";
    invariants_.wrote_handover(number, handover->epoch);
    append(number, Entry::Kind::kHandover, handover->epoch);
    done.text = "0-1-" + std::to_string(history_.size());
    return {};
  }
  if (const auto* catch_up = std::get_if<CatchUpJob>(&job)) {
    if (mutant_ && mutant_->catch_up_lies) return {};
    const size_t position = position_of(catch_up->gtid);
    if (server.applied < position) return kNotYet;
    const bool seen = position >= 1 && history_[position - 1].kind == Entry::Kind::kHandover &&
                      history_[position - 1].epoch == catch_up->epoch;
    return seen ? "" : "the handover row did not arrive";
  }
  if (std::holds_alternative<OpenWritesJob>(job)) {
    server.fenced = server.read_only = false;
    server.may_record = server.may_hand_over = server.gate_open = true;
    // The plugin may be gone already, its thread is joined.
    const Epoch epoch = n.node ? n.node->durable().epoch : n.disk.epoch;
    // Superseded while it opened: without a lease nothing is let through until it is fenced again.
    if (schedule_.voters && n.disk.role != Role::kActive) return {};
    if (schedule_.voters && n.node && n.node->durable().role != Role::kActive) return {};
    if (is_failover(highest_opened_, epoch)) lose_what_is_missing(number, epoch);
    highest_opened_ = std::max(highest_opened_, epoch);
    invariants_.opened_writes(number, epoch);
    return {};
  }
  if (std::holds_alternative<StandDownJob>(job)) {
    server.fenced = server.read_only = true;
    server.gate_open = true;
    return {};
  }
  if (const auto* record = std::get_if<RecordActivationJob>(&job)) {
    if (!server.may_record) return "it is fenced";
    invariants_.wrote_activated(number, record->epoch);
    append(number, Entry::Kind::kActivated, record->epoch);
    return {};
  }
  return {};
}

// Each long one is waited for as long as its limit; then it is killed, or the job fails.
std::string World::await_transactions(Server& server, const AwaitTransactionsJob& job,
                                      Duration waited) const {
  const auto limit = [&](const Transaction& t) {
    return t.idle ? job.idle_limit : job.active_limit;
  };
  const auto counts = [&](const Transaction& t) {
    return now_ - t.since > kLongTransaction && limit(t) > Duration{0};
  };
  const auto is_over = [&](const Transaction& t) { return counts(t) && waited >= limit(t); };
  if (job.kill) {
    std::erase_if(server.transactions, is_over);
  } else if (std::ranges::any_of(server.transactions, is_over)) {
    return "a transaction does not end";
  }
  return std::ranges::any_of(server.transactions, counts) ? kNotYet : "";
}

Epoch World::epoch_of(uint8_t number) const {
  const auto& n = nodes_[number];
  return n.node ? n.node->durable().epoch : n.disk.epoch;
}

// --- the history and who has it ---

void World::append(uint8_t number, Entry::Kind kind, Epoch epoch) {
  auto& server = nodes_[number].server;
  if (server.applied != history_.size()) {
    return invariants_.violated("I2/3: " + nodes_[number].name + " writes though it has only " +
                                std::to_string(server.applied) + " of " +
                                std::to_string(history_.size()) + " transactions");
  }
  history_.push_back({kind, number, epoch});
  server.applied = history_.size();
  replicate_from(number);
}

// Whether it was forced must be known until it opens, which may be in another life of the node.
void World::note_failover(uint8_t number, Epoch epoch) {
  const auto& node = nodes_[number].node;
  const auto id = node ? node->view()->switchover : SwitchoverId{};
  const bool is_forced = !id || std::ranges::any_of(requests_, [&](const Request& r) {
    return r.id == id && r.forced;
  });
  if (is_forced) forced_epochs_.insert(epoch);
}

// A failover: what only others have is no longer of the history. They have diverged.
void World::lose_what_is_missing(uint8_t number, Epoch epoch) {
  const auto& candidate = nodes_[number];
  invariants_.failed_over(number, epoch, forced_epochs_.contains(epoch));
  const size_t kept = candidate.server.applied;
  for (auto& n : nodes_) {
    if (n.server.applied <= kept) continue;
    n.server.errant = true;
    n.server.errant_since = now_;
  }
  for (auto& n : nodes_) {
    n.server.applied = std::min(n.server.applied, kept);
    n.server.received = std::min(n.server.received, kept);
  }
  history_.resize(kept);
  acknowledged_ = std::min(acknowledged_, kept);
}

void World::replicate_from(uint8_t number) {
  for (uint8_t i = 0; i < nodes_.size(); ++i) {
    auto& server = nodes_[i].server;
    if (!server.receives_from(number)) continue;
    if (server.applied >= nodes_[number].server.applied) continue;
    if (flows(number, i) && !random_.one_in(4)) {
      server.received = std::max(server.received, nodes_[number].server.applied);
      acknowledge(number, server.received);
    }
    if (server.apply_pending) continue;
    server.apply_pending = true;
    push(server.lag + latency(), Kind::kApply, i, 0, 0);
  }
}

ServerStatus World::status_of(uint8_t number) const {
  const auto& server = nodes_[number].server;
  std::vector<Source> sources;
  for (uint8_t i = 0; i < nodes_.size(); ++i) {
    if ((server.sources >> i & 1) == 0) continue;
    sources.push_back({.address = nodes_[i].name + ":3306",
                       .server_id = i + 1U,
                       .error = server.receives_from(i) ? "" : "stopped"});
  }
  return {.read_only = server.read_only, .gtid_position = {}, .sources = std::move(sources)};
}

// Semi-synchronous replication: clients of the source are told of everything up to there, unless it
// is fenced and has closed their sessions. Of rows of our own nobody is told (seed 518318).
void World::acknowledge(uint8_t source, size_t position) {
  if (nodes_[source].server.fenced) return;
  while (position > 0 && history_[position - 1].kind != Entry::Kind::kClient) --position;
  acknowledged_ = std::max(acknowledged_, position);
}

bool World::flows(uint8_t from, uint8_t to) const {
  return nodes_[from].server.up && nodes_[to].server.up && nodes_[to].server.replicating &&
         !is_frozen(from) && !is_frozen(to) && !is_cut(from, to) && !is_cut(to, from);
}

void World::apply(uint8_t number) {
  auto& server = nodes_[number].server;
  server.apply_pending = false;
  if (!server.up) return;
  size_t reached = server.replicating ? std::max(server.applied, server.received) : server.applied;
  size_t highest = server.applied;  // of whom it replicates from
  for (uint8_t i = 0; i < nodes_.size(); ++i) {
    if (!server.receives_from(i)) continue;
    highest = std::max(highest, nodes_[i].server.applied);
    if (flows(i, number)) {
      reached = std::max(reached, nodes_[i].server.applied);
      acknowledge(i, nodes_[i].server.applied);
    }
  }
  if (reached > server.applied) {
    server.applied = reached;
    server.received = std::max(server.received, reached);
    replicate_from(number);
  }
  // Its relay log may end before what its source has.
  if (server.applied < highest && !server.apply_pending) {
    server.apply_pending = true;
    push(Duration{30'000}, Kind::kApply, number, 0, 0);
  }
}

// --- clients ---

// One client per proxy, which writes wherever its proxy sends it: often when traffic has just been
// opened, then less and less, because a write that nothing happens around finds nothing.
void World::client(uint8_t number) {
  auto& proxy = traffic(number);
  proxy.client_pause = std::min(proxy.client_pause * 2, Duration{800'000});
  push(Duration{random_.between(500, proxy.client_pause.count())} + proxy.pace, Kind::kClient,
       number, 0, 0);
  const bool has_party = number < proxies_.size();
  if (!proxy.open_at || now_ < proxy.frozen_until ||
      (has_party && is_cut(proxy_party(number), *proxy.open_at)))
    return;
  begin_transaction(*proxy.open_at, number, Duration{random_.between(50, 1'500)});
}

void World::begin_transaction(uint8_t number, std::optional<uint8_t> proxy, Duration length) {
  auto& server = nodes_[number].server;
  if (!server.up || !server.gate_open || server.read_only || is_frozen(number)) return;
  const uint64_t id = ++transactions_;
  server.transactions.push_back({id, now_, !proxy && id % 2 == 0});
  if (proxy) traffic(*proxy).transactions.push_back(id);
  push(length, Kind::kCommit, number, 0, nodes_[number].incarnation, id);
}

void World::commit(uint8_t number, uint64_t transaction) {
  auto& server = nodes_[number].server;
  for (auto& proxy : proxies_) std::erase(proxy.transactions, transaction);
  if (sql_proxy_) std::erase(sql_proxy_->transactions, transaction);
  const auto ended =
      std::erase_if(server.transactions, [&](const auto& t) { return t.id == transaction; });
  if (ended == 0) return;                         // lost in a crash, or killed
  if (!server.accepts(clock_of(number))) return;  // an error for the client
  invariants_.check_servers();
  invariants_.committed(number, epoch_of(number));
  append(number, Entry::Kind::kClient, epoch_of(number));
}

}  // namespace active_master::sim
