#include "client/agent/credentials.h"

#include <sys/stat.h>

#include "client/agent/driver.h"
#include "client/cli/option_file.h"

namespace active_master::agent {

Credentials read_credentials(const std::filesystem::path& file, const std::string& group) {
  const std::string remedy =
      ": write a file of mode 600 with the lines [" + group + "], user=..., password=...";
  struct stat status {};
  if (stat(file.c_str(), &status) == 0 && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    throw Failure(file.string() + " can be read by others than its owner: chmod 600 it");
  }
  Credentials result;
  try {
    for (const auto& setting : sql::read_option_file(file, {group})) {
      if (setting.name == "user") result.user = setting.value;
      if (setting.name == "password") result.password = setting.value;
    }
  } catch (const sql::OptionFileError& error) {
    throw Failure(error.what() + remedy);
  }
  if (result.user.empty()) throw Failure(file.string() + " names no user" + remedy);
  return result;
}

}  // namespace active_master::agent
