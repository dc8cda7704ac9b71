// Messages in words, for traces.
#pragma once

#include <string>

#include "plugin/core/node.h"

namespace active_master::sim {

[[nodiscard]] std::string describe(const Input& message);  // of a node or a proxy
[[nodiscard]] const char* name_of(const Job& job);

}  // namespace active_master::sim
