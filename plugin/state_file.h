// The durable state of this node: one small file in the data directory.
#pragma once

#include <optional>
#include <string>

#include "plugin/core/durable.h"

namespace active_master {

class StateFile {
 public:
  explicit StateFile(std::string path) : path_(std::move(path)) {}

  // Empty with an empty `error`: there is none. With an error: there is one that can't be read or
  // is damaged; nothing may be assumed then.
  [[nodiscard]] std::optional<Durable> load(std::string& error) const;

  // Returns when it is on disk, whatever happens afterwards; else the error.
  [[nodiscard]] std::string store(const Durable& durable) const;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace active_master
