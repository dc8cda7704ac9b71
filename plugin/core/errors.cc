#include "plugin/core/errors.h"

#include <algorithm>

namespace active_master {

const std::vector<ErrorEntry>& error_catalogue() {
  static const std::vector<ErrorEntry> catalogue = {
      {ErrorCode::kUnconfigured, "the plugin has no valid configuration",
       "set active_master_node_name (and what ACTIVE_MASTER_STATE.LAST_ERROR names)"},
      {ErrorCode::kNotBootstrapped, "the cluster has no active master yet",
       "CALL active_master.bootstrap() once, on the node that takes writes today"},
      {ErrorCode::kAlreadyBootstrapped, "bootstrap() on a cluster that has an active master",
       "use active_master.set_active_master(node) to move the role"},
      {ErrorCode::kPeersNotReady, "bootstrap() while a configured peer is not connected",
       "start every node named in active_master_peers with the plugin loaded, then try again"},
      {ErrorCode::kBadName, "the node name is no valid name",
       "use 1 to 64 letters, digits, '_', '.' or '-', beginning with a letter or digit"},
      {ErrorCode::kUnknownNode, "no node of that name is known",
       "choose one of INFORMATION_SCHEMA.ACTIVE_MASTER_NODES"},
      {ErrorCode::kAlreadyActive, "the node is the active master already", "nothing to do"},
      {ErrorCode::kBusy, "another switchover or check is running",
       "wait for it or KILL QUERY its session, see INFORMATION_SCHEMA.ACTIVE_MASTER_SWITCHOVERS"},
      {ErrorCode::kCandidateUnreachable, "the candidate's plugin is not connected, or was lost",
       "check that it runs and that active_master_peers of both nodes are right"},
      {ErrorCode::kCheckFailed, "a check failed",
       "CALL active_master.check(node) lists all checks"},
      {ErrorCode::kCandidateLags, "the candidate's replication lag did not become small",
       "try when there is less load, or raise active_master_approach_timeout or "
       "active_master_approach_max_lag"},
      {ErrorCode::kProxiesDidNotHold, "not every proxy held its traffic in time",
       "see INFORMATION_SCHEMA.ACTIVE_MASTER_PROXIES, or raise active_master_pause_timeout"},
      {ErrorCode::kDrainTimeout, "running transactions did not end in time",
       "end them, raise active_master_active_transaction_limit, "
       "active_master_idle_transaction_limit or active_master_pause_timeout, or have them killed "
       "by active_master_drain_policy"},
      {ErrorCode::kStepFailed, "a step failed on the server",
       "see the text and the server's error log"},
      {ErrorCode::kCatchUpTimeout, "the candidate did not apply the handover in time",
       "look at SHOW SLAVE STATUS on the candidate, or raise active_master_catch_up_timeout"},
      {ErrorCode::kCancelled, "cancelled by KILL QUERY", "the old active master goes on"},
      {ErrorCode::kDirectorUnreachable, "the active master's plugin is not connected to this node",
       "give the statement on the active master, or mend the link"},
      {ErrorCode::kOutcomeUnknown, "the outcome did not become known in time",
       "look at INFORMATION_SCHEMA.ACTIVE_MASTER_STATE on every node before you try again"},
      {ErrorCode::kSuperseded, "another node was activated in a higher epoch meanwhile",
       "look at INFORMATION_SCHEMA.ACTIVE_MASTER_STATE"},
      {ErrorCode::kStopping, "the plugin is being stopped", "load it again"},
      {ErrorCode::kTimeout, "active_master_switchover_timeout ran out", "raise it, or try again"},
      {ErrorCode::kBadRequest, "active_master_request was set to something that is no request",
       "use the procedures in schema active_master"},
      {ErrorCode::kInTransaction, "the statement was given inside a transaction",
       "COMMIT or ROLLBACK first"},
      {ErrorCode::kUnknownProxy, "the proxy is not registered here, or its lease has run out",
       "CALL active_master.register_proxy(name, ip) again, on the active master"},
      {ErrorCode::kProxyNameTaken, "another proxy of that name is connected",
       "give each proxy a name of its own"},
      {ErrorCode::kRegisterElsewhere, "a proxy registers on a node that is not the active master",
       "register on the node that ACTIVE_MASTER_STATE names"},
      {ErrorCode::kUnknownSwitchover, "a proxy acknowledges a switchover that is not known here",
       "acknowledge the SWITCHOVER_ID that active_master.wait_event() shows"},
      {ErrorCode::kDiverged, "this node has transactions that the active master has not",
       "bring them there (mariadb-binlog shows them) and rebuild this node with mariadb-backup "
       "from "
       "the active master, or let the active master replicate them from here; then CALL "
       "active_master.rejoin()"},
      {ErrorCode::kCantFollow, "this server could not be made to replicate from the active master",
       "mend what the text names; it is tried again every 3 s, and by CALL "
       "active_master.rejoin()"},
      {ErrorCode::kMasterAlive, "failover while the active master is alive",
       "move the role with active_master.set_active_master(node)"},
      {ErrorCode::kNotFenced, "a node does not answer, so it is not known to take no writes",
       "make sure that it is off and stays off until this is done, then CALL "
       "active_master.force_failover(node)"},
      {ErrorCode::kOthersAhead, "another node has transactions that the candidate lacks",
       "choose that node, or give them up with active_master.force_failover(node)"},
      {ErrorCode::kNoPromise, "a node does not let the candidate have the role",
       "see the text, and try again"},
      {ErrorCode::kVetoed, "the operator's program (active_master_hook) refused a failover",
       "see what it wrote, in the text and in the server's error log"},
      {ErrorCode::kMayLack,
       "a node has restarted as a standby and not caught up since, so it may have lost what it had "
       "acknowledged",
       "start the old active master, or give that up with active_master.force_failover(node)"},
  };
  return catalogue;
}

Error make_error(ErrorCode code, const std::string& what) {
  const auto entry = std::ranges::find(error_catalogue(), code, &ErrorEntry::code);
  return {code, what + ": " + entry->remedy};
}

std::string errors_as_markdown() {
  std::string text = "| number | when | what to do |\n| --- | --- | --- |\n";
  for (const auto& entry : error_catalogue()) {
    text += "| " + std::to_string(static_cast<uint32_t>(entry.code)) + " | " + entry.when + " | " +
            entry.remedy + " |\n";
  }
  return text;
}

}  // namespace active_master
