#include "plugin/core/types.h"

namespace active_master {

const char* to_string(Role role) {
  switch (role) {
    case Role::kUnconfigured:
      return "UNCONFIGURED";
    case Role::kNew:
      return "NEW";
    case Role::kStandby:
      return "STANDBY";
    case Role::kActive:
      return "ACTIVE";
    case Role::kWitness:
      return "WITNESS";
  }
  return "?";
}

const char* to_string(Phase phase) {
  switch (phase) {
    case Phase::kNone:
      return "NONE";
    case Phase::kCheck:
      return "CHECK";
    case Phase::kApproach:
      return "APPROACH";
    case Phase::kPause:
      return "PAUSE";
    case Phase::kDrain:
      return "DRAIN";
    case Phase::kFence:
      return "FENCE";
    case Phase::kHandover:
      return "HANDOVER";
    case Phase::kCatchUp:
      return "CATCH_UP";
    case Phase::kActivate:
      return "ACTIVATE";
    case Phase::kResume:
      return "RESUME";
    case Phase::kDone:
      return "DONE";
  }
  return "?";
}

const char* to_string(Replication replication) {
  switch (replication) {
    case Replication::kNone:
      return "";
    case Replication::kPending:
      return "PENDING";
    case Replication::kFollowing:
      return "FOLLOWING";
    case Replication::kFailed:
      return "FAILED";
    case Replication::kDiverged:
      return "DIVERGED";
  }
  return "?";
}

const char* to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk:
      return "OK";
    case Verdict::kWarning:
      return "WARNING";
    case Verdict::kFailed:
      return "FAILED";
  }
  return "?";
}

const char* to_string(Result result) {
  switch (result) {
    case Result::kRunning:
      return "RUNNING";
    case Result::kDone:
      return "DONE";
    case Result::kAborted:
      return "ABORTED";
    case Result::kRefused:
      return "REFUSED";
    case Result::kUnknown:
      return "UNKNOWN";
  }
  return "?";
}

}  // namespace active_master
