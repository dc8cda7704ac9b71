#include "client/subscriber/memory_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

namespace active_master::client {
namespace {

constexpr const char* kHeader = "active_master_proxy";

std::string failed(const char* step, const std::string& path) {
  return std::string("can't ") + step + " " + path + ": " + std::generic_category().message(errno);
}

// Writes and syncs; false with errno set.
bool write_and_sync(const std::string& path, const std::string& text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  const bool is_written =
      ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const bool is_synced = is_written && ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  errno = error;
  return is_synced;
}

}  // namespace

std::optional<Route> MemoryFile::load(std::string& error) const {
  error.clear();
  if (path_.empty()) return std::nullopt;
  std::ifstream file(path_);
  if (!file) {
    if (std::filesystem::exists(path_)) error = "can't open " + path_;
    return std::nullopt;
  }
  // The end mark tells a whole line from one that was cut.
  std::string line, header, address, end;
  Route route;
  std::getline(file, line);
  std::istringstream words(line);
  words >> header >> route.epoch >> route.node >> address >> end;
  const auto parsed = parse_address(address);
  if (header != kHeader || route.epoch == 0 || !is_valid_name(route.node) || !parsed ||
      end != "end") {
    error = path_ + " is damaged: remove it when every node of the cluster is connected";
    return std::nullopt;
  }
  route.sql_address = *parsed;
  return route;
}

std::string MemoryFile::store(const Route& route) const {
  if (path_.empty()) return {};
  const std::string temporary = path_ + ".new";
  const std::string text = std::string(kHeader) + " " + std::to_string(route.epoch) + " " +
                           route.node + " " + route.sql_address.to_string() + " end\n";
  if (!write_and_sync(temporary, text)) return failed("write", temporary);
  if (std::rename(temporary.c_str(), path_.c_str()) != 0) return failed("rename", temporary);
  const auto slash = path_.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool is_synced = fd >= 0 && ::fsync(fd) == 0;
  const std::string error = is_synced ? "" : failed("sync", directory);
  if (fd >= 0) ::close(fd);
  return error;
}

}  // namespace active_master::client
