// Names and addresses as they enter from options, SQL and the network: checked once, here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace active_master {

inline constexpr size_t kMaxNameLength = 64;

// Names of nodes, clusters and proxies: 1 to 64 letters, digits, '_', '.' or '-', beginning with a
// letter or digit. Nothing in them needs quoting, in SQL or elsewhere.
[[nodiscard]] bool is_valid_name(std::string_view name);

struct Address {
  std::string host;
  uint16_t port = 0;

  bool operator==(const Address&) const = default;
  [[nodiscard]] std::string to_string() const;
};

// "host:port", "1.2.3.4:port" or "[::1]:port"; the port is 1 to 65535.
[[nodiscard]] std::optional<Address> parse_address(std::string_view text);

struct NamedAddress {
  std::string name;
  Address address;

  bool operator==(const NamedAddress&) const = default;
};

// "node1=host:port,node2=host:port"; spaces around items are ignored, an empty text is an empty
// list. On failure `error` says which item is wrong and how it should look.
[[nodiscard]] std::optional<std::vector<NamedAddress>> parse_named_addresses(std::string_view text,
                                                                             std::string& error);

}  // namespace active_master
