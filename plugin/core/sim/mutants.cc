#include "plugin/core/sim/mutants.h"

namespace active_master::sim {

const std::vector<Mutant>& mutants() {
  static const std::vector<Mutant> all = [] {
    std::vector<Mutant> list;
    return list;
  }();
  return all;
}

}  // namespace active_master::sim
