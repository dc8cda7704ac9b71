#include "client/checker/history.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>

namespace active_master::lab {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kFormat = "active-master-lab recording 3";
constexpr std::array<std::string_view, 3> kAnswers = {"ok", "error", "unknown"};
constexpr std::array<std::string_view, 5> kStages = {"connect", "begin", "autocommit", "inside",
                                                     "gate"};

template <typename Enum, size_t N>
Enum named(const Json& name, const std::array<std::string_view, N>& names) {
  const auto found = std::find(names.begin(), names.end(), name.get<std::string>());
  if (found == names.end()) throw RecordingError("unknown word " + name.dump());
  return static_cast<Enum>(found - names.begin());
}

Json to_json(const Write& write) {
  Json json = {{"write", write.sequence},           {"client", write.client},
               {"start", write.start_us},           {"end", write.end_us},
               {"answer", to_string(write.answer)}, {"stage", to_string(write.stage)}};
  if (write.error != 0) json["error"] = write.error;
  if (!write.text.empty()) json["text"] = write.text;
  return json;
}

Write write_from(const Json& json) {
  return {json.at("client"),
          json.at("write"),
          json.at("start"),
          json.at("end"),
          named<Answer>(json.at("answer"), kAnswers),
          named<Stage>(json.at("stage"), kStages),
          json.value("error", 0U),
          json.value("text", "")};
}

Json to_json(const Switchover& s) {
  Json json = {{"switchover", s.to},     {"from", s.from},     {"start", s.start_us},
               {"end", s.end_us},        {"done", s.done},     {"text", s.text},
               {"answered", s.answered}, {"known", s.is_known}};
  if (s.left) json["left"] = {{"active", s.left->active}, {"writable", s.left->writable}};
  return json;
}

Switchover switchover_from(const Json& json) {
  Switchover s{json.at("from"), json.at("switchover"), json.at("start"),    json.at("end"),
               json.at("done"), json.at("text"),       json.at("answered"), json.at("known")};
  if (json.contains("left")) {
    const Json& left = json.at("left");
    s.left = {left.at("active"), left.at("writable").get<std::vector<std::string>>()};
  }
  return s;
}

Json to_json(const Observation& o) {
  Json json = {{"saw", o.who}, {"start", o.start_us}, {"end", o.end_us}, {"epoch", o.epoch}};
  if (o.is_proxy) return json;
  json.update(
      {{"role", o.role}, {"phase", o.phase}, {"writable", o.is_writable}, {"life", o.life}});
  return json;
}

Observation observation_from(const Json& json) {
  return {json.at("saw"),
          json.at("start"),
          json.at("end"),
          !json.contains("role"),
          json.at("epoch"),
          json.value("role", ""),
          json.value("phase", ""),
          json.value("writable", false),
          json.value("life", int64_t{0})};
}

Json to_json(const Footprint& f, const char* when) {
  return {{when, f.who},
          {"pid", f.pid},
          {"threads", f.threads},
          {"sockets", f.sockets},
          {"other_files", f.other_files},
          {"state_files", f.state_files},
          {"sessions", f.sessions},
          {"metadata_locks", f.metadata_locks}};
}

Footprint footprint_from(const Json& json, const char* when) {
  return {json.at(when),       json.at("pid"),           json.at("threads"),
          json.at("sockets"),  json.at("other_files"),   json.at("state_files"),
          json.at("sessions"), json.at("metadata_locks")};
}

void read_line(const Json& json, Recording& recording) {
  History& history = recording.history;
  if (json.contains("write")) {
    history.writes.push_back(write_from(json));
  } else if (json.contains("row")) {
    if (recording.nodes.empty()) throw RecordingError("a row before its node");
    const Json& row = json.at("row");
    recording.nodes.back().rows.push_back({row.at(0), row.at(1), row.at(2)});
  } else if (json.contains("saw")) {
    recording.observations.push_back(observation_from(json));
  } else if (json.contains("switchover")) {
    history.switchovers.push_back(switchover_from(json));
  } else if (json.contains("node")) {
    recording.nodes.push_back({json.at("node"), json.at("server_id"), {}});
  } else if (json.contains("rules")) {
    recording.rules.errors_inside_allowed = json.at("rules").at("errors_inside_allowed");
  } else if (json.contains("first")) {
    history.first_active = json.at("first");
  } else if (json.contains("strict")) {
    history.strict_clients = json.at("strict").get<std::set<uint32_t>>();
  } else if (json.contains("recovery")) {
    recording.recoveries.push_back(
        {json.at("recovery"), json.at("start"), json.at("end"), json.at("limit")});
  } else if (json.contains("before")) {
    recording.before.push_back(footprint_from(json, "before"));
  } else if (json.contains("after")) {
    recording.after.push_back(footprint_from(json, "after"));
  } else {
    throw RecordingError("unknown kind of line");
  }
}

}  // namespace

void write_recording(const Recording& recording, std::ostream& out) {
  const History& history = recording.history;
  const auto line = [&out](const Json& json) {
    out << json.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
  };
  line({{"format", kFormat}});
  line({{"rules", {{"errors_inside_allowed", recording.rules.errors_inside_allowed}}}});
  line({{"first", history.first_active}});
  line({{"strict", history.strict_clients}});
  for (const auto& write : history.writes) line(to_json(write));
  for (const auto& switchover : history.switchovers) line(to_json(switchover));
  for (const auto& seen : recording.observations) line(to_json(seen));
  for (const auto& r : recording.recoveries) {
    line({{"recovery", r.after}, {"start", r.start_us}, {"end", r.end_us}, {"limit", r.limit_us}});
  }
  for (const auto& footprint : recording.before) line(to_json(footprint, "before"));
  for (const auto& footprint : recording.after) line(to_json(footprint, "after"));
  for (const auto& node : recording.nodes) {
    line({{"node", node.node}, {"server_id", node.server_id}});
    for (const Row& row : node.rows) {
      line({{"row", {row.client, row.sequence, row.server_id}}});
    }
  }
}

Recording read_recording(std::istream& in) {
  Recording recording;
  std::string line;
  for (size_t number = 1; std::getline(in, line); ++number) {
    try {
      const Json json = Json::parse(line);
      if (number > 1) {
        read_line(json, recording);
      } else if (json.value("format", "") != kFormat) {
        throw RecordingError("this is no recording");
      }
    } catch (const std::exception& error) {
      throw RecordingError("Line " + std::to_string(number) + ": " + error.what());
    }
  }
  return recording;
}

void save(const Recording& recording, const std::filesystem::path& file) {
  std::ofstream out(file);
  write_recording(recording, out);
  if (!out.flush()) throw RecordingError("Can't write " + file.string());
}

Recording load(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in) throw RecordingError("Can't read " + file.string());
  return read_recording(in);
}

int64_t now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string_view to_string(Answer answer) {
  return kAnswers.at(static_cast<size_t>(answer));
}
std::string_view to_string(Stage stage) {
  return kStages.at(static_cast<size_t>(stage));
}

}  // namespace active_master::lab
