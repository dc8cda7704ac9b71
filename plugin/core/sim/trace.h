// Messages in words, for traces.
#pragma once

#include <string>

#include "plugin/core/node.h"

namespace active_master::sim {

[[nodiscard]] std::string describe(const Input& message);  // of a node or a proxy

}  // namespace active_master::sim
