// What active_master.so declares to the server: a daemon, its tables, and the fence's audit hooks.
// INSTALL SONAME 'active_master' loads them all.
#include <memory>

#include "plugin/daemon.h"
#include "plugin/server/fence_audit.h"
#include "plugin/server/information_schema.h"
#include "plugin/server/log.h"
#include "plugin/server/semi_sync.h"
#include "plugin/server/session.h"
#include "plugin/server/settings.h"
#include "plugin/server/snapshot.h"
#include "plugin/server/status.h"

// Exported by the server, declared in its private mysqld.h: the data directory.
extern char mysql_real_data_home[];

namespace {

using namespace active_master;

std::unique_ptr<Daemon> daemon_instance;

std::shared_ptr<const View> current_view() {
  return daemon_instance ? daemon_instance->view() : nullptr;
}

// A node that belongs to a cluster is fenced before the server accepts its first connection.
// Whether it may open again is found out afterwards.
void fence_at_server_start(Session& session, const std::string& state_path) {
  if (server_is_started()) return;
  std::string error;
  const auto durable = StateFile(state_path).load(error);
  if (error.empty() && (!durable || durable->epoch == Epoch{})) return;
  server_fence().set_text(
      "active_master: this node is fenced: it is not known here yet who the active master is");
  server_fence().close();
  server_gate().set_mode(Gate::Mode::kFenced);
  session.query("SET GLOBAL read_only = 1");
  log_line({LogLine::Level::kNote,
            "read_only is set until this node knows that it is the active master"});
}

int init_daemon(void*) noexcept {
  try {
    const std::string state_path = std::string(mysql_real_data_home) + "active_master.state";
    {
      Session session;
      learn_server(session);
      apply_fence_settings();
      fence_at_server_start(session, state_path);
    }
    learn_credentials();
    daemon_instance = std::make_unique<Daemon>(read_settings(), state_path);
    set_daemon(daemon_instance.get());
    set_snapshot_source(current_view);
    return 0;
  } catch (const std::exception& e) {
    log_line({LogLine::Level::kError, std::string("can't start: ") + e.what()});
    return 1;
  }
}

int deinit_daemon(void*) noexcept {
  try {
    let_fence_audit_go();
    set_daemon(nullptr);
    set_snapshot_source(nullptr);
    const auto view = current_view();
    daemon_instance.reset();
    server_gate().set_mode(Gate::Mode::kOpen);
    server_fence().open();
    if (!server_is_stopping()) {
      Session session;
      restore_semi_sync(session);
    }
    if (view && view->role == Role::kStandby) {
      log_line({LogLine::Level::kNote,
                "unloaded on a standby: read_only stays on, so that there are no two masters"});
    }
  } catch (const std::exception& e) {
    log_line({LogLine::Level::kError, std::string("while stopping: ") + e.what()});
  }
  return 0;
}

st_mysql_daemon daemon_descriptor = {MYSQL_DAEMON_INTERFACE_VERSION};

}  // namespace

#define ACTIVE_MASTER_PLUGIN(type, descriptor, name, description, init, deinit, status, variables) \
  {                                                                                                \
    type, &(descriptor), name, "The active_master project", description, PLUGIN_LICENSE_GPL, init, \
        deinit, 0x0001, status, variables, ACTIVE_MASTER_VERSION, MariaDB_PLUGIN_MATURITY_GAMMA    \
  }
#define ACTIVE_MASTER_TABLE(name, description, init)                                         \
  ACTIVE_MASTER_PLUGIN(MYSQL_INFORMATION_SCHEMA_PLUGIN, information_schema_descriptor, name, \
                       description, init, nullptr, nullptr, nullptr)

// clang-format off
#pragma GCC visibility push(default)  // what the server looks up
maria_declare_plugin(active_master)
ACTIVE_MASTER_PLUGIN(MYSQL_DAEMON_PLUGIN, daemon_descriptor, "active_master",
    "Keeps and moves the role of the active master", init_daemon, deinit_daemon, status_variables, system_variables),
ACTIVE_MASTER_PLUGIN(MYSQL_AUDIT_PLUGIN, fence_audit_descriptor, "ACTIVE_MASTER_FENCE",
    "Refuses every client's writes unless this node is the active master", init_fence_audit, deinit_fence_audit, nullptr, nullptr),
ACTIVE_MASTER_TABLE("ACTIVE_MASTER_STATE", "This node", init_state_table),
ACTIVE_MASTER_TABLE("ACTIVE_MASTER_NODES", "Every known node", init_nodes_table),
ACTIVE_MASTER_TABLE("ACTIVE_MASTER_PROXIES", "Every registered proxy", init_proxies_table),
ACTIVE_MASTER_TABLE("ACTIVE_MASTER_SWITCHOVERS", "The last switchovers, phase by phase", init_switchovers_table),
ACTIVE_MASTER_TABLE("ACTIVE_MASTER_CHECKS", "The rows of the last checks", init_checks_table),
ACTIVE_MASTER_TABLE("ACTIVE_MASTER_EVENTS", "The last changes of state", init_events_table)
maria_declare_plugin_end;
#pragma GCC visibility pop
// clang-format on
