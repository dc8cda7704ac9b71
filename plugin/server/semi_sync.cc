#include "plugin/server/semi_sync.h"

#include <mutex>
#include <optional>
#include <string>

namespace active_master {

namespace {

// A global variable that is changed for a while.
class Changed {
 public:
  explicit Changed(const char* name) : name_(name) {}

  void set(Session& session, const std::string& value) {
    const auto before = session.value("SELECT @@" + name_);
    if (before == value) return;
    if (!before_) before_ = before;
    session.query("SET GLOBAL " + name_ + " = " + value);
  }
  // As it will be once it is restored.
  [[nodiscard]] std::string lasting(Session& session) const {
    return before_ ? *before_ : session.value("SELECT @@" + name_);
  }
  void restore(Session& session) {
    if (before_) session.query("SET GLOBAL " + name_ + " = " + *before_);
    before_.reset();
  }

 private:
  const std::string name_;
  std::optional<std::string> before_;
};

std::string status(Session& session, const std::string& name) {
  const auto rows = session.query("SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_master_" + name + "'");
  return rows.empty() ? "" : rows.front().at("Value").value_or("");
}

bool waits_alone_now(Session& session) {
  return session.value(
             "SELECT @@rpl_semi_sync_master_enabled AND "
             "@@rpl_semi_sync_master_wait_no_slave") == "1";
}

std::mutex mutex;
Changed enabled("rpl_semi_sync_master_enabled");
Changed waits_alone("rpl_semi_sync_master_wait_no_slave");

}  // namespace

void wait_for_standbys(Session& session, bool needs_lease) {
  const std::lock_guard lock(mutex);
  if (needs_lease && enabled.lasting(session) == "1") waits_alone.set(session, "1");
  enabled.restore(session);
}

void wait_for_nobody(Session& session) {
  const std::lock_guard lock(mutex);
  enabled.set(session, "0");
  waits_alone.restore(session);
}

void go_on_waiting(Session& session) {
  const std::lock_guard lock(mutex);
  if (session.value("SELECT @@rpl_semi_sync_master_enabled AND "
                    "NOT @@rpl_semi_sync_master_wait_no_slave") != "1")
    return;
  if (status(session, "clients") != "0") waits_alone.set(session, "1");
}

bool would_wait_for_first_standby(Session& session) {
  return waits_alone_now(session) && status(session, "status") == "ON" &&
         status(session, "clients") == "0";
}

bool waits_for_standby(Session& session) {
  return session.value("SELECT @@rpl_semi_sync_master_enabled") == "1" &&
         status(session, "status") == "ON" &&
         (status(session, "clients") != "0" || waits_alone_now(session));
}

void restore_semi_sync(Session& session) {
  const std::lock_guard lock(mutex);
  enabled.restore(session);
  waits_alone.restore(session);
}

}  // namespace active_master
