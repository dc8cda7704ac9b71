#include "client/cli/trace.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>

#include "client/cli/chart.h"
#include "client/protocol/names.h"

namespace active_master::cli {
namespace {

constexpr int kReadings = 15;       // of a clock, of which the quickest counts
constexpr size_t kMaxProxies = 30;  // lines of one time line
constexpr const char* kHolds = "holds";

int64_t now_us() {
  using namespace std::chrono;
  return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

int64_t number(const sql::Value& value) {
  return value ? std::strtoll(value->c_str(), nullptr, 10) : 0;
}

ClockOffset read_clock(sql::Connection& connection) {
  std::optional<ClockOffset> best;
  for (int i = 0; i < kReadings; ++i) {
    const int64_t sent = now_us();
    const auto read = connection.value("SELECT FLOOR(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000)");
    const auto offset = clock_offset(sent, number(read), now_us());
    if (!best || offset.uncertainty < best->uncertainty) best = offset;
  }
  return *best;
}

std::string us_of(const std::string& column) {
  return "FLOOR(UNIX_TIMESTAMP(" + column + ") * 1000000)";
}

sql::ResultSet first(std::vector<sql::ResultSet> sets) {
  return sets.empty() ? sql::ResultSet{} : std::move(sets.front());
}

void add_states(sql::Connection& connection, const std::string& node, int64_t ahead, Trace& trace) {
  const auto events = first(connection.query(
      "SELECT " + us_of("TIME") +
      " AS TIME_US, FROM_STATE, TO_STATE FROM INFORMATION_SCHEMA.ACTIVE_MASTER_EVENTS"
      " WHERE SWITCHOVER_ID = " +
      std::to_string(trace.id) + " ORDER BY SEQ"));
  auto spans = states(node, events, ahead);
  std::ranges::move(spans, std::back_inserter(trace.spans));
}

// As the node heard it: the proxies' own clocks don't matter.
void add_proxies(sql::Connection& connection, int64_t ahead, Trace& trace) {
  const std::string events =
      "(SELECT MIN(TIME) AS began, MAX(TIME) AS ended FROM INFORMATION_SCHEMA.ACTIVE_MASTER_EVENTS"
      " WHERE SWITCHOVER_ID = " +
      std::to_string(trace.id) + ") e";
  const auto proxies = first(connection.query(
      "SELECT PROXY, " + us_of("HELD_AT") + ", " + us_of("IFNULL(OPENED_AT, e.ended)") +
      " FROM INFORMATION_SCHEMA.ACTIVE_MASTER_PROXIES JOIN " + events +
      " WHERE HELD_AT BETWEEN e.began AND e.ended ORDER BY HELD_AT"));
  const auto& rows = proxies.rows;
  const size_t skipped = rows.size() - std::min(rows.size(), kMaxProxies);
  if (skipped > 0) {
    trace.remarks.push_back("the " + std::to_string(skipped) +
                            " proxies that held first are left out");
  }
  for (size_t i = skipped; i < rows.size(); ++i) {
    trace.spans.push_back({rows[i].at(0).value_or(""), kHolds, number(rows[i].at(1)) - ahead,
                           number(rows[i].at(2)) - ahead});
  }
}

void add_node(sql::Connection& connection, const std::string& node, bool is_director,
              Trace& trace) {
  connection.execute("SET SESSION time_zone = '+00:00'");  // has no hour twice
  const auto clock = read_clock(connection);
  trace.remarks.push_back("the clock of " + node + " is " + std::to_string(clock.ahead) +
                          " us ahead of this one, give or take " +
                          std::to_string(clock.uncertainty) + " us");
  add_states(connection, node, clock.ahead, trace);
  if (is_director) add_proxies(connection, clock.ahead, trace);
}

sql::Options options_for(sql::Options options, const std::string& sql_address) {
  if (const auto address = parse_address(sql_address)) {
    options.host = address->host;
    options.port = address->port;
    options.socket.clear();
  }
  return options;
}

// Where writes begin to pause; the beginning, if they never did.
int64_t origin(const Trace& trace) {
  int64_t begin = trace.spans.empty() ? 0 : trace.spans.front().from;
  for (const auto& span : trace.spans) {
    if (span.what == "PAUSE") return span.from;
    begin = std::min(begin, span.from);
  }
  return begin;
}

std::string ms(int64_t us) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", static_cast<double>(us) / 1000);
  return text;
}

}  // namespace

ClockOffset clock_offset(int64_t sent, int64_t read, int64_t received) {
  return {read - (sent + received) / 2, (received - sent + 1) / 2};
}

std::vector<Span> states(const std::string& node, const sql::ResultSet& events,
                         int64_t clock_ahead) {
  std::vector<Span> spans;
  std::optional<int64_t> entered;
  for (const auto& row : events.rows) {
    const auto& [time, from, to] = std::tie(row.at(0), row.at(1), row.at(2));
    if (from == to) continue;
    const int64_t now = number(time) - clock_ahead;
    if (entered) spans.push_back({node, from.value_or(""), *entered, now});
    entered = now;
  }
  return spans;
}

Trace read_trace(const sql::Options& options, uint64_t id) {
  sql::Connection connection(options);
  Trace trace;
  const auto found = first(
      connection.query("SELECT ID, KIND, FROM_NODE, TO_NODE, RESULT, EPOCH, WRITE_PAUSE_US"
                       " FROM INFORMATION_SCHEMA.ACTIVE_MASTER_SWITCHOVERS WHERE " +
                       (id != 0 ? "ID = " + std::to_string(id) : std::string("KIND <> 'CHECK'")) +
                       " ORDER BY STARTED DESC LIMIT 1"));
  if (found.rows.empty()) {
    throw sql::Error(sql::Error::Stage::kStatement, 0, "",
                     "this node knows no such switchover; ACTIVE_MASTER_SWITCHOVERS lists those "
                     "that it knows");
  }
  trace.id = std::strtoull(found.first("ID").value_or("0").c_str(), nullptr, 10);
  const std::string director = found.first("FROM_NODE").value_or("");
  trace.summary = found.first("KIND").value_or("") + " " + std::to_string(trace.id) + " from " +
                  director + " to " + found.first("TO_NODE").value_or("") + ", epoch " +
                  found.first("EPOCH").value_or("") + ", " + found.first("RESULT").value_or("");
  if (const auto pause = found.first("WRITE_PAUSE_US"))
    trace.summary += ", writes paused for " + ms(number(pause)) + " ms";
  for (const auto& row :
       first(connection.query(
                 "SELECT NODE, LINK, SQL_ADDRESS FROM "
                 "INFORMATION_SCHEMA.ACTIVE_MASTER_NODES WHERE ROLE <> 'WITNESS' ORDER BY NODE"))
           .rows) {
    const std::string node = row.at(0).value_or("");
    try {
      if (row.at(1) == "SELF") {
        add_node(connection, node, node == director, trace);
      } else {
        sql::Connection other(options_for(options, row.at(2).value_or("")));
        add_node(other, node, node == director, trace);
      }
    } catch (const sql::Error& error) {
      trace.remarks.push_back(node + " can't be asked: " + error.what());
    }
  }
  std::ranges::stable_sort(trace.spans, {}, &Span::from);
  return trace;
}

std::string trace_text(const Trace& trace) {
  const int64_t zero = origin(trace);
  sql::ResultSet set{
      {{"FROM_MS", true}, {"TO_MS", true}, {"TOOK_MS", true}, {"WHO", false}, {"WHAT", false}}, {}};
  for (const auto& span : trace.spans) {
    set.rows.push_back(
        {ms(span.from - zero), ms(span.to - zero), ms(span.to - span.from), span.party, span.what});
  }
  std::string text = trace.summary + "\nTimes count from the moment at which writes paused.\n\n" +
                     table(set) + "\n";
  for (const auto& remark : trace.remarks) text += "Note: " + remark + ".\n";
  return text;
}

std::string trace_svg(const Trace& trace) {
  const int64_t zero = origin(trace);
  std::vector<Bar> bars;
  for (const auto& span : trace.spans) {
    if (span.to <= zero) continue;  // what comes before may be a thousand times as long
    const auto in_ms = [](int64_t us) { return static_cast<double>(us) / 1000; };
    const int64_t from = std::max(span.from, zero);
    bars.push_back({span.party + " " + span.what,
                    {{"", in_ms(from - zero)}, {span.party, in_ms(span.to - from)}}});
  }
  return bar_chart(trace.summary, "ms", bars);
}

Json trace_json(const Trace& trace) {
  Json spans = Json::array();
  for (const auto& span : trace.spans) {
    spans.push_back(
        {{"party", span.party}, {"what", span.what}, {"from_us", span.from}, {"to_us", span.to}});
  }
  return {
      {"id", trace.id}, {"summary", trace.summary}, {"spans", spans}, {"remarks", trace.remarks}};
}

}  // namespace active_master::cli
