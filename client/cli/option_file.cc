#include "client/cli/option_file.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace active_master::sql {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxIncludes = 10;  // nested: a file that includes itself must end somewhere
constexpr std::string_view kSpace = " \t\r\n";

std::string_view trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

// A '#' begins a comment where it stands outside of quotes after white space.
std::string_view without_comment(std::string_view text) {
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\') {
      ++i;
    } else if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (i == 0 && (c == '\'' || c == '"')) {
      quote = c;
    } else if (c == '#' && (i == 0 || kSpace.find(text[i - 1]) != std::string_view::npos)) {
      return text.substr(0, i);
    }
  }
  return text;
}

std::string unescape(std::string_view text) {
  static constexpr std::string_view kNames = "btnr\\s\"'";
  static constexpr std::string_view kMeanings = "\b\t\n\r\\ \"'";
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const size_t known =
        text[i] == '\\' && i + 1 < text.size() ? kNames.find(text[i + 1]) : std::string_view::npos;
    if (known == std::string_view::npos) {
      plain += text[i];
    } else {
      plain += kMeanings[known];
      ++i;
    }
  }
  return plain;
}

std::string value_of(std::string_view text) {
  std::string_view value = trim(without_comment(trim(text)));
  const bool quoted = value.size() >= 2 && value.front() == value.back() &&
                      (value.front() == '\'' || value.front() == '"');
  return unescape(quoted ? value.substr(1, value.size() - 2) : value);
}

Setting setting_of(std::string_view line) {
  const size_t equal = line.find('=');
  Setting setting;
  if (equal == std::string_view::npos) {
    setting.name = trim(without_comment(line));
  } else {
    setting.name = trim(line.substr(0, equal));
    setting.value = value_of(line.substr(equal + 1));
  }
  if (setting.name.starts_with("loose-") || setting.name.starts_with("loose_")) {
    setting.name.erase(0, 6);
  }
  std::replace(setting.name.begin(), setting.name.end(), '-', '_');
  return setting;
}

class Reader {
 public:
  explicit Reader(const std::vector<std::string>& groups) : groups_(groups) {}

  void read(const fs::path& file, int depth) {
    std::ifstream in(file);
    if (!in) throw OptionFileError("Can't read option file " + file.string());
    read(in, file.string(), depth);
  }

  void read(std::istream& in, const std::string& name, int depth) {
    bool wanted = false;
    for (std::string text; std::getline(in, text);) {
      const std::string_view line = trim(text);
      if (line.empty() || line.front() == '#' || line.front() == ';') continue;
      if (line.front() == '[') {
        const size_t end = line.find(']');
        if (end == std::string_view::npos) {
          throw OptionFileError("Wrong group line in option file " + name + ": " + text);
        }
        const std::string_view group = trim(line.substr(1, end - 1));
        wanted = std::find(groups_.begin(), groups_.end(), group) != groups_.end();
      } else if (line.front() == '!') {
        include(line.substr(1), depth);
      } else if (wanted) {
        settings_.push_back(setting_of(line));
      }
    }
  }

  std::vector<Setting> take() { return std::move(settings_); }

 private:
  void include(std::string_view directive, int depth) {
    if (depth >= kMaxIncludes) return;
    const size_t space = directive.find_first_of(kSpace);
    if (space == std::string_view::npos) return;
    const fs::path path(trim(directive.substr(space)));
    const std::string_view word = directive.substr(0, space);
    std::error_code ignored;  // an included file that is missing is skipped, as the server does
    if (word == "include") {
      if (fs::exists(path, ignored)) read(path, depth + 1);
    } else if (word == "includedir") {
      std::vector<fs::path> files;
      for (const auto& entry : fs::directory_iterator(path, ignored)) {
        if (entry.path().extension() == ".cnf") files.push_back(entry.path());
      }
      std::sort(files.begin(), files.end());
      for (const fs::path& file : files) read(file, depth + 1);
    }
  }

  const std::vector<std::string>& groups_;
  std::vector<Setting> settings_;
};

}  // namespace

std::vector<Setting> read_option_file(const fs::path& file,
                                      const std::vector<std::string>& groups) {
  Reader reader(groups);
  reader.read(file, 0);
  return reader.take();
}

std::vector<Setting> read_option_text(std::istream& in, const std::string& name,
                                      const std::vector<std::string>& groups) {
  Reader reader(groups);
  reader.read(in, name, 0);
  return reader.take();
}

std::vector<Setting> read_option_files(const OptionFiles& files,
                                       const std::vector<std::string>& groups) {
  if (files.none) return {};
  if (!files.only.empty()) return read_option_file(files.only, groups);

  Reader reader(groups);
  const auto read_if_there = [&reader](const fs::path& file) {
    std::error_code ignored;
    if (fs::exists(file, ignored)) reader.read(file, 0);
  };
  read_if_there("/etc/my.cnf");
  read_if_there("/etc/mysql/my.cnf");
  if (const char* home = std::getenv("MYSQL_HOME")) read_if_there(fs::path(home) / "my.cnf");
  if (!files.extra.empty()) reader.read(files.extra, 0);
  if (const char* home = std::getenv("HOME")) read_if_there(fs::path(home) / ".my.cnf");
  return reader.take();
}

}  // namespace active_master::sql
