// The event scheduler's events run on the active master only: enabled there, disabled on standbys
// as replication leaves them, without a trace in the binlog.
#pragma once

#include <chrono>
#include <string>

#include "plugin/server/session.h"

namespace active_master {

// The events that are enabled here, one a line. On a standby it can't be seen which of them are
// enabled on the active master, so the handover row takes this along.
[[nodiscard]] std::string enabled_events(Session& session);

// Enables what the newest handover row names. Logs which it can't.
void enable_events(Session& session);

// After the fence is closed: waits until no event is running that may have begun to write before.
// One that takes longer than a moment is killed. Throws at the deadline.
void await_running_events(Session& session, std::chrono::steady_clock::time_point deadline);

// The reverse, for events that are enabled.
void disable_events(Session& session);

}  // namespace active_master
