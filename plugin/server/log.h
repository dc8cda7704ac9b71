// The server's error log.
#pragma once

#include "plugin/core/actions.h"

namespace active_master {

void log_line(const LogLine& line);

}  // namespace active_master
