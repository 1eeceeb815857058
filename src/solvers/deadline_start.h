// Where the search for a large scenario's deadline boxes begins: prices from the plan's own rows.
// Internal to the module; numerical, not outward-rounded.
#pragma once

#include "plan/plan.h"
#include "solvers/deadline_search.h"

namespace dashf::solvers::internal {

// The deadlines that the plan just keeps.
Eigen::Vector2d PhasesOf(const ScrProblem& problem, const Plan& plan);

// Prices near the best at these deadlines, found in three steps of which each has more rows: every
// user's row in the plan; the mean of what they make of the servers, and every user's split in the
// plan on each of its servers; `columns` (all rows) are left to who searches on. The point has no
// weights. At `y`; ends with what it has when time_limit_s are over.
DeadlinePoint StartFromPlan(const ScrProblem& problem,
                            const Columns& columns,
                            const Plan& plan,
                            double y,
                            int threads,
                            double time_limit_s);

}  // namespace dashf::solvers::internal
