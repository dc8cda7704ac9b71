// What a statement is, as far as the start of its text tells. The text can't be trusted to say what
// it does: the fence rests on the server's own checks, and on this only where those have gaps.
#pragma once

#include <string_view>

namespace active_master {

// Is it CALL active_master.something?
[[nodiscard]] bool calls_our_procedure(std::string_view query);

[[nodiscard]] bool begins_with_commit_or_set(std::string_view query);

// May a client statement outside of any transaction pass a gate that holds? True for those that
// can't write and don't begin a transaction, so that people and monitors can still look and act.
// With autocommit off, reading begins one.
[[nodiscard]] bool passes_a_held_gate(std::string_view query, bool autocommit);

// Does it begin a transaction and do nothing else?
[[nodiscard]] bool only_begins(std::string_view query);

// Does it take or release a lock that is no table's: FLUSH TABLES WITH READ LOCK, BACKUP STAGE?
enum class GlobalLock { kUnchanged, kTaken, kReleased };
[[nodiscard]] GlobalLock global_lock(std::string_view query);

// May it change this server while the fence is closed? UNINSTALL, and table maintenance that is
// kept out of the binlog. Not if other statements might follow in the same text.
[[nodiscard]] bool stays_local(std::string_view query);

// Does it go to the binlog although read_only lets it pass? FLUSH, ANALYZE, REPAIR and OPTIMIZE
// without NO_WRITE_TO_BINLOG.
[[nodiscard]] bool is_binlogged_maintenance(std::string_view query);

}  // namespace active_master
