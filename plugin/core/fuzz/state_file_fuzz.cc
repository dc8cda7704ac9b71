// Any text as a state file: what is accepted is written and read back as itself. The checksum is
// mended, or the fuzzer would never come past it.
#include <boost/crc.hpp>
#include <cstdlib>

#include "plugin/core/durable.h"

using namespace active_master;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string text(reinterpret_cast<const char*>(data), size);
  boost::crc_32_type crc;
  crc.process_bytes(text.data(), text.size());
  text += "checksum=" + std::to_string(crc.checksum()) + "\n";
  std::string error;
  const auto stored = parse_durable(text, error);
  if (!stored) {
    if (error.empty()) std::abort();
    return 0;
  }
  const auto again = parse_durable(serialize(stored->durable, stored->serial), error);
  if (!again || again->durable != stored->durable || again->serial != stored->serial) std::abort();
  return 0;
}
