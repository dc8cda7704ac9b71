// Any text as what a proxy answers: rows come out, or nothing. A parser for another proxy's answers
// belongs in this list.
#include <string_view>

#include "client/agent/haproxy.h"

using namespace active_master::agent;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)parse_servers_state(text);
  (void)parse_stat(text);
  (void)parse_duration(text);
  (void)parse_queued_for(text, {"127.0.0.1", 3306});
  return 0;
}
