// MariaDB's option files (my.cnf). libmariadb reads them too, but what they say then overrides the
// command line's TLS and timeout options, and it knows no --defaults-extra-file.
#pragma once

#include <filesystem>
#include <istream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace active_master::sql {

struct Setting {
  std::string name;   // with '_' for '-'
  std::string value;  // empty for an option without value

  bool operator==(const Setting&) const = default;
};

class OptionFileError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Which files to read; at most one of the three is set.
struct OptionFiles {
  bool none = false;
  std::filesystem::path only;   // instead of the usual ones
  std::filesystem::path extra;  // after the global ones, before the user's own
};

// The settings of `groups` in the order in which they apply: a later one wins. Follows !include and
// !includedir. A missing file is an error if it was asked for by name.
[[nodiscard]] std::vector<Setting> read_option_files(const OptionFiles& files,
                                                     const std::vector<std::string>& groups);

// The same for one file.
[[nodiscard]] std::vector<Setting> read_option_file(const std::filesystem::path& file,
                                                    const std::vector<std::string>& groups);

// The same for what is in a stream; `name` is for errors.
[[nodiscard]] std::vector<Setting> read_option_text(std::istream& in, const std::string& name,
                                                    const std::vector<std::string>& groups);

}  // namespace active_master::sql
