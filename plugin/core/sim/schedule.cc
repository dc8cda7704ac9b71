#include "plugin/core/sim/schedule.h"

#include <algorithm>
#include <array>

#include "plugin/core/sim/random.h"

namespace active_master::sim {

namespace {

constexpr int kFirstOfWitness = static_cast<int>(FaultKind::kCrashWitness);
constexpr int kFirstOfSqlProxy = static_cast<int>(FaultKind::kCrashSqlProxy);

// Two nodes and a witness. From a stream of chance of its own, so that what a seed means without
// one did not change when witnesses came.
void add_witness(Schedule& s) {
  Random random(s.seed ^ 0x71);
  if (!s.voters || !random.one_in(3)) return;
  s.witness = true;
  s.nodes = 2;
  s.asked_at %= 2;
  s.target = 1;
  for (auto left = random.below(4); left > 0; --left) {
    s.faults.push_back({static_cast<FaultKind>(random.between(
                            kFirstOfWitness, static_cast<int>(FaultKind::kCutWitness))),
                        static_cast<uint32_t>(random.below(200)),
                        static_cast<uint8_t>(random.below(2)), 0,
                        Duration{random.between(1'000, random.one_in(2) ? 100'000 : 3'000'000)}});
  }
}

// The same for a proxy that speaks only SQL.
void add_sql_proxy(Schedule& s) {
  Random random(s.seed ^ 0x59);
  if (!random.one_in(4)) return;
  s.sql_proxy = true;
  if (s.faults.empty()) return;
  for (auto left = random.below(3); left > 0; --left) {
    s.faults.push_back({static_cast<FaultKind>(random.between(
                            kFirstOfSqlProxy, static_cast<int>(FaultKind::kCutSqlProxy))),
                        static_cast<uint32_t>(random.below(200)),
                        static_cast<uint8_t>(random.below(s.nodes)), 0,
                        Duration{random.between(1'000, random.one_in(2) ? 100'000 : 3'000'000)}});
  }
}

}  // namespace

const char* to_string(FaultKind kind) {
  static constexpr std::array<const char*, kFaultKinds> kNames{"drop message",
                                                               "duplicate message",
                                                               "delay message",
                                                               "fail job",
                                                               "fail job after effect",
                                                               "slow job",
                                                               "hang job",
                                                               "crash node",
                                                               "freeze node",
                                                               "stop node",
                                                               "disk full",
                                                               "cut one way",
                                                               "cut both ways",
                                                               "reset link",
                                                               "crash proxy",
                                                               "wipe proxy",
                                                               "freeze proxy",
                                                               "hang proxy",
                                                               "cancel",
                                                               "ask again",
                                                               "ask elsewhere",
                                                               "check only",
                                                               "reconfigure",
                                                               "long transaction",
                                                               "privileged write",
                                                               "stop replication",
                                                               "lag",
                                                               "errant transaction",
                                                               "make writable",
                                                               "failover check",
                                                               "failover",
                                                               "force failover",
                                                               "crash witness",
                                                               "wipe witness",
                                                               "freeze witness",
                                                               "cut witness",
                                                               "crash SQL proxy",
                                                               "freeze SQL proxy",
                                                               "cut SQL proxy"};
  return kNames.at(static_cast<size_t>(kind));
}

Schedule generate(uint64_t seed) {
  Random random(seed);
  Schedule s;
  s.seed = seed;
  s.nodes = static_cast<uint8_t>(random.one_in(8) ? random.one_in(2) ? 2 : 4 : 3);
  s.proxies = static_cast<uint8_t>(random.one_in(8) ? random.below(5) : 3);
  s.bootstrap = random.one_in(32);
  s.sparse_proxies = random.one_in(6);
  s.asks = static_cast<uint8_t>(random.one_in(6) ? 2 + random.below(2) : 1);
  s.asked_at = static_cast<uint8_t>(random.below(s.nodes));
  s.target = static_cast<uint8_t>(1 + random.below(s.nodes - 1));
  // Few faults find more than many: with many the switchover does not get far.
  const uint64_t count = random.one_in(16) ? 0 : 1 + random.below(random.one_in(4) ? 12 : 5);
  for (uint64_t i = 0; i < count; ++i) {
    Fault fault;
    fault.kind = static_cast<FaultKind>(random.below(kFirstOfWitness));
    const bool is_job = fault.kind >= FaultKind::kFailJob && fault.kind <= FaultKind::kHangJob;
    const uint64_t span = is_job ? 24 : random.one_in(4) ? 500 : 260;
    fault.at = static_cast<uint32_t>(random.below(span));
    fault.who = static_cast<uint8_t>(random.below(64));
    fault.other = static_cast<uint8_t>(random.below(64));
    // From a blink to longer than any limit, each magnitude as likely as the other.
    Duration longest{1'000};
    for (auto steps = random.below(5); steps > 0; --steps) longest *= 10;
    fault.duration = Duration{random.between(longest.count() / 10, longest.count())};
    s.faults.push_back(fault);
  }
  // An active master that dies, news that don't reach everybody, and operators who fail over.
  if (random.one_in(4)) {
    constexpr std::array kKinds{FaultKind::kFailover,      FaultKind::kFailover,
                                FaultKind::kForceFailover, FaultKind::kCrashNode,
                                FaultKind::kCutBothWays,   FaultKind::kFailoverCheck};
    s.faults.resize(std::min<size_t>(s.faults.size(), 4));
    uint32_t at = static_cast<uint32_t>(random.below(200));
    for (auto left = 1 + random.below(4); left > 0; --left) {
      at += static_cast<uint32_t>(random.below(60));
      s.faults.push_back(
          {kKinds[random.below(kKinds.size())], at, static_cast<uint8_t>(random.below(64)),
           static_cast<uint8_t>(random.below(64)), Duration{random.between(1'000, 3'000'000)}});
    }
  }
  // Who is no peer is not asked; nobody fails over in the middle of a change of the membership.
  const bool fails_over = std::ranges::any_of(
      s.faults, [](const Fault& f) { return f.kind >= FaultKind::kFailoverCheck; });
  for (auto& fault : s.faults) {
    if (fails_over && fault.kind == FaultKind::kReconfigure) fault.kind = FaultKind::kResetLink;
  }
  s.star = random.one_in(3);
  s.kills = random.one_in(4);
  s.voters = random.one_in(4);
  // The active master is cut off or sleeps, and just then a voter starts anew.
  if (s.voters && random.one_in(2)) {
    constexpr std::array kKinds{FaultKind::kCutBothWays, FaultKind::kCutOneWay,
                                FaultKind::kFreezeNode, FaultKind::kCrashNode};
    const auto at = static_cast<uint32_t>(random.below(200));
    for (uint8_t other = 1; other < s.nodes; ++other) {
      s.faults.push_back(
          {kKinds[random.below(3)], at, 0, other, Duration{random.between(500'000, 3'000'000)}});
    }
    s.faults.push_back(
        {random.one_in(2) ? FaultKind::kCrashNode : kKinds[random.below(4)],
         at + static_cast<uint32_t>(random.below(20)), static_cast<uint8_t>(random.below(s.nodes)),
         static_cast<uint8_t>(random.below(s.nodes)), Duration{random.between(1'000, 100'000)}});
  }
  for (auto& fault : s.faults) {
    if (s.voters && fault.kind == FaultKind::kReconfigure) fault.kind = FaultKind::kFreezeNode;
  }
  add_witness(s);
  add_sql_proxy(s);
  return s;
}

std::string to_string(const Schedule& s) {
  std::string text =
      "seed " + std::to_string(s.seed) + ": " + std::to_string(s.nodes) + " nodes, " +
      std::to_string(s.proxies) + " proxies" + (s.sparse_proxies ? " at one node each" : "") +
      (s.star ? " in a star" : "") + (s.sql_proxy ? " and one of SQL" : "") +
      (s.voters ? " that vote" : "") + (s.witness ? ", and a witness" : "") +
      (s.kills ? " that kill transactions" : "") + (s.bootstrap ? ", with bootstrap" : "") + ", " +
      std::to_string(s.asks) + " switchover(s), asked at n" + std::to_string(s.asked_at + 1) +
      " for n" + std::to_string(s.target + 1) + "\n";
  for (const auto& f : s.faults) {
    text += "  " + std::string(to_string(f.kind)) + " at " + std::to_string(f.at) + " who " +
            std::to_string(f.who) + " other " + std::to_string(f.other) + " for " +
            std::to_string(f.duration.count()) + " us\n";
  }
  return text;
}

}  // namespace active_master::sim
