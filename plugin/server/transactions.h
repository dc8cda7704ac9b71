// What keeps a switchover from draining this server: clients' transactions, statements and locks.
// The gate knows exactly which sessions those are; who they are and what they do is read from the
// server.
#pragma once

#include <atomic>
#include <string>

#include "plugin/core/config.h"
#include "plugin/core/jobs.h"
#include "plugin/server/fence_audit.h"
#include "plugin/server/session.h"

namespace active_master {

// People's list of these sessions: who, since when, doing what. At most a handful of them.
[[nodiscard]] std::string describe(Session& session, const std::vector<SessionInside>& inside);

// XA transactions that are prepared, and would stay so when the role leaves. Empty: none.
[[nodiscard]] std::string prepared_transactions(Session& session);

// Waits until no long transaction is left; kills those that outlast their limit, or throws.
void await_transactions(Session& session, const AwaitTransactionsJob& job,
                        const std::atomic<bool>& cancelled);

// Closes the connections of these sessions.
void kill(Session& session, const std::vector<SessionInside>& inside);

// Closes the connections of all clients that are in a transaction, however young; replication's own
// threads are in some, too, and stay.
void kill_clients(Session& session);

}  // namespace active_master
