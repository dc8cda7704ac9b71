#include "client/protocol/private_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace active_master::protocol {
namespace {

// A file descriptor that is closed whatever happens.
class OpenFile {
 public:
  explicit OpenFile(const std::string& path)
      // A named pipe must not make the server wait for a writer.
      : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {}
  ~OpenFile() {
    if (fd_ >= 0) close(fd_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  const int fd_;
};

std::string unreadable() {
  return std::string("can't be read: ") + std::strerror(errno);
}

// Looked at through the open file, so that it can't be exchanged in between.
std::string check(const OpenFile& file, Privacy privacy) {
  if (file.fd() < 0) return unreadable();
  struct stat info {};
  if (fstat(file.fd(), &info) != 0 || !S_ISREG(info.st_mode)) return "is no regular file";
  if (info.st_uid != geteuid() && (info.st_uid != 0 || privacy == Privacy::kOwner))
    return "belongs to another user: chown it to the user of this program";
  const mode_t forbidden = (privacy == Privacy::kOwner ? S_IRWXG : S_IWGRP) | S_IRWXO;
  if ((info.st_mode & forbidden) != 0) return "can be read or changed by other users: chmod 600 it";
  return {};
}

}  // namespace

std::string check_private_file(const std::string& path, Privacy privacy) {
  return check(OpenFile(path), privacy);
}

std::string read_private_file(const std::string& path, size_t limit, std::string& error) {
  const OpenFile file(path);
  error = check(file, Privacy::kOwner);
  if (!error.empty()) return {};
  std::string text(limit, '\0');
  size_t size = 0;
  while (size < limit) {
    const ssize_t got = ::read(file.fd(), text.data() + size, limit - size);
    if (got < 0) {
      error = unreadable();
      return {};
    }
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  text.resize(size);
  return text;
}

}  // namespace active_master::protocol
