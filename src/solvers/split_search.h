// The splits' part of step A: k from the tables by enumeration, for fixed servers.
#pragma once

#include <functional>

#include "solvers/scr_problem.h"

namespace dashf::solvers {

struct SplitSearchResult {
  Plan plan;          // At quick shares.
  double gain = 0.0;  // score - y cost of that plan.
};

// Coordinate ascent from `start`: every user in turn takes the best k at the present shares - in
// makespan mode against the others' barriers, with a server's clock valued as one queue of work -
// then the shares follow, as long as score - y cost rises and it is not `out_of_time`. Never worse
// than the start.
SplitSearchResult ChooseSplits(const ScrProblem& problem,
                               double y,
                               const Association& start,
                               const std::function<bool()>& out_of_time);

}  // namespace dashf::solvers
