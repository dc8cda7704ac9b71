// The INFORMATION_SCHEMA tables ACTIVE_MASTER_*: each query shows one snapshot of this node.
// docs/reference.md describes every column.
#pragma once

#include <my_global.h>
// my_global.h comes before any other header of the server.
#include <mysql/plugin.h>

namespace active_master {

// What plugin.cc declares: the descriptor is common to all tables, the init function is not.
extern st_mysql_information_schema information_schema_descriptor;
int init_state_table(void* schema_table);
int init_nodes_table(void* schema_table);
int init_proxies_table(void* schema_table);
int init_switchovers_table(void* schema_table);
int init_checks_table(void* schema_table);
int init_events_table(void* schema_table);

}  // namespace active_master
