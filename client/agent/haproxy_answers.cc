#include "client/agent/haproxy_answers.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace active_master::agent {
namespace {

using std::chrono::seconds;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

// A table with its header after "# ".
std::vector<Row> parse_table(std::string_view text, char separator) {
  std::vector<std::string_view> header;
  std::vector<Row> rows;
  for (const auto line : split(text, '\n')) {
    if (line.starts_with("# ")) {
      header = split(line.substr(2), separator);
    } else if (!header.empty() && !line.empty()) {
      Row row;
      const auto values = split(line, separator);
      for (size_t i = 0; i < std::min(header.size(), values.size()); ++i) {
        row.emplace(header[i], values[i]);
      }
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

}  // namespace

std::string_view value(const Row& row, std::string_view name) {
  const auto found = row.find(name);
  return found == row.end() ? std::string_view() : std::string_view(found->second);
}

std::optional<uint64_t> number(std::string_view text) {
  uint64_t result = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), result);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return result;
}

std::vector<Row> parse_servers_state(std::string_view text) {
  return parse_table(text, ' ');
}

std::vector<Row> parse_stat(std::string_view text) {
  return parse_table(text, ',');
}

std::optional<seconds> parse_duration(std::string_view text) {
  constexpr std::array<std::pair<char, int>, 4> kUnits{
      {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}}};
  constexpr uint64_t kMost = 1'000'000'000;  // of a unit; HAProxy's own are 32 bits wide
  seconds result{0};
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto count = number(text.substr(0, digits));
    if (!count || *count > kMost || digits == text.size()) return std::nullopt;
    const auto unit = std::ranges::find(kUnits, text[digits], &std::pair<char, int>::first);
    if (unit == kUnits.end()) return std::nullopt;
    result += seconds(*count * unit->second);
    text.remove_prefix(digits + 1);
  }
  return result;
}

std::optional<seconds> parse_queued_for(std::string_view text, const Address& source) {
  for (const auto line : split(text, '\n')) {
    const auto words = split(line, ' ');
    const auto word = [&](std::string_view name) {
      const auto found = std::ranges::find_if(words, [&](auto w) { return w.starts_with(name); });
      return found == words.end() ? std::string_view() : found->substr(name.size());
    };
    if (word("src=") == source.host + ":" + std::to_string(source.port)) {
      // Until it has a server, what expires is its place in the queue.
      return word("srv=") == "<none>" ? parse_duration(word("c_exp=")) : std::nullopt;
    }
  }
  return std::nullopt;
}

std::vector<std::string> parse_sessions_elsewhere(std::string_view text, std::string_view backend,
                                                  std::string_view server,
                                                  std::initializer_list<Address> here) {
  const auto is_named = [](std::string_view line, std::string_view key, std::string_view name) {
    if (!line.starts_with(key)) return false;
    line.remove_prefix(key.size());
    return line.starts_with(name) && line.substr(name.size()).starts_with(" (");
  };
  const auto is_here = [&](std::string_view shown) {
    return std::ranges::any_of(here, [&](const Address& address) {
      return shown == address.host + ":" + std::to_string(address.port);  // no brackets
    });
  };
  std::vector<std::string> ids;
  std::string_view id;
  bool is_on_backend = false;
  bool is_elsewhere = false;
  for (const auto line : split(text, '\n')) {
    if (line.starts_with("0x")) {
      id = line.substr(0, line.find(':'));
      is_on_backend = is_elsewhere = false;
    } else if (line.starts_with("  backend=")) {
      is_on_backend = !id.empty() && is_named(line, "  backend=", backend);
    } else if (is_on_backend && is_named(line, "  server=", server)) {
      const auto at = line.find(" addr=");
      is_elsewhere = at != std::string_view::npos && !is_here(line.substr(at + 6));
    } else if (is_elsewhere && line.starts_with("  scb=")) {
      // In other states it has no connection (any more), and will get one to the present address.
      const auto is_in = [&](std::string_view state) {
        return line.find(state) != std::string_view::npos;
      };
      if (is_in(" state=CON ") || is_in(" state=RDY ") || is_in(" state=EST "))
        ids.emplace_back(id);
    }
  }
  return ids;
}

}  // namespace active_master::agent
