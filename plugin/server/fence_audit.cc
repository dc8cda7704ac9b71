#include "plugin/server/fence_audit.h"

#include <dlfcn.h>
#include <mysql/service_thd_specifics.h>
#include <mysql/service_thd_wait.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

#include "plugin/server/privileges.h"
#include "plugin/server/session.h"
#include "plugin/server/statement.h"

// Exported by the server, declared in its private headers.
//
// sql_audit.h: the session lets go of the audit plugins that it was told to use, and takes them up
// again at its next event.
void mysql_audit_release(MYSQL_THD thd);
// sql_class.h: ends the session's statement with this error. The values are those of 10.3 to 11.8.
enum killed_state { KILL_QUERY = 4, KILL_CONNECTION = 12 };
class THD {
 public:
  void set_killed(killed_state state, int number, const char* text);
};
// sql_parse.cc: the session of that id, which can't end until it is unlocked; null if there is
// none.
THD* find_thread_by_id(long long id, bool is_query_id);
// service_wsrep.h
extern "C" void wsrep_thd_kill_UNLOCK(const MYSQL_THD thd);

namespace active_master {
namespace {

// What is known of a client's session, from its first event to its end.
struct Client {
  enum class Place {
    kOutside,  // neither in a statement nor in a transaction that the gate counts
    kInside,   // counted
    kOwn,      // in a procedure of ours: the switchover must not wait for who asked for it
  };

