// Reads in a node's binlog that each epoch ended with the handover.
#pragma once

#include <istream>
#include <string>
#include <vector>

#include "client/lab/cluster.h"

namespace active_master::lab {

// What is wrong with what mariadb-binlog printed: a server whose transactions are followed by
// another's must have written to active_master.event last, which no client can. So nothing of a
// client's came between the fence and the handover, or after it.
[[nodiscard]] std::vector<std::string> missed_handovers(std::istream& dump);

// The same of all binlogs of a node that runs and has its whole history.
[[nodiscard]] std::vector<std::string> missed_handovers(const Node& node,
                                                        const std::filesystem::path& scratch);

}  // namespace active_master::lab
