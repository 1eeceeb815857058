// Where the search for prices starts. Internal to the module; pure.
#pragma once

#include <vector>

#include "solvers/priced_users.h"

namespace dashf::solvers::internal {

// A start: at y, what a share of M / N of each server is worth to the mean user who may want it.
// Slots are free.
DualPoint FirstPrices(const ScrProblem& problem, const Columns& columns, double y);

// Per column: score - y cost at a share of M / N of its server (all of it where N < M), local
// resources at their best.
std::vector<float> ValuesAtEqualShares(const ScrProblem& problem, const Columns& columns, double y);

}  // namespace dashf::solvers::internal
