// This server's binlog.
#pragma once

#include <atomic>
#include <string>
#include <string_view>

#include "plugin/server/session.h"

namespace active_master {

// What these transactions have done, as far as this server's binlog still has them and it can be
// read in some seconds. Throws SqlError.
[[nodiscard]] std::string describe_transactions(Session& session, std::string_view gtids,
                                                const std::atomic<bool>& cancelled);

}  // namespace active_master
