// The durable state of this node: one small file in the data directory.
#pragma once

#include <optional>
#include <string>

#include "plugin/core/durable.h"

namespace active_master {

// Two slots of fixed size. The state is written to one, synced, and then, without waiting, to the
// other, where the next state goes first. So
// - whenever one is torn by a crash, the other is whole and durable;
// - a slot that the disk damages is not missed, as the other says the same;
// - nothing is allocated, created or renamed, so a store takes one small synchronous write, and a
//   full disk does not stop it.
class StateFile {
 public:
  explicit StateFile(std::string path) : path_(std::move(path)) {}

  // Empty with an empty `error`: there is none. With an error: there is one that can't be read or
  // is damaged; nothing may be assumed then.
  [[nodiscard]] std::optional<Durable> load(std::string& error) const;

  // Returns when it is on disk, whatever happens afterwards; else the error.
  [[nodiscard]] std::string store(const Durable& durable);

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  class File;

  std::string prepare(const File& file);

  std::string path_;
  bool is_prepared_ = false;
  uint64_t serial_ = 0;  // of the last store
  size_t next_slot_ = 0;
};

}  // namespace active_master
