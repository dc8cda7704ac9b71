#include "plugin/server/gate_audit.h"

#include <dlfcn.h>
#include <mysql/service_thd_specifics.h>
#include <mysql/service_thd_wait.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string_view>

#include "plugin/server/session.h"

// Exported by the server, declared in its private sql_audit.h: the session lets go of the audit
// plugins that it was told to use, and takes them up again at its next event.
void mysql_audit_release(MYSQL_THD thd);

namespace active_master {
namespace {

// What is known of a session, kept with it by the server.
enum class Mark : uintptr_t {
  kUnknown,
  kNoClient,  // the applier's threads and local sessions: what they do is not a client's
  kOutside,   // a client's, neither in a statement nor in a transaction that the gate counts
  kInside,    // a client's, counted
  kOwn,  // a client's, in a procedure of ours: the switchover must not wait for who asked for it
};

MYSQL_THD_KEY_T mark_key;
MYSQL_THD_KEY_T statement_key;  // the query id of the client's statement that is running; 0: none
std::atomic<bool> has_keys{false};
std::atomic<bool> is_leaving{false};  // UNINSTALL was seen; sessions let go as they speak

// Marks are this number plus a Mark; another one for each time that this library is loaded, as a
// session that was marked by an earlier load was counted by a gate that is gone.
uintptr_t marks_base = 0;

Mark mark_of(MYSQL_THD thd) {
  const auto value = reinterpret_cast<uintptr_t>(thd_getspecific(thd, mark_key));
  return value >= marks_base && value <= marks_base + static_cast<uintptr_t>(Mark::kOwn)
             ? static_cast<Mark>(value - marks_base)
             : Mark::kUnknown;
}

void set_mark(MYSQL_THD thd, Mark mark) {
  thd_setspecific(thd, mark_key,
                  reinterpret_cast<void*>(marks_base + static_cast<uintptr_t>(mark)));
}

// Statements inside of procedures and functions are told of like a client's own, but begin and end
// within it; their query ids are others.
unsigned long long statement_of(MYSQL_THD thd) {
  return reinterpret_cast<uintptr_t>(thd_getspecific(thd, statement_key));
}

void set_statement(MYSQL_THD thd, unsigned long long query_id) {
  thd_setspecific(thd, statement_key, reinterpret_cast<void*>(static_cast<uintptr_t>(query_id)));
}

// The first event of a session tells whether it is a client's. Later ones don't: the applier takes
// on a definer's name and host when it creates a procedure, say.
Mark recognise(MYSQL_THD thd, bool has_client_identity) {
  Mark mark = mark_of(thd);
  if (mark != Mark::kUnknown) return mark;
  mark = has_client_identity ? Mark::kOutside : Mark::kNoClient;
  set_mark(thd, mark);
  set_statement(thd, 0);
  return mark;
}

// The server writes "user[user] @ host [ip]", and a client always has a host. The applier has at
// most a made-up user, local sessions have neither.
constexpr std::string_view kNoHost = "@  []";

bool is_killed(MYSQL_THD thd) {
  return thd_kill_level(thd) != THD_IS_NOT_KILLED;
}

bool ends_transaction(std::string_view query) {
  return query.size() >= 6 &&
         (strncasecmp(query.data(), "commit", 6) == 0 ||
          (query.size() >= 8 && strncasecmp(query.data(), "rollback", 8) == 0));
}

void on_statement_start(MYSQL_THD thd, const mysql_event_general& event) {
  const std::string_view command(event.general_command, event.general_command_length);
  if ((command != "Query" && command != "Execute") || statement_of(thd) != 0) return;
  set_statement(thd, event.query_id);
  if (mark_of(thd) == Mark::kInside) return;  // goes on with its transaction
  const std::string_view query(event.general_query, event.general_query_length);
  if (calls_our_procedure(query)) return set_mark(thd, Mark::kOwn);
  const bool in_transaction = thd_test_options(thd, kOptionBegin) != 0;
  const bool autocommit = thd_test_options(thd, kOptionNotAutocommit) == 0;
  if (!in_transaction && passes_a_held_gate(query, autocommit)) return;
  auto& gate = server_gate();
  const bool may_wait = gate.mode() != Gate::Mode::kOpen;
  if (may_wait) thd_wait_begin(thd, THD_WAIT_USER_LOCK);  // lets a thread pool run somebody else
  const bool entered =
      gate.enter(in_transaction, event.general_thread_id, [thd] { return is_killed(thd); });
  if (entered) set_mark(thd, Mark::kInside);
  if (may_wait) thd_wait_end(thd);
}

void leave(MYSQL_THD thd) {
  set_mark(thd, Mark::kOutside);
  server_gate().leave();
}

void on_statement_end(MYSQL_THD thd, const mysql_event_general& event) {
  if (event.query_id != statement_of(thd)) return;
  set_statement(thd, 0);
  if (mark_of(thd) == Mark::kOwn) return set_mark(thd, Mark::kOutside);
  if (mark_of(thd) != Mark::kInside || thd_test_options(thd, kOptionBegin)) return;
  const std::string_view query(event.general_query, event.general_query_length);
  if (thd_test_options(thd, kOptionNotAutocommit) && !ends_transaction(query)) return;
  leave(thd);
}

// Written to by a statement that passed as harmless or began unseen: a SELECT whose function
// writes, or the second statement of several that came in one.
void on_table_write(MYSQL_THD thd, const mysql_event_table& event) {
  if (mark_of(thd) != Mark::kOutside) return;
  if (statement_of(thd) == 0) set_statement(thd, event.query_id);
  server_gate().enter_unheld();
  set_mark(thd, Mark::kInside);
}

// A session keeps an audit plugin from being unloaded until its next statement after UNINSTALL.
// Clients come to that; the applier's threads never would, so they let go each time. Our own
// threads end before the plugin does.
void let_go(MYSQL_THD thd) {
  if (!ServerThread::is_current()) mysql_audit_release(thd);
}

// A session that lets go last unloads the plugin, while it is in the code of this library. So the
// library stays in memory until the server stops; loading the plugin again uses it again.
bool pin_library() {
  Dl_info info;
  return dladdr(&gate_audit_descriptor, &info) != 0 &&
         dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE) != nullptr;
}

// Runs in the client's thread at every statement: cheap while the gate is open, and never throws.
void notify(MYSQL_THD thd, unsigned int event_class, const void* raw) noexcept {
  if (event_class == MYSQL_AUDIT_GENERAL_CLASS) {
    const auto& event = *static_cast<const mysql_event_general*>(raw);
    const std::string_view user(event.general_user, event.general_user_length);
    if (recognise(thd, !user.ends_with(kNoHost)) == Mark::kNoClient) return let_go(thd);
    // A replica's session stays in this command for as long as the replica lives.
    const std::string_view command(event.general_command, event.general_command_length);
    if (command == "Binlog Dump") return let_go(thd);
    if (event.event_subclass == MYSQL_AUDIT_GENERAL_LOG) {
      // Here and nowhere else: within UNINSTALL itself other events come while the server holds the
      // lock that letting go needs.
      return is_leaving ? let_go(thd) : on_statement_start(thd, event);
    }
    if (event.event_subclass != MYSQL_AUDIT_GENERAL_STATUS) return;
    on_statement_end(thd, event);
  } else if (event_class == MYSQL_AUDIT_TABLE_CLASS) {
    const auto& event = *static_cast<const mysql_event_table*>(raw);
    // Whatever the event: the last one of an applier's transaction is a read of statistics.
    if (recognise(thd, event.host != nullptr) == Mark::kNoClient) return let_go(thd);
    if (event.event_subclass != MYSQL_AUDIT_TABLE_LOCK || event.read_only) return;
    on_table_write(thd, event);
  } else if (event_class == MYSQL_AUDIT_CONNECTION_CLASS) {
    const auto& event = *static_cast<const mysql_event_connection*>(raw);
    const bool ends = event.event_subclass == MYSQL_AUDIT_CONNECTION_DISCONNECT;
    if (ends && mark_of(thd) == Mark::kInside) leave(thd);
  }
}

}  // namespace

void let_gate_audit_go() {
  is_leaving = true;
}

bool gate_is_watching() {
  return has_keys && !is_leaving;
}

Gate& server_gate() {
  static Gate gate;
  return gate;
}

st_mysql_audit gate_audit_descriptor = {
    MYSQL_AUDIT_INTERFACE_VERSION,
    nullptr,
    notify,
    {MYSQL_AUDIT_GENERAL_CLASSMASK | MYSQL_AUDIT_CONNECTION_CLASSMASK |
     MYSQL_AUDIT_TABLE_CLASSMASK}};

int init_gate_audit(void*) {
  marks_base = static_cast<uintptr_t>(std::chrono::steady_clock::now().time_since_epoch().count())
               << 3;
  server_gate().reset();
  is_leaving = false;
  if (!pin_library()) return 1;
  has_keys = thd_key_create(&mark_key) == 0 && thd_key_create(&statement_key) == 0;
  return has_keys ? 0 : 1;
}

int deinit_gate_audit(void*) {
  server_gate().set_mode(Gate::Mode::kOpen);
  if (has_keys) {
    thd_key_delete(&mark_key);
    thd_key_delete(&statement_key);
  }
  has_keys = false;
  return 0;
}

}  // namespace active_master
