#include "plugin/server/settings.h"

#include <boost/asio/ip/address.hpp>
#include <cstring>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>

#include "client/protocol/credentials.h"
#include "client/protocol/fault.h"
#include "client/protocol/names.h"
#include "plugin/server/fence_audit.h"
#include "plugin/server/log.h"
#include "plugin/server/replication.h"
#include "plugin/server/request.h"
#include "plugin/server/session.h"

namespace active_master {
namespace {

// --- The variables' values, owned by the server: it changes them under its own lock ---

char* node_name;
char* cluster_name;
char* listen_address;
char* peers;
char* witnesses;
char* voters;
char* sql_address;
char* request;
char* replication_user;
char* replication_password_file;
my_bool repoint;
#ifdef ACTIVE_MASTER_FAULTS
char* fault_points;
#endif
char* hook;
char* secret_file;
char* tls_ca;
char* tls_cert;
char* tls_key;
char* tls_crl;
my_bool reload_tls;
unsigned int port;
unsigned int switchover_timeout;
unsigned int approach_timeout;
unsigned int approach_max_lag;
unsigned int approach_max_pace;
unsigned int pause_timeout;
unsigned int catch_up_timeout;
unsigned int resume_timeout;
unsigned int hook_timeout;
unsigned int heartbeat_interval;
unsigned int peer_timeout;
unsigned int proxy_lease;
unsigned int lease;
unsigned int priority;
unsigned int failover_cooldown;
unsigned int max_failovers;
unsigned int max_failover_lag;
my_bool auto_failover;
unsigned int active_transaction_limit;
unsigned int idle_transaction_limit;
unsigned long drain_policy;
unsigned int fence_hold;
unsigned int fence_error;
unsigned long fence;

// What the plugin knows of its server since init: inside a variable's update it could not ask.
uint32_t server_id;
std::string server_version;
std::string default_sql_address;

// Checks run while another session's update may change the texts and what belongs to them.
std::mutex values_mutex;

// As read from the files at init, at SET GLOBAL active_master_secret_file and at
// active_master_reload_tls; never null.
protocol::CredentialsPtr credentials = protocol::no_credentials();
std::string credentials_error;  // why there are none, although files are named

// Requests may run for long and share the daemon; set_daemon() is alone with it.
std::shared_mutex daemon_mutex;
Daemon* current_daemon = nullptr;

std::string text(const char* value) {
  return value ? value : "";
}

// --- What is wrong with a value: empty if nothing ---

std::string check_name(std::string_view value) {
  if (value.empty() || is_valid_name(value)) return {};
  return "must be 1 to 64 letters, digits, '_', '.' or '-', beginning with a letter or digit";
}

std::string check_node_name(std::string_view value) {
  if (current_daemon && !value.empty()) {
    const auto view = current_daemon->view();  // must outlive the loop
    for (const auto& node : view->nodes) {
      if (node.link != "SELF" && node.name == value)
        return "is the name of another node in active_master_peers";
    }
  }
  return check_name(value);
}

std::string check_cluster_name(std::string_view value) {
  return value.empty() ? "can't be empty" : check_name(value);
}

std::string check_listen_address(std::string_view value) {
  boost::system::error_code error;
  const std::string address(value);
  (void)boost::asio::ip::make_address(address, error);
  if (error) return "must be an IP address";
  const std::lock_guard lock(values_mutex);
  if (credentials->may_listen_on(address)) return {};
  return "must be a loopback address as long as connections are not authenticated: set "
         "active_master_secret_file, or active_master_tls_ca, _cert and _key and then "
         "active_master_reload_tls = 1";
}

protocol::CredentialFiles credential_files() {
  return {text(secret_file), text(tls_ca), text(tls_cert), text(tls_key), text(tls_crl)};
}

// Would these files do, in place of what is used now?
std::string check_credentials(const protocol::CredentialFiles& files, const std::string& address) {
  std::string error;
  const auto loaded = protocol::Credentials::load_to_listen(files, error);
  if (!loaded) return "is refused: " + error;
  if (loaded->may_listen_on(address)) return {};
  return "is refused: connections would not be authenticated any more, and "
         "active_master_listen_address is no loopback address: change that first";
}

std::string check_secret_file(std::string_view value) {
  const std::lock_guard lock(values_mutex);
  auto files = credential_files();
  files.secret = value;
  return check_credentials(files, text(listen_address));
}

std::string check_hook(std::string_view value) {
  return value.empty() || value.front() == '/' ? "" : "must be an absolute path";
}

std::string check_replication_user(std::string_view value) {
  return value.size() <= 80 ? "" : "must be a user name of at most 80 characters";
}

std::string check_replication_password_file(std::string_view value) {
  return check_password_file(std::string(value));
}

std::string may_always_change() {
  return {};
}

// They belong together, and are looked at with active_master_reload_tls.
std::string check_tls_file(std::string_view) {
  return {};
}

std::string check_peers(std::string_view value) {
  std::string error;
  const auto list = parse_named_addresses(value, error);
  if (!list) return error;
  if (!current_daemon) return {};
  const auto own = current_daemon->view()->node;
  for (const auto& peer : *list) {
    if (peer.name == own) return "must name the other nodes only, not '" + own + "' itself";
  }
  return {};
}

std::string check_witnesses(std::string_view value) {
  std::string error;
  const auto list = parse_named_addresses(value, error);
  if (!list) return error;
  if (!current_daemon) return {};
  const auto view = current_daemon->view();
  for (const auto& witness : *list) {
    const auto node = std::ranges::find(view->nodes, witness.name, &NodeView::name);
    if (node != view->nodes.end() && node->role != Role::kWitness)
      return "names '" + witness.name + "', which is a node";
  }
  return {};
}

// Names, separated by commas.
std::vector<std::string> names_of(std::string_view list) {
  std::vector<std::string> names;
  while (!list.empty()) {
    const auto name = list.substr(0, list.find(','));
    names.emplace_back(name);
    list.remove_prefix(std::min(name.size() + 1, list.size()));
  }
  return names;
}

std::string check_voters(std::string_view value) {
  auto names = names_of(value);
  for (const auto& name : names) {
    if (!is_valid_name(name)) return "must be names of nodes and witnesses, separated by commas";
  }
  if (current_daemon) {
    const auto view = current_daemon->view();
    for (const auto& name : names) {
      if (std::ranges::find(view->nodes, name, &NodeView::name) == view->nodes.end())
        return "names '" + name +
               "', which is neither in active_master_peers nor in active_master_witnesses";
    }
  }
  std::ranges::sort(names);
  return std::ranges::adjacent_find(names) == names.end() ? "" : "must name each voter once";
}

std::string check_sql_address(std::string_view value) {
  if (value.empty() || parse_address(value)) return {};
  return "must be of the form host:port";
}

// Changing who a node is would make it forget what it promised; changing its links in the middle of
// a switchover would look like a lost peer.
std::string check_identity_may_change() {
  if (!current_daemon) return {};
  const auto view = current_daemon->view();
  if (view->role == Role::kUnconfigured || view->role == Role::kNew) return {};
  return "can't be changed: the node belongs to a bootstrapped cluster";
}

std::string check_links_may_change() {
  if (!current_daemon || current_daemon->view()->phase == Phase::kNone) return {};
  return "can't be changed while a switchover is running";
}

// --- Callbacks: the server calls them, so nothing may escape ---

int refuse(const char* variable, const std::string& reason) {
  my_printf_error(ER_WRONG_VALUE_FOR_VAR, "%s %s", MYF(0), variable, reason.c_str());
  return 1;
}

// The new value, or nothing if it is NULL.
std::optional<std::string> string_value(st_mysql_value* value) {
  char buffer[256];
  int length = sizeof buffer;
  const char* chars = value->val_str(value, buffer, &length);
  if (!chars) return std::nullopt;
  return std::string(chars, static_cast<size_t>(length));
}

using Check = std::string (*)(std::string_view);
using MayChange = std::string (*)();

template <Check check, MayChange may_change>
int check_string(MYSQL_THD thd, st_mysql_sys_var* var, void* save, st_mysql_value* value) noexcept {
  // Every variable begins with the header that names it.
  const char* name =
      *reinterpret_cast<const char* const*>(reinterpret_cast<const char*>(var) + sizeof(void*));
  try {
    const auto new_value = string_value(value);
    if (!new_value) return refuse(name, "can't be NULL");
    const std::shared_lock lock(daemon_mutex);
    if (const auto error = check(*new_value); !error.empty()) return refuse(name, error);
    if (const auto error = may_change(); !error.empty()) return refuse(name, error);
    *static_cast<const char**>(save) = thd_strmake(thd, new_value->data(), new_value->size());
    return 0;
  } catch (const std::exception& e) {
    return refuse(name, e.what());
  }
}

void apply() {
  const std::shared_lock lock(daemon_mutex);
  if (current_daemon) current_daemon->reconfigure(read_settings());
}

// With PLUGIN_VAR_MEMALLOC and an update function of its own, a plugin keeps the copy itself.
bool assign(void* to, const void* save) {
  char* copy = my_strdup(PSI_NOT_INSTRUMENTED, *static_cast<const char* const*>(save), MYF(0));
  if (!copy) return false;
  const std::lock_guard lock(values_mutex);
  char*& target = *static_cast<char**>(to);
  my_free(target);
  target = copy;
  return true;
}

void update_string(MYSQL_THD, st_mysql_sys_var*, void* to, const void* save) noexcept {
  try {
    if (assign(to, save)) apply();
  } catch (const std::exception& e) {
    my_printf_error(ER_UNKNOWN_ERROR, "active_master: %s", MYF(0), e.what());
  }
}

// What was valid before still is when the files have changed for the worse since they were checked.
void apply_credentials() {
  learn_credentials();
  if (!credentials_error.empty()) {
    my_printf_error(ER_UNKNOWN_ERROR, "active_master: %s", MYF(0), credentials_error.c_str());
  }
  apply();
}

void update_secret_file(MYSQL_THD, st_mysql_sys_var*, void* to, const void* save) noexcept {
  try {
    if (assign(to, save)) apply_credentials();
  } catch (const std::exception& e) {
    my_printf_error(ER_UNKNOWN_ERROR, "active_master: %s", MYF(0), e.what());
  }
}

// Limits are errors, not clipped: a switchover with other limits than those asked for is no
// service.
int check_number(MYSQL_THD, st_mysql_sys_var* var, void* save, st_mysql_value* value) noexcept;

void update_number(MYSQL_THD, st_mysql_sys_var*, void* to, const void* save) noexcept {
  *static_cast<unsigned int*>(to) = *static_cast<const unsigned int*>(save);
  try {
    apply();
  } catch (const std::exception& e) {
    my_printf_error(ER_UNKNOWN_ERROR, "active_master: %s", MYF(0), e.what());
  }
}

enum DrainPolicy : unsigned long { kDrainAbort, kDrainKill };
const char* drain_policy_names[] = {"ABORT", "KILL", nullptr};
TYPELIB drain_policies = {2, "active_master_drain_policy", drain_policy_names, nullptr};

void update_enum(MYSQL_THD, st_mysql_sys_var*, void* to, const void* save) noexcept {
  *static_cast<unsigned long*>(to) = *static_cast<const unsigned long*>(save);
  try {
    apply();
  } catch (const std::exception& e) {
    my_printf_error(ER_UNKNOWN_ERROR, "active_master: %s", MYF(0), e.what());
  }
}

void update_flag(MYSQL_THD, st_mysql_sys_var*, void* to, const void* save) noexcept {
  *static_cast<my_bool*>(to) = *static_cast<const my_bool*>(save);
  try {
    apply();
  } catch (const std::exception& e) {
    my_printf_error(ER_UNKNOWN_ERROR, "active_master: %s", MYF(0), e.what());
  }
}

int check_auto_failover(MYSQL_THD, st_mysql_sys_var*, void* save, st_mysql_value* value) noexcept {
  long long flag = 0;
  if (value->value_type(value) != MYSQL_VALUE_TYPE_INT || value->val_int(value, &flag) != 0)
    return refuse("active_master_auto_failover", "must be 1 or 0");
  const std::lock_guard lock(values_mutex);
  if (flag != 0 && text(voters).empty())
    return refuse("active_master_auto_failover", "needs active_master_voters");
  *static_cast<my_bool*>(save) = static_cast<my_bool>(flag != 0);
  return 0;
}

int check_reload(MYSQL_THD, st_mysql_sys_var*, void* save, st_mysql_value* value) noexcept {
  constexpr const char* kName = "active_master_reload_tls";
  try {
    long long number = 0;
    if (value->value_type(value) != MYSQL_VALUE_TYPE_INT || value->val_int(value, &number) != 0 ||
        number < 0 || number > 1) {
      return refuse(kName, "must be 1 (read the files again) or 0 (do nothing)");
    }
    *static_cast<my_bool*>(save) = static_cast<my_bool>(number);
    if (number == 0) return 0;
    const std::shared_lock lock(daemon_mutex);
    if (const auto error = check_links_may_change(); !error.empty()) return refuse(kName, error);
    const std::lock_guard values_lock(values_mutex);
    const auto error = check_credentials(credential_files(), text(listen_address));
    return error.empty() ? 0 : refuse(kName, error);
  } catch (const std::exception& e) {
    return refuse(kName, e.what());
  }
}

// A request like FLUSH SSL: its value stays 0.
void update_reload(MYSQL_THD, st_mysql_sys_var*, void*, const void* save) noexcept {
  if (*static_cast<const my_bool*>(save) == 0) return;
  try {
    apply_credentials();
  } catch (const std::exception& e) {
    my_printf_error(ER_UNKNOWN_ERROR, "active_master: %s", MYF(0), e.what());
  }
}

// Values of active_master_fence, in the order of fence_names.
enum FenceMode : unsigned long { kFenceOn, kFenceOff, kFenceForcedOff };
const char* fence_names[] = {"ON", "OFF", "FORCED_OFF", nullptr};
TYPELIB fence_modes = {3, "active_master_fence", fence_names, nullptr};

int check_fence(MYSQL_THD thd, st_mysql_sys_var*, void* save, st_mysql_value* value) noexcept;

void update_fence(MYSQL_THD, st_mysql_sys_var*, void* to, const void* save) noexcept {
  *static_cast<unsigned int*>(to) = *static_cast<const unsigned int*>(save);
  apply_fence_settings();
}

void update_fence_mode(MYSQL_THD, st_mysql_sys_var*, void* to, const void* save) noexcept {
  *static_cast<unsigned long*>(to) = *static_cast<const unsigned long*>(save);
  apply_fence_settings();
  log_line(
      {LogLine::Level::kWarning, std::string("active_master_fence is now ") + fence_names[fence]});
}

#ifdef ACTIVE_MASTER_FAULTS
std::string check_fault(std::string_view value) {
  return fault::parse(value) ? ""
                             : "must be a list of point:pause, :crash, :error, :skip, :lie, "
                               ":overrun, :leak, :late:MILLISECONDS";
}
void update_fault(MYSQL_THD, st_mysql_sys_var*, void* to, const void* save) noexcept {
  if (assign(to, save)) fault::arm(text(fault_points));
}
#endif

int check_request(MYSQL_THD thd, st_mysql_sys_var*, void* save, st_mysql_value* value) noexcept;
void forget_request(MYSQL_THD, st_mysql_sys_var*, void*, const void*) noexcept {}

// --- Declarations ---

constexpr int kText = PLUGIN_VAR_RQCMDARG | PLUGIN_VAR_MEMALLOC;
constexpr int kNumber = PLUGIN_VAR_RQCMDARG;

MYSQL_SYSVAR_STR(node_name, node_name, kText,
                 "This node's name, unique in the cluster: 1 to 64 letters, digits, '_', '.' or "
                 "'-', beginning with a "
                 "letter or digit. Empty: the plugin does nothing. Can't be changed once the "
                 "cluster is bootstrapped.",
                 (check_string<check_node_name, check_identity_may_change>), update_string, "");
MYSQL_SYSVAR_STR(
    cluster_name, cluster_name, kText,
    "Nodes and proxies talk only to members of the cluster of this name. Can't be changed once the "
    "cluster is bootstrapped.",
    (check_string<check_cluster_name, check_identity_may_change>), update_string, "cluster");
MYSQL_SYSVAR_STR(listen_address, listen_address, kText,
                 "IP address that peers and proxies connect to; loopback only, as long as neither "
                 "a secret nor TLS authenticates them.",
                 (check_string<check_listen_address, check_links_may_change>), update_string,
                 "127.0.0.1");
MYSQL_SYSVAR_UINT(port, port, kNumber,
                  "TCP port that peers and proxies connect to; 0: don't listen.", check_number,
                  update_number, 33307, 0, 65535, 0);
MYSQL_SYSVAR_STR(
    peers, peers, kText,
    "The other nodes: node2=host:port,node3=host:port, with the active_master_port of each.",
    (check_string<check_peers, check_links_may_change>), update_string, "");
MYSQL_SYSVAR_STR(
    witnesses, witnesses, kText,
    "Each active-master-witness, which has a vote and no server: w1=host:port, as it listens.",
    (check_string<check_witnesses, check_links_may_change>), update_string, "");
MYSQL_SYSVAR_STR(
    voters, voters, kText,
    "The nodes and witnesses that vote, separated by commas; the same list everywhere. A majority "
    "gives the active master its lease, and promises a failover. Empty: no leases.",
    (check_string<check_voters, check_links_may_change>), update_string, "");
MYSQL_SYSVAR_STR(
    sql_address, sql_address, kText,
    "host:port of this server's SQL port, as proxies shall route to it. Empty: 127.0.0.1 and the "
    "server's port.",
    (check_string<check_sql_address, check_links_may_change>), update_string, "");
// Whoever may SET GLOBAL shall not choose what the server's user runs.
MYSQL_SYSVAR_STR(
    hook, hook, kText | PLUGIN_VAR_READONLY,
    "Path of a program that is run at each turn of a switchover or failover; a failover "
    "fails if it does. Only in an option file.",
    nullptr, nullptr, "");
MYSQL_SYSVAR_UINT(hook_timeout, hook_timeout, kNumber,
                  "How long the program of active_master_hook may run, in milliseconds; then it is "
                  "killed.",
                  check_number, update_number, 10000, 10, 600000, 0);
MYSQL_SYSVAR_UINT(switchover_timeout, switchover_timeout, kNumber,
                  "A switchover must be decided within this time, in milliseconds.", check_number,
                  update_number, 30000, 100, 600000, 0);
MYSQL_SYSVAR_UINT(
    approach_timeout, approach_timeout, kNumber,
    "How long a switchover may wait for the candidate's lag to fall while traffic still runs, in "
    "milliseconds.",
    check_number, update_number, 10000, 0, 600000, 0);
MYSQL_SYSVAR_UINT(approach_max_lag, approach_max_lag, kNumber,
                  "Traffic is stopped only when the candidate has applied a probe within this "
                  "time, in milliseconds.",
                  check_number, update_number, 100, 1, 60000, 0);
MYSQL_SYSVAR_UINT(
    approach_max_pace, approach_max_pace, kNumber,
    "While the candidate lags, a switchover slows writes down until it is close: so far apart at "
    "most may it keep transactions, in microseconds. 0: it never slows writes.",
    check_number, update_number, 5000, 0, 1000000, 0);
MYSQL_SYSVAR_UINT(pause_timeout, pause_timeout, kNumber,
                  "Within this time all proxies must hold and running transactions must have "
                  "ended, in milliseconds; "
                  "else the switchover is undone.",
                  check_number, update_number, 3000, 10, 600000, 0);
MYSQL_SYSVAR_UINT(catch_up_timeout, catch_up_timeout, kNumber,
                  "Within this time after the pause the candidate must have applied everything, in "
                  "milliseconds; else "
                  "the switchover is undone.",
                  check_number, update_number, 3000, 10, 600000, 0);
MYSQL_SYSVAR_UINT(
    resume_timeout, resume_timeout, kNumber,
    "How long the report of a switchover waits for proxies to open traffic again, in milliseconds.",
    check_number, update_number, 3000, 10, 600000, 0);
MYSQL_SYSVAR_UINT(heartbeat_interval, heartbeat_interval, kNumber,
                  "Each link between nodes carries a message at least this often, in milliseconds, "
                  "and three times in active_master_peer_timeout.",
                  check_number, update_number, 1000, 10, 60000, 0);
MYSQL_SYSVAR_UINT(peer_timeout, peer_timeout, kNumber,
                  "A peer that is not heard for this long, or a proxy whose machine does not "
                  "answer for so long, counts "
                  "as lost, in milliseconds.",
                  check_number, update_number, 5000, 50, 600000, 0);
MYSQL_SYSVAR_UINT(proxy_lease, proxy_lease, kNumber,
                  "A switchover is refused while a proxy is lost, until it was silent for this "
                  "long, in milliseconds.",
                  check_number, update_number, 10000, 50, 600000, 0);
MYSQL_SYSVAR_UINT(lease, lease, kNumber,
                  "With voters: the active master lets no write through when no majority has "
                  "answered for this long, in milliseconds.",
                  check_number, update_number, 3000, 200, 60000, 0);
MYSQL_SYSVAR_BOOL(auto_failover, auto_failover, PLUGIN_VAR_OPCMDARG,
                  "ON: with voters, this node takes the role by itself when the active master's "
                  "lease has run out and a majority promises it. 1 or 0.",
                  check_auto_failover, update_flag, 0);
MYSQL_SYSVAR_UINT(priority, priority, kNumber,
                  "Of several nodes with active_master_auto_failover the one with the highest "
                  "stands first; 0: never.",
                  check_number, update_number, 100, 0, 100, 0);
MYSQL_SYSVAR_UINT(failover_cooldown, failover_cooldown, kNumber,
                  "After a failover none begins by itself for this long, in milliseconds.",
                  check_number, update_number, 60000, 0, 3600000, 0);
MYSQL_SYSVAR_UINT(max_failovers, max_failovers, kNumber,
                  "After so many failovers in an hour none begins by itself; 0: no limit.",
                  check_number, update_number, 3, 0, 1000, 0);
MYSQL_SYSVAR_UINT(
    max_failover_lag, max_failover_lag, kNumber,
    "This node does not take the role by itself if it needs longer than this to apply "
    "what it has received, in milliseconds.",
    check_number, update_number, 30000, 1, 600000, 0);
MYSQL_SYSVAR_STR(secret_file, secret_file, kText,
                 "File with the secret that all nodes and proxies of the cluster share; it must "
                 "belong to the server's user and be readable by nobody else. Two lines are two "
                 "secrets: the first is used, both are accepted. Read when it is set.",
                 (check_string<check_secret_file, check_links_may_change>), update_secret_file, "");
MYSQL_SYSVAR_STR(
    replication_user, replication_user, kText,
    "The account with which this server replicates from the active master when it has no "
    "replication connection yet; one that exists keeps its own.",
    (check_string<check_replication_user, may_always_change>), update_string, "");
MYSQL_SYSVAR_STR(replication_password_file, replication_password_file, kText,
                 "File with that account's password in its first line; it must belong to the "
                 "server's user and be readable by nobody else. Read when it is needed.",
                 (check_string<check_replication_password_file, may_always_change>), update_string,
                 "");
MYSQL_SYSVAR_BOOL(repoint, repoint, PLUGIN_VAR_OPCMDARG,
                  "ON: a standby makes its server replicate from the active master. OFF: what it "
                  "replicates from is never changed here.",
                  nullptr, update_flag, 1);
#define ACTIVE_MASTER_TLS_FILE(name, comment)                                                      \
  MYSQL_SYSVAR_STR(name, name, kText, comment " Read at start and with active_master_reload_tls.", \
                   (check_string<check_tls_file, check_links_may_change>), update_string, "")
ACTIVE_MASTER_TLS_FILE(tls_ca, "PEM file of the CA that certifies all nodes and proxies.");
ACTIVE_MASTER_TLS_FILE(tls_cert, "PEM file of this node's certificate, which bears its name.");
ACTIVE_MASTER_TLS_FILE(tls_key, "PEM file of the certificate's key, without passphrase.");
ACTIVE_MASTER_TLS_FILE(tls_crl, "PEM file of the CA's list of revoked certificates.");
#undef ACTIVE_MASTER_TLS_FILE
MYSQL_SYSVAR_BOOL(reload_tls, reload_tls, PLUGIN_VAR_NOCMDOPT,
                  "Set it to 1 to read the files of active_master_tls_* and "
                  "active_master_secret_file again; it stays 0.",
                  check_reload, update_reload, 0);
MYSQL_SYSVAR_STR(request, request, PLUGIN_VAR_NOCMDOPT | PLUGIN_VAR_MEMALLOC,
                 "The door that the procedures in schema active_master use; not for people.",
                 check_request, forget_request, "");

#ifdef ACTIVE_MASTER_FAULTS
MYSQL_SYSVAR_STR(fault, fault_points, PLUGIN_VAR_NOCMDOPT | PLUGIN_VAR_MEMALLOC,
                 "Points at which this build goes wrong, for tests: see docs/testing.md.",
                 (check_string<check_fault, may_always_change>), update_fault, "");
#endif

MYSQL_SYSVAR_UINT(
    active_transaction_limit, active_transaction_limit, kNumber,
    "Before traffic is stopped, a switchover waits so long for long transactions (of more than 0.1 "
    "s) "
    "that are running a statement, in milliseconds; then active_master_drain_policy applies. 0: "
    "not "
    "then, only when traffic is stopped.",
    check_number, update_number, 10000, 0, 600000, 0);
MYSQL_SYSVAR_UINT(
    idle_transaction_limit, idle_transaction_limit, kNumber,
    "The same for transactions that are idle, and for sessions that hold locks, in milliseconds.",
    check_number, update_number, 1000, 0, 600000, 0);
MYSQL_SYSVAR_ENUM(
    drain_policy, drain_policy, PLUGIN_VAR_RQCMDARG,
    "What becomes of transactions that outlast their limit: with ABORT the switchover is given up, "
    "with KILL their connections are closed.",
    nullptr, update_enum, 0, &drain_policies);
MYSQL_SYSVAR_UINT(
    fence_hold, fence_hold, kNumber,
    "How long a statement that would begin a transaction waits at this node while a switchover is "
    "under way, in milliseconds, before it is refused with active_master_fence_error. 0: not at "
    "all.",
    check_number, update_fence, 10000, 0, 600000, 0);
MYSQL_SYSVAR_UINT(fence_error, fence_error, kNumber,
                  "Number of the error that a client gets that would write while this node is "
                  "fenced: 1290 as for "
                  "read_only, or 1047 for proxies that try again on it.",
                  check_number, update_fence, ER_OPTION_PREVENTS_STATEMENT, 1000, 65535, 0);
MYSQL_SYSVAR_ENUM(
    fence, fence, PLUGIN_VAR_RQCMDARG,
    "ON: while this node is not the active master, no client can write, READ ONLY ADMIN or not. "
    "OFF: "
    "for maintenance, READ ONLY ADMIN is enough; refused while another node is active. FORCED_OFF: "
    "even then.",
    check_fence, update_fence_mode, 0, &fence_modes);

// All numbers are declared alike, so that one check serves them.
using NumberVariable = decltype(mysql_sysvar_port);

int check_number(MYSQL_THD, st_mysql_sys_var* var, void* save, st_mysql_value* value) noexcept {
  const auto& declaration = *reinterpret_cast<const NumberVariable*>(var);
  long long number = 0;
  if (value->value_type(value) != MYSQL_VALUE_TYPE_INT || value->val_int(value, &number) != 0 ||
      number < declaration.min_val || number > declaration.max_val) {
    return refuse(declaration.name, "must be a whole number from " +
                                        std::to_string(declaration.min_val) + " to " +
                                        std::to_string(declaration.max_val));
  }
  // These two open the links anew.
  if (declaration.value == &port || declaration.value == &peer_timeout) {
    const std::shared_lock lock(daemon_mutex);
    if (const auto error = check_links_may_change(); !error.empty())
      return refuse(declaration.name, error);
  }
  *static_cast<unsigned int*>(save) = static_cast<unsigned int>(number);
  return 0;
}

int check_fence(MYSQL_THD, st_mysql_sys_var*, void* save, st_mysql_value* value) noexcept {
  try {
    long long index = -1;
    if (value->value_type(value) == MYSQL_VALUE_TYPE_INT) {
      value->val_int(value, &index);
    } else if (const auto name = string_value(value)) {
      for (unsigned int i = 0; i < fence_modes.count; ++i) {
        if (strcasecmp(name->c_str(), fence_modes.type_names[i]) == 0) index = i;
      }
    }
    if (index < 0 || index >= fence_modes.count)
      return refuse("active_master_fence", "must be ON, OFF or FORCED_OFF");
    const std::shared_lock lock(daemon_mutex);
    if (index == kFenceOff && current_daemon) {
      for (const auto& node : current_daemon->view()->nodes) {
        if (node.link != "CONNECTED" || node.role != Role::kActive) continue;
        return refuse("active_master_fence",
                      "can't be switched off: node " + node.name +
                          " is the active master, and what is written here would be errant. "
                          "If that is what you want, use FORCED_OFF");
      }
    }
    *static_cast<unsigned long*>(save) = static_cast<unsigned long>(index);
    return 0;
  } catch (const std::exception& e) {
    return refuse("active_master_fence", e.what());
  }
}

// Setting the variable is the request: this blocks until it is answered, holding no lock of the
// server.
int check_request(MYSQL_THD thd, st_mysql_sys_var*, void* save, st_mysql_value* value) noexcept {
  const auto raise = [](const Error& error) {
    my_printf_error(static_cast<uint>(error.code), "%s", MYF(0), error.text.c_str());
    return 1;
  };
  try {
    *static_cast<const char**>(save) = "";
    const auto parsed = parse_request(string_value(value).value_or(""));
    if (!parsed) return raise(make_error(ErrorCode::kBadRequest, "not a request"));
    // Its own transaction would keep the drain waiting for it.
    if (thd_test_options(thd, kOptionBegin)) {
      return raise(make_error(ErrorCode::kInTransaction, "the session is in a transaction"));
    }
    const std::shared_lock lock(daemon_mutex);
    if (!current_daemon)
      return raise(make_error(ErrorCode::kStopping, "the plugin is not running"));
    const auto is_killed = [thd] { return thd_kill_level(thd) != THD_IS_NOT_KILLED; };
    if (const auto& wait = parsed->wait) {
      current_daemon->await_event(wait->after, wait->timeout, wait->proxy, is_killed);
      if (!is_killed()) return 0;
      my_printf_error(ER_QUERY_INTERRUPTED, "Query execution was interrupted", MYF(0));
      return 1;
    }
    const auto report = current_daemon->request(parsed->id, parsed->command, is_killed);
    if (!report) return raise(make_error(ErrorCode::kOutcomeUnknown, "the statement was killed"));
    if (report->result != Result::kDone) {
      return raise({static_cast<ErrorCode>(report->error_number), report->error});
    }
    return 0;
  } catch (const std::exception& e) {
    return raise(make_error(ErrorCode::kStepFailed, e.what()));
  }
}

Duration ms(unsigned int value) {
  return std::chrono::milliseconds(value);
}

}  // namespace

#define VARIABLE(name) (reinterpret_cast<st_mysql_sys_var*>(&mysql_sysvar_##name))
st_mysql_sys_var* system_variables[] = {VARIABLE(node_name),
                                        VARIABLE(cluster_name),
                                        VARIABLE(listen_address),
                                        VARIABLE(port),
                                        VARIABLE(peers),
                                        VARIABLE(witnesses),
                                        VARIABLE(voters),
                                        VARIABLE(lease),
                                        VARIABLE(auto_failover),
                                        VARIABLE(priority),
                                        VARIABLE(failover_cooldown),
                                        VARIABLE(max_failovers),
                                        VARIABLE(max_failover_lag),
                                        VARIABLE(sql_address),
                                        VARIABLE(replication_user),
                                        VARIABLE(replication_password_file),
                                        VARIABLE(repoint),
                                        VARIABLE(hook),
                                        VARIABLE(hook_timeout),
                                        VARIABLE(secret_file),
                                        VARIABLE(tls_ca),
                                        VARIABLE(tls_cert),
                                        VARIABLE(tls_key),
                                        VARIABLE(tls_crl),
                                        VARIABLE(reload_tls),
                                        VARIABLE(switchover_timeout),
                                        VARIABLE(approach_timeout),
                                        VARIABLE(approach_max_lag),
                                        VARIABLE(approach_max_pace),
                                        VARIABLE(pause_timeout),
                                        VARIABLE(catch_up_timeout),
                                        VARIABLE(resume_timeout),
                                        VARIABLE(heartbeat_interval),
                                        VARIABLE(peer_timeout),
                                        VARIABLE(proxy_lease),
                                        VARIABLE(active_transaction_limit),
                                        VARIABLE(idle_transaction_limit),
                                        VARIABLE(drain_policy),
                                        VARIABLE(fence),
                                        VARIABLE(fence_hold),
                                        VARIABLE(fence_error),
                                        VARIABLE(request),
#ifdef ACTIVE_MASTER_FAULTS
                                        VARIABLE(fault),
#endif
                                        nullptr};
#undef VARIABLE

Settings read_settings() {
  Settings settings;
  const auto complain = [&](const char* variable, const std::string& error) {
    if (settings.error.empty() && !error.empty())
      settings.error = std::string("active_master_") + variable + " " + error;
  };
  // Options from a file reach the variables without a check of ours.
  complain("node_name", text(node_name).empty() ? "is not set" : check_name(text(node_name)));
  if (!credentials_error.empty() && settings.error.empty()) settings.error = credentials_error;
  complain("cluster_name", check_cluster_name(text(cluster_name)));
  complain("listen_address", check_listen_address(text(listen_address)));
  complain("peers", check_peers(text(peers)));
  complain("witnesses", check_witnesses(text(witnesses)));
  complain("voters", check_voters(text(voters)));
  complain("sql_address", check_sql_address(text(sql_address)));
  complain("hook", check_hook(text(hook)));

  auto& config = settings.config;
  std::string ignored;
  config.identity.cluster = text(cluster_name);
  config.identity.node = text(node_name);
  config.peers = parse_named_addresses(text(peers), ignored).value_or(std::vector<NamedAddress>{});
  for (const auto& peer : config.peers) {
    if (peer.name == config.identity.node)
      complain("peers", "must name the other nodes only, not '" + peer.name + "' itself");
  }
  config.witnesses =
      parse_named_addresses(text(witnesses), ignored).value_or(std::vector<NamedAddress>{});
  for (const auto& witness : config.witnesses) {
    if (std::ranges::find(config.peers, witness.name, &NamedAddress::name) != config.peers.end())
      complain("witnesses", "names '" + witness.name + "', which is in active_master_peers");
  }
  config.identity.server_id = server_id;
  config.server_version = server_version;
  config.sql_address = text(sql_address).empty() ? default_sql_address : text(sql_address);
  config.switchover_timeout = ms(switchover_timeout);
  config.approach_timeout = ms(approach_timeout);
  config.approach_max_lag = ms(approach_max_lag);
  config.approach_max_pace = Duration(approach_max_pace);
  config.pause_timeout = ms(pause_timeout);
  config.catch_up_timeout = ms(catch_up_timeout);
  config.resume_timeout = ms(resume_timeout);
  config.heartbeat_interval = ms(heartbeat_interval);
  config.peer_timeout = ms(peer_timeout);
  config.proxy_lease = ms(proxy_lease);
  config.voters = names_of(text(voters));
  config.lease = ms(lease);
  config.auto_failover = auto_failover != 0;
  config.priority = priority;
  config.cooldown = ms(failover_cooldown);
  config.max_failovers = max_failovers;
  config.max_failover_lag = ms(max_failover_lag);
  config.active_transaction_limit = ms(active_transaction_limit);
  config.idle_transaction_limit = ms(idle_transaction_limit);
  config.repoint = repoint != 0;
  config.hook = text(hook);
  config.hook_timeout = ms(hook_timeout);
  set_replication_account(text(replication_user), text(replication_password_file));
  config.kill_transactions = drain_policy == kDrainKill;

  auto& network = settings.network;
  network.cluster = config.identity.cluster;
  network.node = config.identity.node;
  network.listen_address = text(listen_address);
  network.port = static_cast<uint16_t>(port);
  network.peers = config.peers;
  network.witnesses = config.witnesses;
  network.peer_timeout = config.peer_timeout;
  network.credentials = credentials;
  return settings;
}

void apply_fence_settings() {
  server_fence().set_number(fence_error);
  server_fence().set_enabled(fence == kFenceOn);
  server_gate().set_hold_limit(std::chrono::milliseconds(fence_hold));
  if (server_fence().closed()) take_read_only_admin_from_idle_sessions();
}

void learn_server(Session& session) {
  server_id = static_cast<uint32_t>(std::stoul(session.value("SELECT @@server_id")));
  server_version = session.value("SELECT @@version");
  default_sql_address = "127.0.0.1:" + session.value("SELECT @@port");
}

void learn_credentials() {
  const std::lock_guard lock(values_mutex);
  credentials_error.clear();
  if (const auto loaded =
          protocol::Credentials::load_to_listen(credential_files(), credentials_error))
    credentials = loaded;
}

void set_daemon(Daemon* daemon) {
  const std::unique_lock lock(daemon_mutex);
  current_daemon = daemon;
}

}  // namespace active_master
