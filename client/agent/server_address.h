// The same server may be written by name in one place and by address in another.
#pragma once

#include <set>
#include <string>

#include "client/protocol/names.h"

namespace active_master::agent {

// The numeric addresses of a host, empty if it has none.
[[nodiscard]] std::set<std::string> resolve_host(const std::string& host);

// Do both lead to the same port of the same machine?
[[nodiscard]] bool is_same_server(const Address& a, const Address& b);

}  // namespace active_master::agent
