// Between the core's messages and the wire. What comes from the network is untrusted: whatever is
// malformed or out of bounds is refused here, so that the core sees only sound values.
#pragma once

#include <optional>

#include "client/protocol/frame.h"
#include "plugin/core/messages.h"

namespace active_master {

[[nodiscard]] protocol::Frame to_wire(const NodeMessage& message);
[[nodiscard]] protocol::Frame to_wire(const NodeState& state);

// Empty: not a message that a node may send, or one with values that no node of ours sends.
[[nodiscard]] std::optional<NodeMessage> node_message_from_wire(const protocol::Frame& frame);
[[nodiscard]] std::optional<ProxyState> proxy_state_from_wire(const protocol::Frame& frame);

}  // namespace active_master
