// Everything that a Node wants done.
#pragma once

#include <memory>
#include <string>
#include <variant>

#include "plugin/core/jobs.h"
#include "plugin/core/messages.h"
#include "plugin/core/types.h"

namespace active_master {

struct SendToNode {
  NodeName node;
  NodeMessage message;
};
struct SendToProxy {
  std::string proxy;
  NodeState state;
};
struct SendToAll {  // nodes, and proxies unless it holds nothing that they act on
  NodeState state;
  bool to_proxies = true;
};
struct RunJob {
  JobId id;
  Job job;
};
struct CancelJob {  // whether its JobDone still comes doesn't matter any more
  JobId id;
};
struct Answer {  // to a statement given on this node
  std::shared_ptr<const SwitchoverReport> report;
};
struct LogLine {
  enum class Level { kNote, kWarning, kError } level = Level::kNote;
  std::string text;
};
// Clients begin a transaction so far apart at least, so that a candidate that lags comes closer. 0:
// at will, which it is again whenever anything else is done to the gate.
struct Pace {
  Duration distance{0};
};
// From then on by the node's clock, whatever becomes of the plugin, no client's write is let
// through until a later time is given. kNever: there are no leases.
struct WriteUntil {
  Time until;
};
struct PublishView {  // what people see has changed
  bool can_wait =
      false;  // of proxies only, of which there may be thousands: a moment later will do
};

using Action = std::variant<SendToNode, SendToProxy, SendToAll, RunJob, CancelJob, Answer, LogLine,
                            Pace, WriteUntil, PublishView>;

}  // namespace active_master
