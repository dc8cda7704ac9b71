// Semi-synchronous replication by role. An active master waits for an acknowledgement, if its owner
// wants that (rpl_semi_sync_master_enabled). A standby does not: its applier would wait for
// standbys that have left it, for as long as rpl_semi_sync_master_timeout. Each of these may be
// called on any thread; what they change is as before after restore_semi_sync().
#pragma once

#include "plugin/server/session.h"

namespace active_master {

// This server becomes the active master. One that needs a lease waits for the first standby, too
// (rpl_semi_sync_master_wait_no_slave): if it is lost before, another node takes the role.
void wait_for_standbys(Session& session, bool needs_lease);

// It is no longer, or not yet.
void wait_for_nobody(Session& session);

// The same of one that needs a lease only since it is the active master, now and then: as soon as a
// standby is connected.
void go_on_waiting(Session& session);

// Would a COMMIT wait now until a standby is connected?
[[nodiscard]] bool would_wait_for_first_standby(Session& session);

// Is no client told of a COMMIT before a standby has it?
[[nodiscard]] bool waits_for_standby(Session& session);

// The plugin is unloaded.
void restore_semi_sync(Session& session);

}  // namespace active_master
