// What tables and status variables show: the current snapshot of the node.
#pragma once

#include <memory>

#include "plugin/core/view.h"

namespace active_master {

// Gives the current snapshot; nullptr while the daemon isn't running.
using SnapshotSource = std::shared_ptr<const View> (*)();

// Returns when no query is still inside the old source. Without a source there is no snapshot.
void set_snapshot_source(SnapshotSource source);

// nullptr when there is none.
[[nodiscard]] std::shared_ptr<const View> snapshot();

}  // namespace active_master
