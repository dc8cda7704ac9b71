// Takes the privilege READ ONLY ADMIN from sessions while the fence is closed. Without it the
// server itself refuses with read_only on whatever changes data or schema, in whatever way it
// comes, COMMIT included: MariaDB 10.11 has no read_only that binds administrators, too (12.0 has).
//
// Only the session's copy in memory is changed; the account is not.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "plugin/server/mariadb.h"

namespace active_master {

// Finds out where this very server keeps a session's privileges, by asking functions that the
// server exports what they do to a piece of memory of ours. Empty, or why that is not known: then
// nothing is ever taken, and the fence has a gap.
[[nodiscard]] std::string learn_where_privileges_are();

// Has the session READ ONLY ADMIN now, in the rights that its statement runs with?
[[nodiscard]] bool has_read_only_admin(MYSQL_THD thd);

// Takes it from the rights that a statement inside of a routine runs with: they end with the
// routine.
void take_read_only_admin(MYSQL_THD thd);

// What was taken from a session's own rights, to be given back to the same rights only.
class Withheld {
 public:
  // Takes it, if the session has it. Another thread may call this, too, while the session is idle.
  void take(MYSQL_THD thd);
  // Gives back what was taken, unless the session has got other rights meanwhile (SET ROLE).
  void give_back(MYSQL_THD thd);
  // The session's rights are made anew: there is nothing to give back.
  void forget() { left_ = 0; }

 private:
  std::atomic<uint64_t> left_{
      0};  // the privileges without it, as they were left; 0: nothing was taken
};

}  // namespace active_master
