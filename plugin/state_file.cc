#include "plugin/state_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace active_master {
namespace {

// Ours has a few hundred bytes.
constexpr size_t kSlotSize = size_t{8} * 1024;
constexpr size_t kSlots = 2;

}  // namespace

class StateFile::File {
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

  // False with errno.
  [[nodiscard]] bool write(size_t offset, std::string_view text) const {
    for (size_t written = 0; written < text.size();) {
      const ssize_t n = ::pwrite(fd_, text.data() + written, text.size() - written,
                                 static_cast<off_t>(offset + written));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      written += static_cast<size_t>(n);
    }
    return true;
  }

  [[nodiscard]] size_t size() const {
    const off_t end = ::lseek(fd_, 0, SEEK_END);
    return end < 0 ? 0 : static_cast<size_t>(end);
  }

  // As much as there is of both slots; nothing with errno.
  [[nodiscard]] std::optional<std::string> read() const {
    std::string text(kSlots * kSlotSize, '\0');
    size_t size = 0;
    while (size < text.size()) {
      const ssize_t n =
          ::pread(fd_, text.data() + size, text.size() - size, static_cast<off_t>(size));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return std::nullopt;
      if (n == 0) break;
      size += static_cast<size_t>(n);
    }
    text.resize(size);
    return text;
  }

  // So that a new file is found again.
  [[nodiscard]] static bool sync_directory_of(const std::string& path) {
    const auto slash = path.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    const File file(directory, O_RDONLY | O_DIRECTORY);
    return file && ::fsync(file.fd()) == 0;
  }

 private:
  int fd_;
};

namespace {

std::string failed(const char* step, const std::string& path) {
  return std::string("can't ") + step + " " + path + ": " + std::generic_category().message(errno);
}

struct Slots {
  std::array<std::optional<Stored>, kSlots> slots;
  std::string error;  // what is wrong with one that isn't there

  [[nodiscard]] size_t latest() const {
    const auto serial = [this](size_t i) { return slots[i] ? slots[i]->serial : 0; };
    return serial(1) > serial(0) || !slots[0] ? 1 : 0;
  }
};

Slots parse(std::string_view text) {
  Slots found;
  for (size_t i = 0; i < kSlots; ++i) {
    auto slot = text.substr(std::min(i * kSlotSize, text.size()), kSlotSize);
    // It is filled up with line ends, and the text has one itself.
    while (slot.ends_with("\n\n")) slot.remove_suffix(1);
    std::string error;
    found.slots[i] = parse_durable(slot, error);
    if (found.error.empty()) found.error = error;
  }
  return found;
}

}  // namespace

std::optional<Durable> StateFile::load(std::string& error) const {
  error.clear();
  const File file(path_, O_RDONLY);
  if (!file) {
    if (errno != ENOENT) error = failed("open", path_);
    return std::nullopt;
  }
  const auto text = file.read();
  if (!text) {
    error = failed("read", path_);
    return std::nullopt;
  }
  const auto found = parse(*text);
  if (const auto& latest = found.slots[found.latest()]) return latest->durable;
  error = path_ + " is damaged: " + found.error;
  return std::nullopt;
}

std::string StateFile::store(const Durable& durable) {
  const File file(path_, O_RDWR | O_CREAT, 0600);
  if (!file) return failed("create", path_);
  if (!is_prepared_ || file.size() < kSlots * kSlotSize) {
    if (auto error = prepare(file); !error.empty()) return error;
  }
  std::string text = serialize(durable, serial_ + 1);
  if (text.size() > kSlotSize) return path_ + ": the state is too long";
  text.resize(kSlotSize, '\n');
  if (!file.write(next_slot_ * kSlotSize, text)) return failed("write", path_);
  if (::fdatasync(file.fd()) != 0) return failed("sync", path_);
  ++serial_;
  next_slot_ = 1 - next_slot_;
  (void)file.write(next_slot_ * kSlotSize, text);
  return {};
}

// Makes both slots, and what an earlier run left in them durable, so that the older one, or the
// damaged one, can be written to.
std::string StateFile::prepare(const File& file) {
  const auto text = file.read();
  if (!text) return failed("read", path_);
  const auto found = parse(*text);
  const auto latest = found.latest();
  if (found.slots[latest]) serial_ = std::max(serial_, found.slots[latest]->serial);
  next_slot_ = 1 - latest;
  if (!file.write(text->size(), std::string(kSlots * kSlotSize - text->size(), '\n')))
    return failed("write", path_);
  if (::fsync(file.fd()) != 0) return failed("sync", path_);
  if (!File::sync_directory_of(path_)) return failed("sync the directory of", path_);
  is_prepared_ = true;
  return {};
}

}  // namespace active_master
