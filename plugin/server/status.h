// The status variables Active_master_*.
#pragma once

#include "plugin/server/mariadb.h"

namespace active_master {

extern st_mysql_show_var status_variables[];

}  // namespace active_master
