#pragma once

#include <chrono>

namespace active_master::protocol {

// Nodes and proxies tell each other what they have to tell at once, and again so often. As there
// may be thousands of proxies, seldom: TCP loses nothing, and the kernel notices when a machine is
// gone.
inline constexpr std::chrono::seconds kProxyHeartbeat{10};
// Whoever says nothing for so long hangs.
inline constexpr std::chrono::seconds kProxySilence{30};

}  // namespace active_master::protocol
