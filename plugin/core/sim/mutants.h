// Planted faults: the protocol with one rule wrong, or a world that lies in one way. The simulator
// must find each of them; else it proves nothing.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "plugin/core/rules.h"

namespace active_master::sim {

struct Mutant {
  std::string name;
  std::vector<Rule> table;  // empty: the product's
  // What the world does wrong.
  bool forgets_grant = false;       // a restart finds no grant in the state file
  bool disk_lies = false;           // says that it is durable when it is not
  bool fence_lies = false;          // says that no client can write when some can
  bool catch_up_lies = false;       // says that everything is applied when it is not
  bool starts_open = false;         // a server takes writes before the plugin has decided
  bool proxy_lies = false;          // says that it holds and goes on
  bool sql_proxy_lies = false;      // the same, over SQL
  bool proxy_forgets = false;       // knows nothing of what it remembered
  bool forgets_lease = false;       // a voter that was restarted promises at once
  bool gate_ignores_lease = false;  // a server lets writes through after its lease
  bool voter_goes_on_receiving = false;
  bool wiped_witness_votes = false;  // one that has lost its disk goes on as if it had not
  bool lease_from_receipt = false;   // counts from the answer, not from the question
  bool drops_proxy_news = false;     // nodes keep what proxies say to themselves
};

[[nodiscard]] const std::vector<Mutant>& mutants();
void forget_lease(Node& node);  // of a voter's earlier life

}  // namespace active_master::sim
