#include "plugin/server/statement.h"

#include <algorithm>
#include <array>

namespace active_master {
namespace {

char to_upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

bool is_word(char c) {
  return (to_upper(c) >= 'A' && to_upper(c) <= 'Z') || c == '_' || (c >= '0' && c <= '9');
}

std::string_view skip_space_and_comments(std::string_view text) {
  while (!text.empty()) {
    if (text.front() == ' ' || (text.front() >= '\t' && text.front() <= '\r')) {
      text.remove_prefix(1);
    } else if (text.starts_with("/*") && !text.starts_with("/*!") && !text.starts_with("/*M!")) {
      const auto end = text.find("*/");
      if (end == std::string_view::npos) return {};
      text.remove_prefix(end + 2);
    } else if (text.front() == '#' || text.starts_with("-- ")) {
      const auto end = text.find('\n');
      if (end == std::string_view::npos) return {};
      text.remove_prefix(end + 1);
    } else {
      break;
    }
  }
  return text;
}

bool take_word(std::string_view& text, std::string_view word) {
  if (text.empty() || to_upper(text.front()) != word.front()) return false;  // the most
  if (text.size() < word.size() || (text.size() > word.size() && is_word(text[word.size()])))
    return false;
  if (!std::ranges::equal(text.substr(0, word.size()), word, {}, to_upper)) return false;
  text.remove_prefix(word.size());
  return true;
}

bool takes_maintenance(std::string_view& query) {
  return take_word(query, "ANALYZE") || take_word(query, "OPTIMIZE") || take_word(query, "REPAIR");
}

bool takes_local(std::string_view& query) {
  query = skip_space_and_comments(query);
  return take_word(query, "NO_WRITE_TO_BINLOG") || take_word(query, "LOCAL");
}

bool contains_word(std::string_view query, std::string_view word) {
  while (!(query = skip_space_and_comments(query)).empty()) {
    if (take_word(query, word)) return true;
    do query.remove_prefix(1);
    while (!query.empty() && is_word(query.front()));
  }
  return false;
}

}  // namespace

bool calls_our_procedure(std::string_view query) {
  query = skip_space_and_comments(query);
  if (!take_word(query, "CALL")) return false;
  query = skip_space_and_comments(query);
  if (query.starts_with('`')) query.remove_prefix(1);
  constexpr std::string_view kSchema = "active_master";
  if (!query.starts_with(kSchema)) return false;
  query.remove_prefix(kSchema.size());
  if (query.starts_with('`')) query.remove_prefix(1);
  return skip_space_and_comments(query).starts_with('.');
}

bool only_begins(std::string_view query) {
  query = skip_space_and_comments(query);
  if (take_word(query, "BEGIN")) {
    query = skip_space_and_comments(query);
    return !take_word(query, "NOT");  // BEGIN NOT ATOMIC is a block of statements
  }
  const bool is_xa = take_word(query, "XA");
  if (!is_xa && !take_word(query, "START")) return false;
  query = skip_space_and_comments(query);
  return is_xa ? take_word(query, "START") || take_word(query, "BEGIN")
               : take_word(query, "TRANSACTION");
}

GlobalLock global_lock(std::string_view query) {
  query = skip_space_and_comments(query);
  if (take_word(query, "UNLOCK")) return GlobalLock::kReleased;
  if (take_word(query, "FLUSH"))
    return contains_word(query, "LOCK") ? GlobalLock::kTaken : GlobalLock::kUnchanged;
  if (!take_word(query, "BACKUP")) return GlobalLock::kUnchanged;
  return contains_word(query, "END") || contains_word(query, "UNLOCK") ? GlobalLock::kReleased
                                                                       : GlobalLock::kTaken;
}

bool stays_local(std::string_view query) {
  query = skip_space_and_comments(query);
  const auto end = query.find(';');
  if (end != std::string_view::npos && !skip_space_and_comments(query.substr(end + 1)).empty())
    return false;
  return take_word(query, "UNINSTALL") || (takes_maintenance(query) && takes_local(query));
}

bool is_binlogged_maintenance(std::string_view query) {
  query = skip_space_and_comments(query);
  if (takes_maintenance(query)) return !takes_local(query);
  if (!take_word(query, "FLUSH") || takes_local(query)) return false;
  // What the server never writes to the binlog: FLUSH ... LOGS, and locks.
  return !contains_word(query, "LOGS") && !contains_word(query, "LOCK") &&
         !contains_word(query, "EXPORT");
}

bool begins_with_commit_or_set(std::string_view query) {
  query = skip_space_and_comments(query);
  return take_word(query, "COMMIT") || take_word(query, "SET");
}

bool passes_a_held_gate(std::string_view query, bool autocommit) {
  query = skip_space_and_comments(query);
  // Every statement comes here; what is frequent is found first.
  if (take_word(query, "SELECT")) return autocommit;
  if (take_word(query, "COMMIT") || take_word(query, "SET")) return true;
  constexpr std::array<std::string_view, 8> kManages = {"SHOW",     "KILL", "USE",     "ROLLBACK",
                                                        "SHUTDOWN", "HELP", "INSTALL", "UNINSTALL"};
  constexpr std::array<std::string_view, 4> kReads = {"WITH", "EXPLAIN", "DESC", "DESCRIBE"};
  const auto begins_query = [&](std::string_view word) { return take_word(query, word); };
  return std::ranges::any_of(kManages, begins_query) ||
         (autocommit && std::ranges::any_of(kReads, begins_query));
}

}  // namespace active_master
