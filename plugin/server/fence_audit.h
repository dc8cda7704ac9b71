// Connects gate and fence to the server's sessions: the audit plugin ACTIVE_MASTER_FENCE.
#pragma once

#include <string>

#include "plugin/server/fence.h"
#include "plugin/server/gate.h"
#include "plugin/server/mariadb.h"

namespace active_master {

// The gate and the fence of this server.
[[nodiscard]] Gate& server_gate();
[[nodiscard]] Fence& server_fence();

// Is the gate told of statements? Not so while sessions that are idle since an UNINSTALL still keep
// the audit plugin of then from being replaced.
[[nodiscard]] bool gate_is_watching();

// Why READ ONLY ADMIN can't be taken from sessions on this server; empty if it can.
[[nodiscard]] std::string fence_gap();

// After the fence was closed: no session that is idle keeps READ ONLY ADMIN until its next
// statement.
void take_read_only_admin_from_idle_sessions();

// The plugin is being uninstalled: from now on each session lets go of the audit plugin when it
// speaks.
void let_fence_audit_go();

extern st_mysql_audit fence_audit_descriptor;
int init_fence_audit(void*);
int deinit_fence_audit(void*);

}  // namespace active_master
