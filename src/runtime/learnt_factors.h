// Plans that count on what a fleet's rounds have shown of its nodes (docs/emulation.md).
#pragma once

#include <map>
#include <string>

#include "fleet/state.h"
#include "round/factors.h"
#include "scenario/scenario.h"

namespace dashf::runtime {

// Of users and servers that have shown anything.
struct LearntFactors {
  std::map<std::string, NodeFactors> users, servers;

  // What a prediction for this user at this server assumes.
  PhaseFactors For(const std::string& user, const std::string& server) const;
};

// Puts the factors of the scenario's nodes into it, and says which they are: a device that takes
// twice as long does half of its work in a cycle, a link that does has twice the bits to carry.
LearntFactors TakeFactors(const fleet::State& state, Scenario* scenario);

}  // namespace dashf::runtime
