// The price method in makespan mode (docs/planner.md): the most promising of many deadlines
// (makespan_starts.h), in small scenarios improved by moves and exchanges (makespan_moves.h); and
// where it is wanted the bound of deadline boxes (deadline_boxes.h). Internal to the module.
#pragma once

#include "solvers/planning_log.h"
#include "solvers/scr_problem.h"

namespace dashf::solvers::internal {

// As SolvePrices(); `problem` is the scenario's.
Expected<SolveResult> SolveMakespan(const ScrProblem& problem,
                                    const Scenario& scenario,
                                    const SolveOptions& options,
                                    Log* log);

}  // namespace dashf::solvers::internal
