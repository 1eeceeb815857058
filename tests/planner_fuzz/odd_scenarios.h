// Random small scenarios, ordinary and extreme, for holding every method against every other.
#pragma once

#include <cstdint>

#include "scenario/scenario.h"

namespace dashf::planner_fuzz {

// The same seed, the same scenario: one to seven users, one to four servers, one to five layers,
// and up to four things that are odd about it: gains of 1e-20 to 1, clocks and bandwidths over nine
// decades, slots of 0 to many, empty columns, all-local, no price on delay or on energy, weights
// and work far from the study's, copies of one user. It need not be valid: Validate() says.
Scenario OddScenario(std::uint64_t seed, bool small);

}  // namespace dashf::planner_fuzz
