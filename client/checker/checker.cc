#include "client/checker/checker.h"

#include <algorithm>
#include <limits>
#include <map>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace active_master::lab {
namespace {

constexpr int64_t kForever = std::numeric_limits<int64_t>::max();

struct Key {
  uint32_t client;
  uint64_t sequence;

  bool operator==(const Key&) const = default;
};

struct KeyHash {
  size_t operator()(const Key& key) const {
    return std::hash<uint64_t>()(key.sequence * 0x9E3779B97F4A7C15U + key.client);
  }
};

std::string to_string(const Key& key) {
  return "client " + std::to_string(key.client) + " write " + std::to_string(key.sequence);
}

// How often each write is on a node, and who took it.
struct Found {
  std::vector<uint32_t> copies;  // by node
  uint32_t server_id = 0;
};
using FoundRows = std::unordered_map<Key, Found, KeyHash>;

FoundRows index(const std::vector<NodeRows>& nodes) {
  FoundRows found;
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (const Row& row : nodes[i].rows) {
      Found& entry = found[{row.client, row.sequence}];
      entry.copies.resize(nodes.size());
      ++entry.copies[i];
      entry.server_id = row.server_id;
    }
  }
  return found;
}

class Violations {
 public:
  explicit Violations(std::vector<std::string>& sentences) : sentences_(sentences) {}

  void add(uint64_t count, const std::string& what, const std::string& example) {
    if (count == 0) return;
    sentences_.push_back(std::to_string(count) + ' ' + what +
                         (example.empty() ? "" : ", e.g. " + example));
  }

 private:
  std::vector<std::string>& sentences_;
};

void check_nodes(const Recording& recording, const FoundRows& found, Report& report) {
  Violations violations(report.violations);
  std::unordered_set<Key, KeyHash> written;
  for (const Write& write : recording.history.writes) {
    written.insert({write.client, write.sequence});
  }
  for (size_t i = 0; i < recording.nodes.size(); ++i) {
    NodeReport& node = report.nodes.emplace_back();
    node.node = recording.nodes[i].node;
    node.rows = recording.nodes[i].rows.size();
    std::string missing;
    for (const Write& write : recording.history.writes) {
      if (write.answer != Answer::kOk) continue;
      const Key key{write.client, write.sequence};
      const auto entry = found.find(key);
      if (entry != found.end() && entry->second.copies[i] > 0) {
        ++node.acknowledged;
      } else if (++node.missing == 1) {
        missing = to_string(key);
      }
    }
    std::string duplicated;
    std::string stray;
    for (const auto& [key, entry] : found) {
      if (entry.copies[i] > 1 && ++node.duplicated == 1) duplicated = to_string(key);
      if (entry.copies[i] > 0 && !written.contains(key) && ++node.stray == 1)
        stray = to_string(key);
    }
    violations.add(node.missing, "acknowledged writes are lost on " + node.node, missing);
    violations.add(node.duplicated, "writes are there more than once on " + node.node, duplicated);
    violations.add(node.stray, "rows that no client wrote are on " + node.node, stray);
  }
}

void check_same_everywhere(const FoundRows& found, Report& report) {
  std::string example;
  for (const auto& [key, entry] : found) {
    const bool everywhere = std::all_of(entry.copies.begin(), entry.copies.end(),
                                        [](uint32_t copies) { return copies > 0; });
    if (!everywhere && ++report.differing == 1) example = to_string(key);
  }
  Violations(report.violations).add(report.differing, "writes are on some nodes only", example);
}

void check_answers(const History& history, const FoundRows& found, const Rules& rules,
                   Report& report) {
  std::string failed;
  std::string inside;
  std::string strict;
  uint64_t strict_count = 0;
  const auto describe = [](const Write& write) {
    return to_string(Key{write.client, write.sequence}) + " at " +
           std::string(to_string(write.stage)) + ": error " + std::to_string(write.error) + " " +
           write.text;
  };
  for (const Write& write : history.writes) {
    if (write.answer == Answer::kOk) {
      ++report.acknowledged;
      continue;
    }
    const bool present = found.contains({write.client, write.sequence});
    if (write.answer == Answer::kUnknown) {
      ++(present ? report.unknown_present : report.unknown_absent);
    } else if (present && ++report.failed_present == 1) {
      failed = describe(write);
    }
    // A connection that is found closed at the next statement was closed between transactions, but
    // only if that statement did nothing.
    const bool is_inside = write.stage == Stage::kInside || present;
    if (is_inside) {
      if (++report.errors_inside == 1) inside = describe(write);
    } else {
      ++report.errors_between;
    }
    if (history.strict_clients.contains(write.client) && ++strict_count == 1)
      strict = describe(write);
  }
  Violations violations(report.violations);
  violations.add(report.failed_present, "writes were refused but are there", failed);
  if (!rules.errors_inside_allowed) {
    violations.add(report.errors_inside, "errors inside of transactions", inside);
    violations.add(strict_count, "errors of clients that should see none", strict);
  }
}

