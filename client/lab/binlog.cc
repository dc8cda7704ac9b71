#include "client/lab/binlog.h"

#include <algorithm>
#include <fstream>
#include <optional>

#include "client/lab/process.h"

namespace active_master::lab {
namespace {

constexpr std::chrono::minutes kLimit{2};

// One transaction, by its GTID: domain-server-sequence.
struct Transaction {
  std::string gtid;
  bool writes_event = false;

  [[nodiscard]] std::string server() const {
    const auto first = gtid.find('-') + 1;
    return gtid.substr(first, gtid.find('-', first) - first);
  }
};

std::optional<std::string> gtid_in(const std::string& line) {
  constexpr std::string_view kMark = "\tGTID ";
  const auto at = line.find(kMark);
  if (!line.starts_with('#') || at == std::string::npos) return std::nullopt;
  const auto begin = at + kMark.size();
  return line.substr(begin, line.find_first_not_of("0123456789-", begin) - begin);
}

}  // namespace

std::vector<std::string> missed_handovers(std::istream& dump) {
  std::vector<std::string> wrong;
  std::optional<Transaction> last;
  for (std::string line; std::getline(dump, line);) {
    if (const auto gtid = gtid_in(line)) {
      const Transaction next{*gtid};
      if (last && !last->writes_event && last->server() != next.server()) {
        wrong.push_back("the binlog has " + next.gtid + " after " + last->gtid +
                        ", which is no handover");
      }
      last = next;
    } else if (last && line.find("Table_map: `active_master`.`event`") != std::string::npos) {
      last->writes_event = true;
    }
  }
  if (!last) wrong.emplace_back("there is no transaction in the binlog");
  return wrong;
}

std::vector<std::string> missed_handovers(const Node& node, const std::filesystem::path& scratch) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(node.data())) {
    const std::string name = entry.path().filename();
    const bool is_binlog =
        name.starts_with("binlog.") && name.find_first_not_of("0123456789", 7) == std::string::npos;
    if (is_binlog) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  Command command{
      .name = "mariadb-binlog",
      .arguments = {"/usr/bin/mariadb-binlog", "--no-defaults", "--base64-output=decode-rows"},
      .log = scratch};
  command.arguments.insert(command.arguments.end(), files.begin(), files.end());
  run(command, kLimit);
  std::ifstream dump(scratch);
  auto wrong = missed_handovers(dump);
  std::filesystem::remove(scratch);
  for (auto& sentence : wrong) sentence.insert(0, node.name() + ": ");
  return wrong;
}

}  // namespace active_master::lab
