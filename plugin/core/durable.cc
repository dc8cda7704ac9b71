#include "plugin/core/durable.h"

#include <boost/crc.hpp>
#include <charconv>
#include <map>

namespace active_master {
namespace {

constexpr std::string_view kHeader = "active_master state 1\n";
constexpr std::string_view kChecksum = "checksum=";

uint32_t checksum(std::string_view text) {
  boost::crc_32_type crc;
  crc.process_bytes(text.data(), text.size());
  return crc.checksum();
}

template <typename T>
bool to_number(const std::string& text, T& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::string serialize(const Durable& durable, uint64_t serial) {
  std::string text(kHeader);
  const auto put = [&](const char* key, const std::string& value) {
    text.append(key).append("=").append(value).append("\n");
  };
  put("serial", std::to_string(serial));
  put("cluster", durable.identity.cluster);
  put("node", durable.identity.node);
  put("server_id", std::to_string(durable.identity.server_id));
  put("role", to_string(durable.role));
  put("epoch", std::to_string(durable.epoch.value));
  put("active_node", durable.active_node);
  put("active_address", durable.active_address);
  if (durable.intent) {
    put("intent_id", std::to_string(durable.intent->id.value));
    put("intent_epoch", std::to_string(durable.intent->epoch.value));
    put("intent_candidate", durable.intent->candidate);
  }
  if (durable.grant) {
    put("grant_id", std::to_string(durable.grant->id.value));
    put("grant_epoch", std::to_string(durable.grant->epoch.value));
    put("grant_candidate", durable.grant->candidate);
    put("grant_gtid", durable.grant->gtid);
  }
  if (durable.promise) {
    put("promise_epoch", std::to_string(durable.promise->epoch.value));
    put("promise_candidate", durable.promise->candidate);
  }
  if (durable.votes) put("votes", "1");
  const auto sum = checksum(text);
  return text.append(kChecksum).append(std::to_string(sum)).append("\n");
}

std::optional<Stored> parse_durable(std::string_view text, std::string& error) {
  if (!text.starts_with(kHeader)) {
    error = "it does not begin with '" + std::string(kHeader.substr(0, kHeader.size() - 1)) + "'";
    return std::nullopt;
  }
  const auto sum_at = text.rfind(kChecksum);
  uint32_t sum = 0;
  // A line of its own: what comes before it is whole lines, too.
  if (sum_at == std::string_view::npos || text[sum_at - 1] != '\n' || text.back() != '\n' ||
      !to_number(std::string(text.substr(sum_at + kChecksum.size(),
                                         text.size() - sum_at - kChecksum.size() - 1)),
                 sum) ||
      sum != checksum(text.substr(0, sum_at))) {
    error = "its checksum is missing or wrong";
    return std::nullopt;
  }
  std::map<std::string, std::string, std::less<>> values;
  for (auto rest = text.substr(kHeader.size(), sum_at - kHeader.size()); !rest.empty();) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(line.size() + 1);
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    values.emplace(line.substr(0, equals), line.substr(equals + 1));
  }
  Stored stored;
  Durable& durable = stored.durable;
  durable.identity = {values["cluster"], values["node"], 0};
  durable.role = values["role"] == to_string(Role::kActive)    ? Role::kActive
                 : values["role"] == to_string(Role::kStandby) ? Role::kStandby
                                                               : Role::kNew;
  durable.active_node = values["active_node"];
  durable.active_address = values["active_address"];
  bool numbers_ok = to_number(values["serial"], stored.serial) &&
                    to_number(values["server_id"], durable.identity.server_id) &&
                    to_number(values["epoch"], durable.epoch.value);
  if (values.contains("intent_id")) {
    auto& intent = durable.intent.emplace();
    intent.candidate = values["intent_candidate"];
    numbers_ok &= to_number(values["intent_id"], intent.id.value) &&
                  to_number(values["intent_epoch"], intent.epoch.value);
  }
  if (values.contains("grant_id")) {
    auto& grant = durable.grant.emplace();
    grant.candidate = values["grant_candidate"];
    grant.gtid = values["grant_gtid"];
    numbers_ok &= to_number(values["grant_id"], grant.id.value) &&
                  to_number(values["grant_epoch"], grant.epoch.value);
  }
  if (values.contains("promise_epoch")) {
    auto& promise = durable.promise.emplace();
    promise.candidate = values["promise_candidate"];
    numbers_ok &= to_number(values["promise_epoch"], promise.epoch.value);
  }
  durable.votes = values["votes"] == "1";
  if (!numbers_ok) {
    error = "a number in it is malformed";
    return std::nullopt;
  }
  return stored;
}

}  // namespace active_master
