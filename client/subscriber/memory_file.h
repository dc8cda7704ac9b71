// What a proxy must not forget when it restarts: the highest activation that it saw. One line in a
// small file.
#pragma once

#include <optional>
#include <string>

#include "client/subscriber/subscription.h"

namespace active_master::client {

class MemoryFile {
 public:
  // An empty path: nothing is kept.
  explicit MemoryFile(std::string path) : path_(std::move(path)) {}

  // Empty with an empty `error`: there is none yet. With an error: there is one that can't be read.
  [[nodiscard]] std::optional<Route> load(std::string& error) const;

  // Returns when it is on disk, whatever happens afterwards; else the error.
  [[nodiscard]] std::string store(const Route& route) const;

 private:
  std::string path_;
};

}  // namespace active_master::client
