// The planner's own method: prices on the servers' resources (docs/model.md (9)).
//
// Sum mode. (1) The prices of least upper bound (price_search.h) and the bound itself. (2) Each
// user's best column at these prices, slots repaired, each server's resources cleared on their own.
// (3) Moves and exchanges of users until none gains, then pushes out of that local optimum. y, the
// ratio at which all of this is judged, rises with the plan (Dinkelbach). Ends where the plan is
// within options.gap_target of the bound (kConverged), where nothing gains any more (kStalled) or
// at the time limit. The log's residual is how far the bound lies above the plan: an upper bound of
// F(y) at the plan's y (numerical, not a proof).
// Makespan mode: makespan_planner.h; the bound is that of deadline boxes (deadline_boxes.h).
#pragma once

#include "solvers/method.h"

namespace dashf::solvers {

Expected<SolveResult> SolvePrices(const Scenario& scenario, const SolveOptions& options);

}  // namespace dashf::solvers
