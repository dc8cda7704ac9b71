// The system variables active_master_*: their declarations, checks, and what they say together.
#pragma once

#include "plugin/daemon.h"
#include "plugin/server/mariadb.h"
#include "plugin/server/session.h"

namespace active_master {

extern st_mysql_sys_var* system_variables[];

// Remembers what a node must know of its server. To be called in init, before read_settings().
void learn_server(Session& session);

// Makes gate and fence do what the variables active_master_fence... say.
void apply_fence_settings();

// Reads the files that the variables name; the credentials before it stay if they can't be used,
// and read_settings() then gives the reason.
void learn_credentials();

// What the variables say now. To be called where they can't change: in init, or in their own
// update.
[[nodiscard]] Settings read_settings();

// The daemon that changes and requests go to; nullptr: none. Waits until none is under way.
void set_daemon(Daemon* daemon);

}  // namespace active_master
