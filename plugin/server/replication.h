// What this server replicates from.
#pragma once

#include <atomic>
#include <string>

#include "plugin/core/inputs.h"
#include "plugin/core/jobs.h"
#include "plugin/server/session.h"

namespace active_master {

// The account for a server that has no connection yet; the file is read when it is needed.
void set_replication_account(std::string user, std::string password_file);

// What is wrong with a file that shall hold the password; empty if nothing.
[[nodiscard]] std::string check_password_file(const std::string& path);

// Makes this server replicate from the job's. A connection that does so already is kept, whatever
// else there is; else the one that leads to another member of the cluster is changed, and keeps its
// account and options; else one is made. Throws what is in the way.
void follow(Session& session, const FollowJob& job);

// Waits until that connection runs, or throws why it does not.
void await_replication(Session& session, const FollowJob& job, const std::atomic<bool>& cancelled);

// What would keep this server, now the active master's, from following the candidate after a
// switchover; empty if nothing is known.
[[nodiscard]] std::string why_it_cannot_follow(Session& session, const CheckLocalJob& job);

// The positions up to which transactions are in this server's relay logs, one per connection.
[[nodiscard]] std::vector<std::string> received_positions(Session& session);

// All replication connections of this server.
[[nodiscard]] std::vector<Source> sources(Session& session);

// Stops every connection that leads to a member of the cluster.
void leave(Session& session, const LeaveJob& job);

// The same, but what was received is applied.
void stop_receiving(Session& session, const StopReceivingJob& job);

}  // namespace active_master
