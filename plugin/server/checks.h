// Is a server fit to hand the role over, or to take it? Read from the server, judged here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "plugin/core/jobs.h"
#include "plugin/core/types.h"
#include "plugin/server/session.h"

namespace active_master {

// The active master's own side. Fills `facts` with what the candidate must know of it.
[[nodiscard]] std::vector<CheckRow> check_active_master(Session& session, const CheckLocalJob& job,
                                                        CheckRequest& facts);

// The candidate's side: can it take over from the server that `facts` describes?
[[nodiscard]] std::vector<CheckRow> check_candidate(Session& session, const CheckRequest& facts);

}  // namespace active_master
