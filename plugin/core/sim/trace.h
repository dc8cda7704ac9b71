// Messages in words, for traces.
#pragma once

#include <string>

#include "plugin/core/node.h"

namespace active_master::sim {

[[nodiscard]] std::string describe(const NodeMessage& message);
[[nodiscard]] std::string describe(const NodeState& state);
[[nodiscard]] std::string describe(const ProxyState& state);
[[nodiscard]] const char* name_of(const Job& job);

}  // namespace active_master::sim
