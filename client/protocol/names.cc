#include "client/protocol/names.h"

#include <algorithm>
#include <charconv>

namespace active_master {
namespace {

// Not the <cctype> functions: names must not depend on the locale.
bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_name_character(char c) {
  return is_letter_or_digit(c) || c == '_' || c == '.' || c == '-';
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

bool is_valid_host(std::string_view host) {
  constexpr size_t kMaxHostLength = 253;  // RFC 1035
  return !host.empty() && host.size() <= kMaxHostLength &&
         std::ranges::all_of(host, [](char c) { return is_name_character(c) || c == ':'; });
}

}  // namespace

bool is_valid_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameLength && is_letter_or_digit(name.front()) &&
         std::ranges::all_of(name, is_name_character);
}

std::string Address::to_string() const {
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return (is_ipv6 ? '[' + host + ']' : host) + ':' + std::to_string(port);
}

std::optional<Address> parse_address(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const std::string_view port_text = text.substr(colon + 1);
  const bool is_bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (is_bracketed) host = host.substr(1, host.size() - 2);
  if (!is_valid_host(host) || (host.find(':') != std::string_view::npos) != is_bracketed) {
    return std::nullopt;
  }
  uint16_t port = 0;
  const auto [end, error] =
      std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (error != std::errc() || end != port_text.data() + port_text.size() || port == 0) {
    return std::nullopt;
  }
  return Address{std::string(host), port};
}

std::optional<std::vector<NamedAddress>> parse_named_addresses(std::string_view text,
                                                               std::string& error) {
  std::vector<NamedAddress> result;
  if (trim(text).empty()) return result;
  while (true) {
    const auto comma = text.find(',');
    const std::string_view item = trim(text.substr(0, comma));
    const auto equals = item.find('=');
    const auto name = item.substr(0, equals);
    const auto address =
        equals == std::string_view::npos ? std::nullopt : parse_address(item.substr(equals + 1));
    if (!is_valid_name(name) || !address) {
      error = "'" + std::string(item.substr(0, 100)) + "' is not of the form name=host:port";
      return std::nullopt;
    }
    if (std::ranges::any_of(result, [&](const auto& other) { return other.name == name; })) {
      error = "'" + std::string(name) + "' is there twice";
      return std::nullopt;
    }
    result.push_back({std::string(name), *address});
    if (comma == std::string_view::npos) return result;
    text.remove_prefix(comma + 1);
  }
}

}  // namespace active_master
