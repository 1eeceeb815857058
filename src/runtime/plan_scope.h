// Who is to be planned for now, with what they have: the coordinator's question to its planner.
#pragma once

#include <string>
#include <vector>

#include "runtime/coordinator.h"

namespace dashf::runtime {

// A user that goes on from an adapter sends all of its layers up, also those that its server is to
// train: the base's are not where they go on from.
SplitProfile WithAllLayersUp(SplitProfile profile);

struct PlanScope {
  PlanRequest request;  // Without folder and digest.
  // Not in the request: users that no server here can serve,
  std::vector<std::string> unreachable;
  // those for whom no slot is left beside the others,
  std::vector<std::string> without_slot;
  // and those at work with what the scenario has no place for, since it is another: they go on.
  std::vector<std::string> outside;
};

// Of the state's round, which is not over.
PlanScope ScopeOf(const fleet::State& state, const Scenario& deployment);

}  // namespace dashf::runtime
