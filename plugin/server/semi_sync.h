// Semi-synchronous replication by role. An active master waits for an acknowledgement, if its owner
// wants that (rpl_semi_sync_master_enabled). A standby does not: its applier would wait for
// standbys that have left it, for as long as rpl_semi_sync_master_timeout. Each of these may be
// called on any thread; what they change is as before after restore_semi_sync().
#pragma once

#include "plugin/server/session.h"

namespace active_master {

// This server becomes the active master.
void wait_for_standbys(Session& session);

// It is no longer, or not yet.
void wait_for_nobody(Session& session);

// Of an active master that needs a lease, now and then: once a standby is connected, what is not
// acknowledged waits also when all have left, which is when another node takes the role
// (rpl_semi_sync_master_wait_no_slave).
void go_on_waiting(Session& session);

// The plugin is unloaded.
void restore_semi_sync(Session& session);

}  // namespace active_master
