// Any text as a name, an address, a list of them: what is accepted reads back as itself.
#include <cstdlib>
#include <string>

#include "client/protocol/names.h"

using namespace active_master;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (is_valid_name(text) && (size == 0 || size > kMaxNameLength)) std::abort();
  if (const auto address = parse_address(text)) {
    if (parse_address(address->to_string()) != address) std::abort();
  }
  std::string error;
  const auto list = parse_named_addresses(text, error);
  if (list.has_value() != error.empty()) std::abort();
  if (!list) return 0;
  std::string again;
  for (const auto& item : *list) {
    if (!is_valid_name(item.name)) std::abort();
    again += (again.empty() ? "" : ",") + item.name + "=" + item.address.to_string();
  }
  if (parse_named_addresses(again, error) != list) std::abort();
  return 0;
}
