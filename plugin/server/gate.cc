#include "plugin/server/gate.h"

#include <algorithm>
#include <array>

namespace active_master {
namespace {

// A held session looks this often whether it was killed, a drain whether it should give up.
constexpr std::chrono::milliseconds kGlance{20};

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
  if (text.size() < word.size() || (text.size() > word.size() && is_word(text[word.size()])))
    return false;
  if (!std::ranges::equal(text.substr(0, word.size()), word, {}, to_upper)) return false;
  text.remove_prefix(word.size());
  return true;
}

}  // namespace

bool Gate::holds(bool in_transaction) const {
  const Mode mode = mode_.load();
  return mode == Mode::kHoldAll || (mode == Mode::kHoldNew && !in_transaction);
}

bool Gate::enter(bool in_transaction, unsigned long thread_id,
                 const std::function<bool()>& is_killed) {
  while (true) {
    // Counted first, then the mode is read; the drain sets the mode first, then reads the count. So
    // at least one of the two sees the other.
    inside_.fetch_add(1);
    if (!holds(in_transaction)) return true;
    std::unique_lock lock(mutex_);
    inside_.fetch_sub(1);
    changed_.notify_all();
    held_.insert(thread_id);
    while (holds(in_transaction) && !is_killed()) changed_.wait_for(lock, kGlance);
    held_.erase(thread_id);
    if (is_killed()) return false;
  }
}

void Gate::leave() {
  if (inside_.fetch_sub(1) != 1 || mode_.load() == Mode::kOpen) return;
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void Gate::reset() {
  inside_ = 0;
  set_mode(Mode::kOpen);
}

void Gate::set_mode(Mode mode) {
  const std::lock_guard lock(mutex_);
  mode_ = mode;
  changed_.notify_all();
}

bool Gate::wait_until_empty(const std::function<bool()>& give_up) {
  std::unique_lock lock(mutex_);
  while (inside_.load() != 0) {
    if (give_up()) return false;
    changed_.wait_for(lock, kGlance);
  }
  return true;
}

std::vector<unsigned long> Gate::held() const {
  const std::lock_guard lock(mutex_);
  return {held_.begin(), held_.end()};
}

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

bool passes_a_held_gate(std::string_view query, bool autocommit) {
  query = skip_space_and_comments(query);
  constexpr std::array<std::string_view, 10> kManages = {"SET",     "SHOW",     "KILL",     "USE",
                                                         "COMMIT",  "ROLLBACK", "SHUTDOWN", "HELP",
                                                         "INSTALL", "UNINSTALL"};
  constexpr std::array<std::string_view, 5> kReads = {"SELECT", "WITH", "EXPLAIN", "DESC",
                                                      "DESCRIBE"};
  const auto begins_query = [&](std::string_view word) { return take_word(query, word); };
  return std::ranges::any_of(kManages, begins_query) ||
         (autocommit && std::ranges::any_of(kReads, begins_query));
}

}  // namespace active_master
