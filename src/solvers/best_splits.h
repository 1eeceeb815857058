// The splits of a baseline that does not fix them. Pure: safe from any thread.
#pragma once

#include <vector>

#include "solvers/scr_problem.h"

namespace dashf::solvers {

// Under equal shares at a given server of each user: each user in turn takes the k that serves the
// whole plan's SCR best, until none gains; from three starts, k = 0, the middle and the largest k
// below L, because makespan mode has separate basins.
Association BestSplits(const ScrProblem& problem, const std::vector<int>& server_of_user);

}  // namespace dashf::solvers
