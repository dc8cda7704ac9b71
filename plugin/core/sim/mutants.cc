#include "plugin/core/sim/mutants.h"

#include <algorithm>

namespace active_master {

// What a rule does wrong, with the means of the node itself.
struct Mutations {
  static void send_grant_before_it_is_durable(Node& n) {
    const auto& report = *n.operation_->report;
    Durable next = n.durable_;
    next.role = Role::kStandby;
    next.intent.reset();
    next.grant = Grant{report.id, report.epoch, report.to, n.operation_->gtid};
    n.phase_deadline_ = kNever;
    n.send(report.to, Offer{report.id, report.epoch, report.to, n.operation_->gtid, true,
                            n.config_.catch_up_timeout});
    n.persist(std::move(next));
  }
  static void persist_active_in_the_failed_epoch(Node& n) {
    n.cancel_job();
    Durable next = n.durable_;
    next.role = Role::kActive;
    next.epoch = n.operation_->report->epoch;
    next.active_node = n.self();
    next.intent.reset();
    n.persist(std::move(next));
  }
  static void forget_lease(Node& n) { n.has_begun_ = true; }
  static bool offered_to_us(const Node& n) { return n.offered_->candidate == n.self(); }
  static void open_writes(Node& n) { n.run(OpenWritesJob{}); }
  static void report_done(Node& n) { n.finish(Result::kDone, {}); }
  static bool was_active(const Node& n) { return n.durable_.role == Role::kActive; }
  static bool is_bidding(const Node& n) { return n.operation_->is_bidding; }
  static void persist_failover(Node& n) {
    Durable next = n.durable_;
    next.role = Role::kActive;
    next.epoch = n.operation_->report->epoch;
    next.active_node = n.self();
    next.intent.reset();
    next.grant.reset();
    next.promise.reset();
    n.persist(std::move(next));
  }
};

namespace sim {
namespace {

using S = State;

std::vector<Rule> product() {
  return {rules().begin(), rules().end()};
}

// The product's table with one rule changed.
template <typename Change>
Mutant changed(const char* name, int number, Change change) {
  Mutant mutant;
  mutant.name = name;
  mutant.table = product();
  change(*std::ranges::find(mutant.table, number, &Rule::number));
  return mutant;
}

Mutant without(const char* name, int number) {
  Mutant mutant;
  mutant.name = name;
  mutant.table = product();
  std::erase_if(mutant.table, [&](const Rule& rule) { return rule.number == number; });
  return mutant;
}

Mutant lying(const char* name, bool Mutant::*how) {
  Mutant mutant;
  mutant.name = name;
  mutant.*how = true;
  return mutant;
}

auto action_of(int number) {
  return std::ranges::find(rules(), number, &Rule::number)->action;
}

}  // namespace

void forget_lease(Node& node) {
  Mutations::forget_lease(node);
}

const std::vector<Mutant>& mutants() {
  static const std::vector<Mutant> all = [] {
    std::vector<Mutant> list;
    const auto add = [&](Mutant mutant) { list.push_back(std::move(mutant)); };
    add(changed("skips_the_grant", 404, [](Rule& r) {
      r.action = action_of(403);
      r.to = S::kActivatePersist;
    }));
    add(changed("activates_before_catch_up", 400, [](Rule& r) { r.to = S::kRequest; }));
    add(changed("sends_the_grant_before_it_is_durable", 216,
                [](Rule& r) { r.action = Mutations::send_grant_before_it_is_durable; }));
    add(changed("reuses_the_failed_epoch", 308,
                [](Rule& r) { r.action = Mutations::persist_active_in_the_failed_epoch; }));
    add(changed("resumes_in_the_old_epoch", 832, [](Rule& r) {
      r.action = Mutations::open_writes;
      r.to = S::kReopen;
    }));
    add(changed("opens_again_after_the_grant", 831, [](Rule& r) {
      r.action = Mutations::open_writes;
      r.to = S::kReopen;
    }));
    add(changed("activates_before_it_is_durable", 407, [](Rule& r) {
      r.action = Mutations::open_writes;
      r.to = S::kActivateOpen;
    }));
    add(changed("does_not_fence", 213, [](Rule& r) {
      r.action = action_of(214);
      r.to = S::kHandover;
    }));
    add(changed("does_not_drain", 212, [](Rule& r) {
      r.guard = nullptr;
      r.action = action_of(213);
      r.to = S::kFence;
    }));
    add(changed("does_not_wait_for_proxies", 212, [](Rule& r) { r.guard = nullptr; }));
    add(changed("follows_any_offer", 400, [](Rule& r) { r.guard = Mutations::offered_to_us; }));
    add(without("ignores_the_new_active_master", 219));
    add(without("ignores_that_the_offer_was_taken_back", 411));
    add(without("does_not_try_again", 601));
    add(changed("reports_success_at_the_grant", 217,
                [](Rule& r) { r.action = Mutations::report_done; }));
    add(changed("reopens_without_asking", 103, [](Rule& r) { r.guard = Mutations::was_active; }));
    add(changed("activates_before_it_has_applied", 818, [](Rule& r) {
      r.action = Mutations::persist_failover;
      r.to = S::kActivatePersist;
    }));
    add(changed("activates_without_promises", 818,
                [](Rule& r) { r.guard = Mutations::is_bidding; }));
    add(without("ignores_that_another_has_more", 820));
    add(lying("forgets_the_grant_at_restart", &Mutant::forgets_grant));
    add(lying("disk_that_lies", &Mutant::disk_lies));
    add(lying("fence_that_leaks", &Mutant::fence_lies));
    add(lying("catch_up_that_lies", &Mutant::catch_up_lies));
    add(lying("server_that_starts_open", &Mutant::starts_open));
    add(lying("proxy_that_does_not_hold", &Mutant::proxy_lies));
    add(lying("sql_proxy_that_does_not_hold", &Mutant::sql_proxy_lies));
    add(lying("proxy_that_forgets", &Mutant::proxy_forgets));
    add(lying("voter_that_forgets_its_lease", &Mutant::forgets_lease));
    add(lying("gate_that_ignores_the_lease", &Mutant::gate_ignores_lease));
    add(lying("lease_that_counts_from_its_receipt", &Mutant::lease_from_receipt));
    add(lying("voter_that_goes_on_receiving", &Mutant::voter_goes_on_receiving));
    add(lying("witness_that_votes_without_its_disk", &Mutant::wiped_witness_votes));
    add(lying("nodes_that_do_not_pass_on_proxies", &Mutant::drops_proxy_news));
    return list;
  }();
  return all;
}

}  // namespace sim
}  // namespace active_master
