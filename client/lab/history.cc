#include "client/lab/history.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <fstream>

#include "client/lab/wait.h"

namespace active_master::lab {
namespace {

constexpr std::string_view kHeader = "active-master-lab recording 1";
constexpr std::array<std::string_view, 3> kAnswers = {"ok", "error", "unknown"};
constexpr std::array<std::string_view, 5> kStages = {"connect", "begin", "autocommit", "inside",
                                                     "gate"};

std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\t' || c == '\n' || c == '\r'; }, ' ');
  return text;
}

// The fields of one line, taken from left to right.
class Fields {
 public:
  explicit Fields(std::string_view line) : rest_(line) {}

  std::string_view text() {
    const size_t tab = rest_.find('\t');
    const std::string_view field = rest_.substr(0, tab);
    rest_ = tab == std::string_view::npos ? std::string_view() : rest_.substr(tab + 1);
    return field;
  }

  template <typename Number>
  void number(Number& value) {
    const std::string_view field = text();
    const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
    if (error != std::errc() || end != field.data() + field.size()) throw LabError("no number");
  }

  template <typename Enum, size_t N>
  void name(Enum& value, const std::array<std::string_view, N>& names) {
    const auto found = std::find(names.begin(), names.end(), text());
    if (found == names.end()) throw LabError("unknown word");
    value = static_cast<Enum>(found - names.begin());
  }

 private:
  std::string_view rest_;
};

void read_line(std::string_view line, Recording& recording) {
  Fields fields(line);
  const std::string_view kind = fields.text();
  if (kind == "first") {
    recording.history.first_active = fields.text();
  } else if (kind == "strict") {
    uint32_t client = 0;
    fields.number(client);
    recording.history.strict_clients.insert(client);
  } else if (kind == "write") {
    Write& write = recording.history.writes.emplace_back();
    fields.number(write.client);
    fields.number(write.sequence);
    fields.number(write.start_us);
    fields.number(write.end_us);
    fields.name(write.answer, kAnswers);
    fields.name(write.stage, kStages);
    fields.number(write.error);
    write.text = fields.text();
  } else if (kind == "switchover") {
    Switchover& switchover = recording.history.switchovers.emplace_back();
    switchover.from = fields.text();
    switchover.to = fields.text();
    fields.number(switchover.start_us);
    fields.number(switchover.end_us);
    switchover.done = fields.text() == "done";
    switchover.text = fields.text();
  } else if (kind == "node") {
    NodeRows& node = recording.nodes.emplace_back();
    node.node = fields.text();
    fields.number(node.server_id);
  } else if (kind == "row") {
    if (recording.nodes.empty()) throw LabError("a row before its node");
    Row& row = recording.nodes.back().rows.emplace_back();
    fields.number(row.client);
    fields.number(row.sequence);
    fields.number(row.server_id);
  } else {
    throw LabError("unknown kind of line");
  }
}

}  // namespace

std::string_view to_string(Answer answer) {
  return kAnswers.at(static_cast<size_t>(answer));
}
std::string_view to_string(Stage stage) {
  return kStages.at(static_cast<size_t>(stage));
}

int64_t now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void write_recording(const Recording& recording, std::ostream& out) {
  const History& history = recording.history;
  out << kHeader << '\n' << "first\t" << history.first_active << '\n';
  for (const uint32_t client : history.strict_clients) out << "strict\t" << client << '\n';
  for (const Write& write : history.writes) {
    out << "write\t" << write.client << '\t' << write.sequence << '\t' << write.start_us << '\t'
        << write.end_us << '\t' << to_string(write.answer) << '\t' << to_string(write.stage) << '\t'
        << write.error << '\t' << one_line(write.text) << '\n';
  }
  for (const Switchover& switchover : history.switchovers) {
    out << "switchover\t" << switchover.from << '\t' << switchover.to << '\t' << switchover.start_us
        << '\t' << switchover.end_us << '\t' << (switchover.done ? "done" : "failed") << '\t'
        << one_line(switchover.text) << '\n';
  }
  for (const NodeRows& node : recording.nodes) {
    out << "node\t" << node.node << '\t' << node.server_id << '\n';
    for (const Row& row : node.rows) {
      out << "row\t" << row.client << '\t' << row.sequence << '\t' << row.server_id << '\n';
    }
  }
}

Recording read_recording(std::istream& in) {
  Recording recording;
  std::string line;
  if (!std::getline(in, line) || line != kHeader) throw LabError("This is no recording");
  for (size_t number = 2; std::getline(in, line); ++number) {
    try {
      read_line(line, recording);
    } catch (const LabError& error) {
      throw LabError("Line " + std::to_string(number) + ": " + error.what());
    }
  }
  return recording;
}

void save(const Recording& recording, const std::filesystem::path& file) {
  std::ofstream out(file);
  write_recording(recording, out);
  if (!out.flush()) throw LabError("Can't write " + file.string());
}

Recording load(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in) throw LabError("Can't read " + file.string());
  return read_recording(in);
}

}  // namespace active_master::lab
