// What the options of the programs have in common, as checks of CLI11: empty, or what is wrong.
#pragma once

#include <string>

#include "client/protocol/names.h"

namespace active_master::protocol {

inline std::string check_name(const std::string& text) {
  return is_valid_name(text) ? "" : "'" + text + "' is not a name (letters, digits, '_', '.', '-')";
}

inline std::string check_address(const std::string& text) {
  return parse_address(text) ? "" : "'" + text + "' is not of the form host:port";
}

}  // namespace active_master::protocol
