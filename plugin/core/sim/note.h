// How the world writes its trace; costs nothing when there is none.
#pragma once

#include <string>
#include <string_view>

#include "plugin/core/sim/world.h"

namespace active_master::sim {

inline std::string to_text(std::string_view text) {
  return std::string(text);
}
inline std::string to_text(const char* text) {
  return text;
}
inline std::string to_text(const std::string& text) {
  return text;
}
template <typename Number>
std::string to_text(Number number) {
  return std::to_string(number);
}

template <typename... Parts>
void World::note(const Parts&... parts) {
  if (trace_) write_note((to_text(parts) + ...));
}

}  // namespace active_master::sim
