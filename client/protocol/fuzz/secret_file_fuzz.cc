// Any text as a secret file: one or two secrets come out, or an error; and the error holds nothing
// of the text.
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "client/protocol/credentials.h"

using namespace active_master::protocol;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const int fd = memfd_create("secret", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(fd);
  if (fd < 0 || fchmod(fd, 0600) != 0 || ftruncate(fd, 0) != 0 ||
      pwrite(fd, data, size, 0) != static_cast<ssize_t>(size)) {
    std::abort();
  }
  std::string error;
  const auto credentials = Credentials::load({.secret = path}, error);
  if ((credentials != nullptr) != error.empty()) std::abort();
  if (!credentials) {
    // A word of the file that no error has by chance.
    const std::string text(reinterpret_cast<const char*>(data), size);
    if (text.starts_with("S3CR3T") && error.find("S3CR3T") != std::string::npos) std::abort();
  } else if (!credentials->any()) {
    std::abort();
  }
  return 0;
}
