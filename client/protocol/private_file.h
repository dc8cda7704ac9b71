// Files that hold a secret: refused if others can read or change them.
#pragma once

#include <string>

namespace active_master::protocol {

// Whose file it may be: of the user of this program alone, or, as is usual for TLS keys, of root
// and readable by a group.
enum class Privacy { kOwner, kGroup };

// What is wrong with it, as the end of a sentence; empty if nothing.
[[nodiscard]] std::string check_private_file(const std::string& path, Privacy privacy);

// The first bytes of such a file of the user of this program, up to so many. What is wrong is told,
// never what the file holds.
[[nodiscard]] std::string read_private_file(const std::string& path, size_t limit,
                                            std::string& error);

}  // namespace active_master::protocol
