#include "plugin/server/information_schema.h"

#include "plugin/server/fence_audit.h"
#include "plugin/server/gate.h"

#include "plugin/server/schema_table.h"
#include "plugin/server/snapshot.h"

namespace active_master {

st_mysql_information_schema information_schema_descriptor = {
    MYSQL_INFORMATION_SCHEMA_INTERFACE_VERSION};

namespace {

constexpr Column kEnd{};

// A standby that has what the active master has not is shown as what it is.
const char* role_name(Role role, Replication replication) {
  return role == Role::kStandby && replication == Replication::kDiverged ? to_string(replication)
                                                                         : to_string(role);
}

// --- ACTIVE_MASTER_STATE ---

constexpr Column kStateColumns[] = {
    text("NODE", 64),
    text("CLUSTER", 64),
    text("ROLE", 16),
    counter("EPOCH"),
    nullable(text("ACTIVE_NODE", 64)),
    nullable(text("ACTIVE_SQL_ADDRESS", 255)),
    text("PHASE", 16),
    nullable(counter("SWITCHOVER_ID")),
    text("STATE", 32),
    integer("FENCED"),
    integer("READ_ONLY"),
    text("SQL_ADDRESS", 255),
    text("GTID_POSITION", 1024),
    time("SINCE"),
    nullable(text("LAST_ERROR", 1024)),
    kEnd,
};

void show_state(const View& view, RowWriter& rows) {
  const Activation none;
  const Activation& active = view.activation ? *view.activation : none;
  rows.text(view.node)
      .text(view.cluster)
      .text(role_name(view.role, view.replication))
      .counter(view.epoch.value)
      .text_or_null(active.node)
      .text_or_null(active.sql_address)
      .text(to_string(view.phase))
      .counter_or_null(view.switchover.value)
      .text(view.state)
      .integer((view.fenced || server_gate().is_lease_over()) && server_fence().enabled())
      .integer(view.read_only)
      .text(view.sql_address)
      .text(view.gtid_position)
      .time(view.since)
      .text_or_null(view.last_error)
      .end_row();
}

// --- ACTIVE_MASTER_NODES ---

constexpr Column kNodesColumns[] = {
    text("NODE", 64),
    nullable(text("ADDRESS", 255)),
    text("LINK", 16),
    text("ROLE", 16),
    counter("EPOCH"),
    nullable(text("SQL_ADDRESS", 255)),
    nullable(integer("FENCED")),
    nullable(integer("READ_ONLY")),
    nullable(text("GTID_POSITION", 1024)),
    nullable(counter("SERVER_ID")),
    nullable(text("SERVER_VERSION", 64)),
    nullable(time("LAST_SEEN")),
    nullable(text("LAST_ERROR", 1024)),
    nullable(text("REPLICATION", 16)),
    nullable(text("REPLICATION_ERROR", 1024)),
    nullable(integer("SEMI_SYNC")),
    kEnd,
};

void show_node(const NodeView& node, RowWriter& rows) {
  rows.text(node.name);
  node.address ? rows.text(*node.address) : rows.null();
  rows.text(node.link);
  if (node.last_seen && node.role == Role::kWitness) {
    rows.text(to_string(node.role)).counter(node.epoch.value);
    rows.null().null().null().null().null().null().time(*node.last_seen);
  } else if (node.last_seen) {
    rows.text(role_name(node.role, node.replication))
        .counter(node.epoch.value)
        .text_or_null(node.sql_address)
        .integer(node.fenced)
        .integer(node.read_only)
        .text(node.gtid_position)
        .counter_or_null(node.server_id)
        .text_or_null(node.server_version)
        .time(*node.last_seen);
  } else {
    rows.text("UNKNOWN").counter(0).null().null().null().null().null().null().null();
  }
  rows.text_or_null(node.last_error)
      .text_or_null(to_string(node.replication))
      .text_or_null(node.replication_error);
  (node.role == Role::kActive ? rows.integer(node.semi_sync) : rows.null()).end_row();
}

void show_nodes(const View& view, RowWriter& rows) {
  for (const NodeView& node : view.nodes) show_node(node, rows);
}

// --- ACTIVE_MASTER_PROXIES ---

constexpr Column kProxiesColumns[] = {
    text("PROXY", 64),
    text("IP", 64),
    integer("SWITCH"),
    text("STATE", 16),
    text("DRIVER", 32),
    counter("EPOCH"),
    nullable(text("NODE", 64)),
    nullable(counter("SWITCHOVER_ID")),
    time("LAST_SEEN"),
    nullable(time("HELD_AT")),
    nullable(time("OPENED_AT")),
    nullable(text("LAST_ERROR", 1024)),
    kEnd,
};

void show_proxies(const View& view, RowWriter& rows) {
  for (const ProxyView& proxy : view.proxies) {
    rows.text(proxy.name)
        .text(proxy.ip)
        .integer(proxy.holding)
        .text(proxy.connected ? "CONNECTED" : "LOST")
        .text(proxy.driver)
        .counter(proxy.epoch.value)
        .text_or_null(proxy.node)
        .counter_or_null(proxy.switchover.value)
        .time(proxy.last_seen)
        .time_or_null(proxy.held_at)
        .time_or_null(proxy.opened_at)
        .text_or_null(proxy.last_error)
        .end_row();
  }
}

// --- ACTIVE_MASTER_SWITCHOVERS ---

constexpr Column kSwitchoversColumns[] = {
    counter("ID"),
    text("KIND", 16),
    text("FROM_NODE", 64),
    text("TO_NODE", 64),
    text("REQUESTED_BY", 64),
    counter("EPOCH"),
    time("STARTED"),
    integer("SEQ"),
    text("PHASE", 16),
    counter("DURATION_US"),
    nullable(counter("WRITE_PAUSE_US")),
    nullable(counter("PREDICTED_PAUSE_US")),
    text("RESULT", 16),
    nullable(integer("ERROR_NUMBER")),
    nullable(text("ERROR", 1024)),
    kEnd,
};

void show(const std::optional<Duration>& duration, RowWriter& rows) {
  duration ? rows.counter(static_cast<uint64_t>(duration->count())) : rows.null();
}

void show_phase(const SwitchoverReport& report, int64_t seq, const PhaseTime& phase,
                RowWriter& rows) {
  rows.counter(report.id.value)
      .text(report.check_only ? "CHECK"
            : report.failover ? "FAILOVER"
                              : "SWITCHOVER")
      .text(report.from)
      .text(report.to)
      .text(report.requested_by)
      .counter(report.epoch.value)
      .time(report.started)
      .integer(seq)
      .text(to_string(phase.phase))
      .counter(static_cast<uint64_t>(phase.duration.count()));
  show(report.write_pause, rows);
  show(report.predicted_pause, rows);
  rows.text(to_string(report.result));
  report.error_number != 0 ? rows.integer(report.error_number) : rows.null();
  rows.about_accounts(report.error).end_row();
}

void show_switchovers(const View& view, RowWriter& rows) {
  for (const auto& report : view.switchovers) {
    if (report->phases.empty()) show_phase(*report, 0, PhaseTime{}, rows);
    int64_t seq = 0;
    for (const PhaseTime& phase : report->phases) show_phase(*report, ++seq, phase, rows);
  }
}

// --- ACTIVE_MASTER_CHECKS ---

constexpr Column kChecksColumns[] = {
    counter("ID"),       integer("SEQ"),       text("NODE", 64),     text("CHECK_NAME", 64),
    text("VERDICT", 16), text("DETAIL", 1024), text("REMEDY", 1024), kEnd,
};

void show_checks(const View& view, RowWriter& rows) {
  for (const auto& report : view.switchovers) {
    int64_t seq = 0;
    for (const CheckRow& check : report->checks) {
      rows.counter(report->id.value)
          .integer(++seq)
          .text(check.node)
          .text(check.check)
          .text(to_string(check.verdict))
          .about_accounts(check.detail)
          .text(check.remedy)
          .end_row();
    }
  }
}

// --- ACTIVE_MASTER_EVENTS ---

constexpr Column kEventsColumns[] = {
    counter("SEQ"),
    time("TIME"),
    integer("RULE"),
    text("FROM_STATE", 32),
    text("TO_STATE", 32),
    counter("EPOCH"),
    nullable(counter("SWITCHOVER_ID")),
    text("MESSAGE", 1024),
    kEnd,
};

void show_events(const View& view, RowWriter& rows) {
  for (const auto& event : view.events) {
    rows.counter(event->seq)
        .time(event->time)
        .integer(event->rule)
        .text(event->from_state)
        .text(event->to_state)
        .counter(event->epoch.value)
        .counter_or_null(event->switchover.value)
        .about_accounts(event->message)
        .end_row();
  }
}

// --- What the server calls ---

using Show = void (*)(const View&, RowWriter&);

template <const Column* columns, Show show>
int fill(THD* thd, TABLE_LIST* tables, Item* /*condition*/) {
  return fill_table(thd, tables, columns, [](RowWriter& rows) {
    if (const auto view = snapshot()) show(*view, rows);
  });
}

}  // namespace

int init_state_table(void* schema_table) {
  return declare_table(schema_table, kStateColumns, fill<kStateColumns, show_state>);
}

int init_nodes_table(void* schema_table) {
  return declare_table(schema_table, kNodesColumns, fill<kNodesColumns, show_nodes>);
}

int init_proxies_table(void* schema_table) {
  return declare_table(schema_table, kProxiesColumns, fill<kProxiesColumns, show_proxies>);
}

int init_switchovers_table(void* schema_table) {
  return declare_table(schema_table, kSwitchoversColumns,
                       fill<kSwitchoversColumns, show_switchovers>);
}

int init_checks_table(void* schema_table) {
  return declare_table(schema_table, kChecksColumns, fill<kChecksColumns, show_checks>);
}

int init_events_table(void* schema_table) {
  return declare_table(schema_table, kEventsColumns, fill<kEventsColumns, show_events>);
}

}  // namespace active_master