// Each active master's term begins with its switchover and ends when its successor was known to
// have taken a write. A write that lies outside of every term of its node was taken by a second
// master.
void check_one_master(const Recording& recording, const FoundRows& found, Report& report) {
  struct Term {
    uint32_t server_id = 0;
    int64_t start_us = 0;
    int64_t opened_us = kForever;  // the first acknowledgement of a write
    int64_t next_us = kForever;    // the next switchover begins
  };
  std::map<std::string, uint32_t> ids;
  for (const NodeRows& node : recording.nodes) ids[node.node] = node.server_id;
  std::vector<Term> terms = {{ids[recording.history.first_active], 0, 0, kForever}};
  for (const Switchover& switchover : recording.history.switchovers) {
    if (!switchover.done) continue;
    terms.back().next_us = switchover.start_us;
    terms.push_back({ids[switchover.to], switchover.start_us, kForever, kForever});
  }

  struct Taken {
    const Write* write;
    uint32_t server_id;
  };
  std::vector<Taken> taken;
  for (const Write& write : recording.history.writes) {
    const auto entry = found.find({write.client, write.sequence});
    if (write.answer == Answer::kOk && entry != found.end()) {
      taken.push_back({&write, entry->second.server_id});
    }
  }
  for (Term& term : terms) {
    for (const Taken& t : taken) {
      if (t.server_id == term.server_id && t.write->end_us >= term.start_us &&
          t.write->end_us < term.next_us) {
        term.opened_us = std::min(term.opened_us, t.write->end_us);
      }
    }
  }
  std::string example;
  for (const Taken& t : taken) {
    bool allowed = false;
    for (size_t i = 0; i < terms.size() && !allowed; ++i) {
      const int64_t last = i + 1 < terms.size() ? terms[i + 1].opened_us : kForever;
      allowed = t.server_id == terms[i].server_id && t.write->start_us <= last &&
                t.write->end_us >= terms[i].start_us;
    }
    if (!allowed && ++report.two_masters == 1) {
      example = to_string(Key{t.write->client, t.write->sequence}) + " on server_id " +
                std::to_string(t.server_id);
    }
  }
  Violations(report.violations)
      .add(report.two_masters, "writes were taken by a node while another one was active", example);
}

// Epochs as nodes and proxies said them: they only grow, one node is active in each, and no node
// can still be written to once a node of a higher epoch could.
void check_epochs(const Recording& recording, Report& report) {
  struct Active {
    std::string node;
    int64_t writable_us = kForever;  // the end of the first look that found it writable
  };
  std::map<uint64_t, Active> active;
  std::map<std::string, uint64_t> highest;
  std::map<std::string, int64_t> lives;
  std::string lower;
  std::string second;
  for (const Observation& seen : recording.observations) {
    uint64_t& known = highest[seen.who];
    // What a standby had only heard it has to hear again after a restart; an active master has not.
    const bool is_new = std::exchange(lives[seen.who], seen.life) != seen.life;
    if (is_new && seen.role != "ACTIVE") known = std::min(known, seen.epoch);
    if (seen.epoch < known && ++report.epochs_lowered == 1) {
      lower =
          seen.who + " went from " + std::to_string(known) + " to " + std::to_string(seen.epoch);
    }
    known = std::max(known, seen.epoch);
    if (seen.role != "ACTIVE") continue;
    Active& term = active.try_emplace(seen.epoch, Active{seen.who, kForever}).first->second;
    if (term.node != seen.who && ++report.epochs_shared == 1) {
      second = term.node + " and " + seen.who + " in " + std::to_string(seen.epoch);
    }
    if (seen.is_writable) term.writable_us = std::min(term.writable_us, seen.end_us);
  }
  std::string late;
  for (const Observation& seen : recording.observations) {
    if (seen.role != "ACTIVE" || !seen.is_writable) continue;
    for (auto higher = active.upper_bound(seen.epoch); higher != active.end(); ++higher) {
      if (seen.start_us <= higher->second.writable_us) continue;
      if (++report.late_writable == 1) {
        late = seen.who + " in " + std::to_string(seen.epoch) + " after " + higher->second.node +
               " in " + std::to_string(higher->first);
      }
      break;
    }
  }
  Violations violations(report.violations);
  violations.add(report.epochs_lowered, "epochs that went down", lower);
  violations.add(report.epochs_shared, "looks at a second active node of an epoch", second);
  violations.add(report.late_writable, "looks at a node that was writable after its term", late);
}

