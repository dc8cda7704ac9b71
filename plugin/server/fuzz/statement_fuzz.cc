// Any text as a client's statement, and as GTID sets: what the fence makes of it does not depend on
// what stands before the statement, and nothing errs in itself.
#include <cstdlib>
#include <string>

#include "plugin/server/gtid.h"
#include "plugin/server/statement.h"

using namespace active_master;

namespace {

struct Judgement {
  bool calls_ours, passes, passes_in_transaction, begins, local, binlogged;
  GlobalLock lock;

  explicit Judgement(std::string_view query)
      : calls_ours(calls_our_procedure(query)),
        passes(passes_a_held_gate(query, true)),
        passes_in_transaction(passes_a_held_gate(query, false)),
        begins(only_begins(query)),
        local(stays_local(query)),
        binlogged(is_binlogged_maintenance(query)),
        lock(global_lock(query)) {}
  bool operator==(const Judgement&) const = default;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const Judgement judgement(text);
  if (!(judgement == Judgement(" /* a comment */\n-- and another\n" + text))) std::abort();
  if (judgement.local && judgement.binlogged) std::abort();
  if (judgement.passes_in_transaction && !judgement.passes) std::abort();

  (void)version_number(text);
  if (!errant_transactions(text, text, 1).empty()) std::abort();
  return 0;
}
