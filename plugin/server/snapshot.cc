#include "plugin/server/snapshot.h"

#include <mutex>
#include <shared_mutex>

namespace active_master {
namespace {

// A query may ask for a snapshot while another session unloads the plugin: once the source is taken
// away, nobody is inside it any more.
std::shared_mutex source_mutex;
SnapshotSource snapshot_source = nullptr;

}  // namespace

void set_snapshot_source(SnapshotSource source) {
  const std::unique_lock lock(source_mutex);
  snapshot_source = source;
}

std::shared_ptr<const View> snapshot() {
  const std::shared_lock lock(source_mutex);
  return snapshot_source == nullptr ? nullptr : snapshot_source();
}

}  // namespace active_master
