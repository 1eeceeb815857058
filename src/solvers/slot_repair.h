// From each user's best column to an association within the slots. Internal to the module; pure.
#pragma once

#include <limits>
#include <vector>

#include "solvers/columns.h"

namespace dashf::solvers::internal {

// Moves users away from servers with more users than slots, along the chain of moves that gives up
// least psi in sum (a shortest path over servers per user too many). `psi` is per column;
// `column_of_user` is changed. False if there is no association within the slots, or when the time
// is up: some servers then still have too many.
bool RepairSlots(const ScrProblem& problem,
                 const Columns& columns,
                 const std::vector<float>& psi,
                 std::vector<int>* column_of_user,
                 double time_limit_s = std::numeric_limits<double>::infinity());

}  // namespace dashf::solvers::internal
