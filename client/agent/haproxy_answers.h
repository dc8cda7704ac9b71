// What HAProxy answers on its admin socket. Each of these is empty if the text isn't such an
// answer.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/protocol/names.h"

namespace active_master::agent {

// The rows of `show servers state` and `show stat`: the values by the names in the header.
using Row = std::map<std::string, std::string, std::less<>>;
[[nodiscard]] std::vector<Row> parse_servers_state(std::string_view text);
[[nodiscard]] std::vector<Row> parse_stat(std::string_view text);

// A duration as `show sess` writes it: "59s", "4m30s", "1h5m".
[[nodiscard]] std::optional<std::chrono::seconds> parse_duration(std::string_view text);

// How long the connection that came from `source` will be queued yet, from `show sess`.
[[nodiscard]] std::optional<std::chrono::seconds> parse_queued_for(std::string_view text,
                                                                   const Address& source);

// The sessions on backend/server that run at another address than these, from `show sess all`: what
// `shutdown session` takes.
[[nodiscard]] std::vector<std::string> parse_sessions_elsewhere(
    std::string_view text, std::string_view backend, std::string_view server,
    std::initializer_list<Address> here);

// The column of that name, empty if there is none.
[[nodiscard]] std::string_view value(const Row& row, std::string_view name);

// The whole text as a number.
[[nodiscard]] std::optional<uint64_t> number(std::string_view text);

}  // namespace active_master::agent
