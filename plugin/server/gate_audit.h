// Connects the gate to the server's sessions: the audit plugin ACTIVE_MASTER_FENCE.
#pragma once

#include "plugin/server/gate.h"
#include "plugin/server/mariadb.h"

namespace active_master {

// The gate of this server.
[[nodiscard]] Gate& server_gate();

// Is the gate told of statements? Not so while sessions that are idle since an UNINSTALL still keep
// the audit plugin of then from being replaced.
[[nodiscard]] bool gate_is_watching();

// The plugin is being uninstalled: from now on each session lets go of the audit plugin when it
// speaks.
void let_gate_audit_go();

extern st_mysql_audit gate_audit_descriptor;
int init_gate_audit(void*);
int deinit_gate_audit(void*);

}  // namespace active_master
