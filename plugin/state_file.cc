#include "plugin/state_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

namespace active_master {
namespace {

constexpr size_t kMaxSize = size_t{64} * 1024;  // ours has a few hundred bytes

std::string failed(const char* step, const std::string& path) {
  return std::string("can't ") + step + " " + path + ": " + std::generic_category().message(errno);
}

class File {
 public:
  File(const std::string& path, int flags, mode_t mode = 0)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  explicit operator bool() const { return fd_ >= 0; }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

std::string write_and_sync(const std::string& path, const std::string& text) {
  const File file(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (!file) return failed("create", path);
  for (size_t written = 0; written < text.size();) {
    const ssize_t n = ::write(file.fd(), text.data() + written, text.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return failed("write", path);
    written += static_cast<size_t>(n);
  }
  return ::fsync(file.fd()) == 0 ? std::string() : failed("sync", path);
}

std::string sync_directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const File file(directory, O_RDONLY | O_DIRECTORY);
  if (!file || ::fsync(file.fd()) != 0) return failed("sync", directory);
  return {};
}

}  // namespace

std::optional<Durable> StateFile::load(std::string& error) const {
  error.clear();
  const File file(path_, O_RDONLY);
  if (!file) {
    if (errno != ENOENT) error = failed("open", path_);
    return std::nullopt;
  }
  std::string text(kMaxSize, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t n = ::read(file.fd(), text.data() + size, text.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      error = failed("read", path_);
      return std::nullopt;
    }
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  text.resize(size);
  auto durable = parse_durable(text, error);
  if (!durable) error = path_ + " is damaged: " + error;
  return durable;
}

std::string StateFile::store(const Durable& durable) const {
  const std::string temporary = path_ + ".new";
  if (auto error = write_and_sync(temporary, serialize(durable)); !error.empty()) return error;
  if (std::rename(temporary.c_str(), path_.c_str()) != 0) return failed("rename", temporary);
  return sync_directory_of(path_);
}

}  // namespace active_master
