// Where to connect to: the option files first, then the command line.
#pragma once

#include <string>
#include <vector>

#include "client/cli/option_file.h"
#include "client/cli/sql_client.h"

namespace active_master::cli {

// The groups of the option files that concern this program.
[[nodiscard]] const std::vector<std::string>& option_groups();

// A value that can't be used.
class OptionError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Applies one setting by its option-file name ("host", "ssl_ca", ...). Returns false for a name
// that isn't about connecting: the groups are shared with other programs.
bool apply(const sql::Setting& setting, sql::Options& options);

// Splits what people may write for a password as the usual clients do: "--password=x" and "-px"
// give a password, a bare "--password" or "-p" asks for it. Takes these out of `arguments`.
struct PasswordArgument {
  bool ask = false;
  bool given = false;
  std::string value;
};
[[nodiscard]] PasswordArgument take_password(std::vector<std::string>& arguments);

// Reads a password from the terminal without showing it.
[[nodiscard]] std::string ask_password();

}  // namespace active_master::cli