// A failover that nobody asked for, from its begin until the nodes were looked at.
bool was_failed_over(const History& history, const Switchover& s) {
  int64_t looked_us = std::numeric_limits<int64_t>::max();
  for (const Switchover& later : history.switchovers) {
    if (later.left && later.start_us > s.end_us) looked_us = std::min(looked_us, later.start_us);
  }
  return std::ranges::any_of(history.switchovers, [&](const Switchover& other) {
    return other.done && !other.left && other.end_us >= s.start_us && other.start_us <= looked_us;
  });
}

// Every switchover ends in exactly one of done, rolled back and failed closed, and its answer says
// the same as the nodes do; unless a failover took the role meanwhile.
void check_outcomes(const History& history, Report& report) {
  for (const Switchover& s : history.switchovers) {
    const std::string name = "the switchover from " + s.from + " to " + s.to;
    if (!s.answered) report.violations.push_back(name + " has not ended");
    if (!s.left) continue;
    if (s.left->writable.size() <= 1 && was_failed_over(history, s)) continue;
    const auto only = [&](const std::string& node) {
      return s.left->active == node && s.left->writable == std::vector{node};
    };
    const bool is_done = only(s.to);
    const bool is_rolled_back = only(s.from);
    const bool is_closed = s.left->writable.empty();
    ++(is_done ? report.done : is_rolled_back ? report.rolled_back : report.failed_closed);
    std::string writable;
    for (const auto& node : s.left->writable) writable += " " + node;
    if (!is_done && !is_rolled_back && !is_closed) {
      report.violations.push_back(name + " left " + s.left->active +
                                  " active and writable:" + writable);
    } else if (s.is_known && is_done != s.text.empty()) {
      report.violations.push_back(name + " was answered by '" + (s.text.empty() ? "done" : s.text) +
                                  "', but " + s.left->active + " is active");
    }
  }
}

void check_recoveries(const std::vector<Recovery>& recoveries, Report& report) {
  for (const Recovery& r : recoveries) {
    if (r.end_us == 0) {
      report.violations.push_back("the cluster did not recover after " + r.after);
      continue;
    }
    const int64_t took = r.end_us - r.start_us;
    report.worst_recovery_us = std::max(report.worst_recovery_us, took);
    if (took <= r.limit_us) continue;
    report.violations.push_back("the cluster took " + std::to_string(took / 1000) +
                                " ms to recover after " + r.after + ", more than " +
                                std::to_string(r.limit_us / 1000));
  }
}

// A process that still is the same holds no more than it did.
void check_footprints(const Recording& recording, Report& report) {
  for (const Footprint& before : recording.before) {
    for (const Footprint& after : recording.after) {
      if (after.who != before.who || after.pid != before.pid) continue;
      const auto compare = [&](const char* what, int64_t was, int64_t is) {
        if (is <= was) return;
        report.violations.push_back(before.who + " leaks " + what + ": " + std::to_string(was) +
                                    " before, " + std::to_string(is) + " after");
      };
      compare("threads", before.threads, after.threads);
      compare("sockets", before.sockets, after.sockets);
      compare("file descriptors", before.other_files, after.other_files);
      compare("files of its state", before.state_files, after.state_files);
      compare("sessions", before.sessions, after.sessions);
      compare("metadata locks", before.metadata_locks, after.metadata_locks);
    }
  }
}

void measure_gaps(const History& history, Report& report) {
  std::vector<int64_t> ends;
  for (const Write& write : history.writes) {
    if (write.answer == Answer::kOk) ends.push_back(write.end_us);
  }
  std::sort(ends.begin(), ends.end());
  std::vector<std::optional<Gap>>& around = report.switchover_gaps;
  around.resize(history.switchovers.size());
  const auto keep_longer = [](std::optional<Gap>& longest, const Gap& gap) {
    if (!longest || gap.length_us() > longest->length_us()) longest = gap;
  };
  for (size_t i = 1; i < ends.size(); ++i) {
    const Gap gap{ends[i - 1], ends[i]};
    keep_longer(report.longest_gap, gap);
    bool quiet = true;
    for (size_t k = 0; k < around.size(); ++k) {
      const Switchover& switchover = history.switchovers[k];
      if (gap.end_us < switchover.start_us || gap.start_us > switchover.end_us) continue;
      keep_longer(around[k], gap);
      quiet = false;
    }
    if (quiet) keep_longer(report.quiet_gap, gap);
  }
}

}  // namespace

Report check(const Recording& recording) {
  Report report;
  const FoundRows found = index(recording.nodes);
  check_nodes(recording, found, report);
  check_same_everywhere(found, report);
  check_answers(recording.history, found, recording.rules, report);
  check_one_master(recording, found, report);
  check_epochs(recording, report);
  check_outcomes(recording.history, report);
  check_recoveries(recording.recoveries, report);
  check_footprints(recording, report);
  measure_gaps(recording.history, report);
  return report;
}

}  // namespace active_master::lab
