#include "plugin/server/request.h"

#include <boost/asio/ip/address.hpp>
#include <charconv>

namespace active_master {
namespace {

constexpr uint64_t kLongestWait = 3'600'000;  // ms

// Takes the first word off the text.
std::string_view take_word(std::string_view& text) {
  const auto word = text.substr(0, text.find(' '));
  text.remove_prefix(std::min(word.size() + 1, text.size()));
  return word;
}

std::optional<uint64_t> take_number(std::string_view& text) {
  const auto digits = take_word(text);
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

std::optional<Request> parse_proxy_request(std::string_view verb, SwitchoverId id,
                                           std::string_view text) {
  if (verb == "register") {
    boost::system::error_code error;
    const auto ip = boost::asio::ip::make_address(std::string(take_word(text)), error);
    if (error) return std::nullopt;
    return Request{id, RegisterProxy{id, std::string(text), ip.to_string()}};
  }
  const auto first = take_number(text);
  if (!first) return std::nullopt;
  if (verb == "acknowledge" && *first != 0) {
    return Request{id, AcknowledgeProxy{id, std::string(text), SwitchoverId{*first}}};
  }
  const auto timeout = take_number(text);
  if (verb != "wait" || !timeout || *timeout > kLongestWait) return std::nullopt;
  return Request{id, Tick{},
                 EventWait{*first, std::chrono::milliseconds(*timeout), std::string(text)}};
}

}  // namespace

std::optional<Request> parse_request(std::string_view text) {
  const auto verb = take_word(text);
  const SwitchoverId id{take_number(text).value_or(0)};
  if (!id) return std::nullopt;
  if (verb == "bootstrap" || verb == "rejoin") {
    if (!text.empty()) return std::nullopt;
    return verb == "rejoin" ? Request{id, RejoinCommand{id}} : Request{id, BootstrapCommand{id}};
  }
  const bool is_forced = verb == "force_failover";
  const bool is_check = verb == "check" || verb == "failover_check";
  const bool is_failover = verb == "failover" || verb == "failover_check" || is_forced;
  if (verb != "switch" && !is_check && !is_failover) return parse_proxy_request(verb, id, text);
  return Request{id, SwitchCommand{id, std::string(text), is_check, is_failover, is_forced}};
}

}  // namespace active_master