  std::atomic<Place> place{Place::kOutside};
  std::atomic<std::chrono::steady_clock::time_point> inside_since{};
  // The query id of its statement that is running; 0: none. Statements inside of procedures and
  // functions are told of like its own, but begin and end within it; their query ids are others.
  std::atomic<unsigned long long> statement{0};
  bool has_global_lock = false;
  bool stays_local = false;  // that statement may change this server all the same
  uint64_t born = 0;         // the gate's term
  Withheld withheld;
  bool may_ignore_read_only = false;  // when it was last seen, or would be but for the fence
  bool is_refusing = false;           // an error of ours is under way
};

// A session is marked by this number; another one for each time that this library is loaded, as
// what an earlier load left with a session is gone.
uintptr_t generation = 0;
MYSQL_THD_KEY_T generation_key;
MYSQL_THD_KEY_T client_key;  // null: the applier's threads and local sessions
std::atomic<bool> has_keys{false};
std::atomic<bool> is_leaving{false};  // UNINSTALL was seen; sessions let go as they speak
std::string gap;

std::mutex clients_mutex;  // at a session's first event and end only
std::map<unsigned long, std::unique_ptr<Client>> clients;  // by thread id

void leave(Client& client) {
  client.place = Client::Place::kOutside;
  server_gate().leave();
}

// A session's transaction, locks and statements end when it is reset or changes its user, which no
// other event tells.
void start_anew(Client& client) {
  if (client.place == Client::Place::kInside) leave(client);
  client.place = Client::Place::kOutside;
  client.statement = 0;
  client.has_global_lock = false;
}

// The first event of a session tells whether it is a client's. Later ones don't: the applier takes
// on a definer's name and host when it creates a procedure, say. Null: it isn't. A session that is
// reset forgets what we marked it with, but is known by its thread id.
template <typename Condition>
Client* recognise(MYSQL_THD thd, Condition has_client_identity, unsigned long thread_id,
                  Client* otherwise = nullptr) {
  if (reinterpret_cast<uintptr_t>(thd_getspecific(thd, generation_key)) == generation)
    return static_cast<Client*>(thd_getspecific(thd, client_key));
  Client* client = otherwise;
  if (has_client_identity()) {
    const std::lock_guard lock(clients_mutex);
    auto& known = clients[thread_id];
    if (known) {
      start_anew(*known);
    } else {
      known = std::make_unique<Client>();
      known->born = server_gate().term();
    }
    client = known.get();
  }
  thd_setspecific(thd, client_key, client);
  thd_setspecific(thd, generation_key, reinterpret_cast<void*>(generation));
  return client;
}

// Threads of the event scheduler, which run the events: no client's, but fenced all the same. None
// of them is counted by the gate; before the handover they are waited for.
Client event_thread;

bool is_event_thread(const mysql_event_table& event) {
  return event.host == nullptr && event.user != nullptr &&
         std::string_view(event.user) == "event_scheduler";
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

// How a statement of this session is refused. One that connected to this server when it was the
// active master is closed, too, with an error that pools and proxies know, so that they come again
// at the right one.
bool is_sent_away(const Client& client) {
  return server_gate().is_left(client.born);
}

unsigned int refusal_number(const Client& client) {
  return is_sent_away(client) ? ER_SERVER_SHUTDOWN : server_fence().refusal()->number;
}

// Ends the statement with the fence's own error. On the session's own thread.
void refuse(MYSQL_THD thd, const Client& client) {
  thd->set_killed(is_sent_away(client) ? KILL_CONNECTION : KILL_QUERY,
                  static_cast<int>(refusal_number(client)), server_fence().refusal()->text.c_str());
}

// Takes READ ONLY ADMIN at each statement, and at each one inside of a routine, which may run with
// the rights of its definer; gives it back once the fence is open.
void apply_fence(MYSQL_THD thd, Client& client, bool is_nested, std::string_view query) {
  const bool is_closed = server_fence().closed();
  if (is_closed && is_binlogged_maintenance(query)) refuse(thd, client);
  if (is_nested) return is_closed ? take_read_only_admin(thd) : void();
  client.stays_local = is_closed && stays_local(query);
  if (is_closed && !client.stays_local) {
    client.may_ignore_read_only |= has_read_only_admin(thd);
    client.withheld.take(thd);
  } else {
    client.withheld.give_back(thd);
    client.may_ignore_read_only = has_read_only_admin(thd);
  }
}

void go_inside(Client& client) {
  client.inside_since.store(std::chrono::steady_clock::now(), std::memory_order_relaxed);
  client.place = Client::Place::kInside;
}

// SET may commit, as autocommit's new value does.
bool may_write(std::string_view query) {
  return !calls_our_procedure(query) &&
         (!passes_a_held_gate(query, true) || begins_with_commit_or_set(query));
}

// Of a server that shuts down: nobody fences this node any more. It closes its clients' connections
// after 20 s, and of what goes on after that nobody is told.
constexpr std::chrono::seconds kShutdownPatience{22};

void await_lease(MYSQL_THD thd, const Client& client, std::string_view query) {
  auto& gate = server_gate();
  if (!gate.is_lease_over() || !may_write(query)) return;
  // Its locks would keep read_only from being set.
  if (thd_test_options(thd, kOptionTableLock) != 0) return refuse(thd, client);
  thd_wait_begin(thd, THD_WAIT_USER_LOCK);
  using std::chrono::steady_clock;
  std::optional<steady_clock::time_point> stopping_since;
  gate.await_lease([&stopping_since] {
    if (!server_is_stopping()) return false;
    if (!stopping_since) stopping_since = steady_clock::now();
    return steady_clock::now() - *stopping_since > kShutdownPatience;
  });
  thd_wait_end(thd);
}

void on_statement_start(MYSQL_THD thd, Client& client, const mysql_event_general& event) {
  const std::string_view command(event.general_command, event.general_command_length);
  if (command != "Query" && command != "Execute") return;
  const std::string_view query(event.general_query, event.general_query_length);
  await_lease(thd, client, query);
  apply_fence(thd, client, client.statement != 0, query);
  if (client.statement != 0) return;
  client.statement = event.query_id;
  if (client.place == Client::Place::kInside) return;  // goes on with its transaction
  if (calls_our_procedure(query)) {
    client.place = Client::Place::kOwn;
    return;
  }
  const auto options = thd_test_options(thd, kOptionBegin | kOptionNotAutocommit);
  const bool in_transaction = (options & kOptionBegin) != 0;
  const bool autocommit = (options & kOptionNotAutocommit) == 0;
  if (!in_transaction && passes_a_held_gate(query, autocommit)) return;
  auto& gate = server_gate();
  const bool may_wait = gate.mode() != Gate::Mode::kOpen;
  if (may_wait) thd_wait_begin(thd, THD_WAIT_USER_LOCK);  // lets a thread pool run somebody else
  switch (gate.enter(in_transaction, [thd] { return is_killed(thd); })) {
    case Gate::Entry::kInside:
      go_inside(client);
      // What writes is refused by and by; this would succeed, and the client be cut off inside of
      // it.
      if (is_sent_away(client) && only_begins(query)) refuse(thd, client);
      break;
    case Gate::Entry::kKilled:
      break;
    case Gate::Entry::kTooLong:
      refuse(thd, client);
      break;
  }
  if (may_wait) thd_wait_end(thd);
}

void note_global_lock(Client& client, std::string_view query) {
  const auto lock = global_lock(query);
  if (lock != GlobalLock::kUnchanged) client.has_global_lock = lock == GlobalLock::kTaken;
}

void on_statement_end(MYSQL_THD thd, Client& client, const mysql_event_general& event) {
  if (event.query_id != client.statement) return;
  client.statement = 0;
  if (client.place == Client::Place::kOwn) client.place = Client::Place::kOutside;
  const std::string_view query(event.general_query, event.general_query_length);
  if (event.general_error_code == 0) note_global_lock(client, query);
  if (client.place != Client::Place::kInside || client.has_global_lock) return;
  const auto options =
      thd_test_options(thd, kOptionBegin | kOptionTableLock | kOptionNotAutocommit);
  if ((options & (kOptionBegin | kOptionTableLock)) != 0) return;
  if ((options & kOptionNotAutocommit) != 0 && !ends_transaction(query)) return;
  leave(client);
}

// The server's own refusal doesn't say why, nor where to write instead. What is raised first wins.
void on_error(MYSQL_THD thd, Client& client, const mysql_event_general& event) {
  if (!server_fence().closed() || client.is_refusing) return;
  const std::string_view text(event.general_command, event.general_command_length);
  const bool is_read_only = event.general_error_code == ER_OPTION_PREVENTS_STATEMENT &&
                            text.find("--read-only") != std::string_view::npos;
  const bool is_denied = event.general_error_code == ER_SPECIFIC_ACCESS_DENIED_ERROR &&
                         text.find("READ_ONLY ADMIN") != std::string_view::npos &&
                         client.may_ignore_read_only;
  if (!is_read_only && !is_denied) return;
  client.is_refusing = true;
  my_printf_error(refusal_number(client), "%s", MYF(0), server_fence().refusal()->text.c_str());
  client.is_refusing = false;
  if (is_sent_away(client)) refuse(thd, client);
}

// Tables that the server writes on its own behalf in a client's session, and that are not in the
// binlog: its logs, and the statistics of ANALYZE.
bool is_servers_own(const mysql_event_table& event) {
  constexpr std::array<std::string_view, 5> kTables = {"general_log", "slow_log", "table_stats",
                                                       "column_stats", "index_stats"};
  return std::string_view(event.database.str, event.database.length) == "mysql" &&
         std::ranges::find(kTables, std::string_view(event.table.str, event.table.length)) !=
             kTables.end();
}

// Written to by a statement that passed as harmless or began unseen: a SELECT whose function
// writes, or the second statement of several that came in one.
void on_table_write(MYSQL_THD thd, Client& client, const mysql_event_table& event) {
  const bool may = client.stays_local && event.query_id == client.statement;
  if ((server_fence().closed() || server_gate().is_lease_over()) && !may && !is_servers_own(event))
    refuse(thd, client);
  if (client.place != Client::Place::kOutside) return;
  if (client.statement == 0) client.statement = event.query_id;
  server_gate().enter_unheld();
  go_inside(client);
}

void on_connection_event(MYSQL_THD thd, Client& client, const mysql_event_connection& event) {
  if (event.event_subclass == MYSQL_AUDIT_CONNECTION_DISCONNECT) {
    if (client.place == Client::Place::kInside) leave(client);
    thd_setspecific(thd, generation_key, nullptr);
    const std::lock_guard lock(clients_mutex);
    clients.erase(event.thread_id);
    return;
  }
  client.withheld.forget();
  client.may_ignore_read_only = has_read_only_admin(thd);
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
  return dladdr(&fence_audit_descriptor, &info) != 0 &&
         dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE) != nullptr;
}

void on_general_event(MYSQL_THD thd, const mysql_event_general& event) {
  if (event.event_subclass == MYSQL_AUDIT_GENERAL_RESULT) return;
  const auto has_host = [&] {
    return !std::string_view(event.general_user, event.general_user_length).ends_with(kNoHost);
  };
  Client* client = recognise(thd, has_host, event.general_thread_id);
  if (client == nullptr) return let_go(thd);
  if (client == &event_thread) {
    if (server_fence().closed()) take_read_only_admin(thd);
    return let_go(thd);
  }
  switch (event.event_subclass) {
    case MYSQL_AUDIT_GENERAL_LOG: {
      // A replica's session stays in this command for as long as the replica lives.
      const std::string_view command(event.general_command, event.general_command_length);
      if (command == "Binlog Dump") return let_go(thd);
      if (!is_leaving) return on_statement_start(thd, *client, event);
      // Here and nowhere else: within UNINSTALL itself other events come while the server holds the
      // lock that letting go needs.
      if (client->statement == 0) client->withheld.give_back(thd);
      return let_go(thd);
    }
    case MYSQL_AUDIT_GENERAL_ERROR:
      return on_error(thd, *client, event);
    case MYSQL_AUDIT_GENERAL_STATUS:
      return on_statement_end(thd, *client, event);
    default:
      return;
  }
}

void on_table_event(MYSQL_THD thd, const mysql_event_table& event) {
  const bool writes = event.event_subclass == MYSQL_AUDIT_TABLE_LOCK && !event.read_only;
  // A client's reads are of no interest, and there are many. An applier's are: the last event of
  // its transaction is a read of statistics.
  const bool has_host = event.host != nullptr;
  if (has_host && !writes) return;
  Client* client = recognise(
      thd, [&] { return has_host; }, event.thread_id,
      is_event_thread(event) ? &event_thread : nullptr);
  if (client == nullptr) return let_go(thd);
  if (client == &event_thread) {
    // The scheduler itself keeps its books in mysql.event.
    if (writes && server_fence().closed() && std::string_view(event.database.str) != "mysql")
      refuse(thd, *client);
    return let_go(thd);
  }
  if (!writes) return;
  on_table_write(thd, *client, event);
}

// Runs in the client's thread at every statement: cheap while gate and fence are open.
void notify(MYSQL_THD thd, unsigned int event_class, const void* raw) noexcept {
  try {
    switch (event_class) {
      case MYSQL_AUDIT_GENERAL_CLASS:
        return on_general_event(thd, *static_cast<const mysql_event_general*>(raw));
      case MYSQL_AUDIT_TABLE_CLASS:
        return on_table_event(thd, *static_cast<const mysql_event_table*>(raw));
      case MYSQL_AUDIT_CONNECTION_CLASS: {
        const auto& event = *static_cast<const mysql_event_connection*>(raw);
        if (Client* client = recognise(
                thd, [] { return true; }, event.thread_id);
            client != nullptr)
          on_connection_event(thd, *client, event);
        return;
      }
      default:
        return;
    }
  } catch (const std::exception&) {
    // out of memory; the server's read_only still holds
  }
}

}  // namespace

void let_fence_audit_go() {
  is_leaving = true;
}

bool gate_is_watching() {
  return has_keys && !is_leaving;
}

std::string fence_gap() {
  return gap;
}

void take_read_only_admin_from_idle_sessions() {
  const std::lock_guard lock(clients_mutex);
  for (const auto& [id, client] : clients) {
    if (!client->may_ignore_read_only || client->statement != 0) continue;
    THD* thd = find_thread_by_id(static_cast<long long>(id), false);
    if (thd == nullptr) continue;
    client->withheld.take(thd);
    wsrep_thd_kill_UNLOCK(thd);
  }
}

std::vector<SessionInside> sessions_inside(std::chrono::microseconds longer_than) {
  using std::chrono::duration_cast;
  const auto now = std::chrono::steady_clock::now();
  std::vector<SessionInside> sessions;
  const std::lock_guard lock(clients_mutex);
  for (const auto& [id, client] : clients) {
    if (client->place != Client::Place::kInside) continue;
    const auto age = duration_cast<std::chrono::microseconds>(now - client->inside_since.load());
    if (age > longer_than) sessions.push_back({id, age, client->statement == 0});
  }
  std::ranges::sort(sessions, std::greater<>(), &SessionInside::age);
  return sessions;
}

Gate& server_gate() {
  static Gate gate;
  return gate;
}

Fence& server_fence() {
  static Fence fence;
  return fence;
}

st_mysql_audit fence_audit_descriptor = {
    MYSQL_AUDIT_INTERFACE_VERSION,
    nullptr,
    notify,
    {MYSQL_AUDIT_GENERAL_CLASSMASK | MYSQL_AUDIT_CONNECTION_CLASSMASK |
     MYSQL_AUDIT_TABLE_CLASSMASK}};

int init_fence_audit(void*) {
  generation = static_cast<uintptr_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  server_gate().forget_everyone();
  is_leaving = false;
  gap = learn_where_privileges_are();
  if (!pin_library()) return 1;
  has_keys = thd_key_create(&generation_key) == 0 && thd_key_create(&client_key) == 0;
  return has_keys ? 0 : 1;
}

int deinit_fence_audit(void*) {
  server_gate().set_mode(Gate::Mode::kOpen);
  server_gate().set_write_until(Gate::kNoLease);
  if (has_keys) {
    thd_key_delete(&generation_key);
    thd_key_delete(&client_key);
  }
  has_keys = false;
  const std::lock_guard lock(clients_mutex);
  clients.clear();
  return 0;
}

}  // namespace active_master
