// The account for a proxy's control interface, from a file that only the agent can read, never from
// the command line.
#pragma once

#include <filesystem>
#include <string>

namespace active_master::agent {

struct Credentials {
  std::string user;
  std::string password;
};

// `user` and `password` of the group, as in MariaDB's option files. Throws Failure.
[[nodiscard]] Credentials read_credentials(const std::filesystem::path& file,
                                           const std::string& group);

}  // namespace active_master::agent
