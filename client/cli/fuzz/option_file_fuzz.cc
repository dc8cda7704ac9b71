// Any text as an option file: settings come out, or an error that says so. Included files are left
// out: they would be this machine's.
#include <sstream>

#include "client/cli/option_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (text.find('!') != std::string::npos) return 0;
  std::istringstream in("[client]\n" + text);
  try {
    (void)active_master::sql::read_option_text(in, "text", {"client", "active-master"});
  } catch (const active_master::sql::OptionFileError&) {
  }
  return 0;
}
