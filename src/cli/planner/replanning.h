// What going on from a standing plan takes, against planning afresh: the rows of
// `dashf bench planner --replan`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/rng.h"
#include "scenario/scenario.h"
#include "solvers/method.h"

namespace dashf::cli {

// One in a hundred users takes the place and the links of another.
Scenario WithUsersMoved(Scenario scenario, Rng rng);
// One server, drawn at random, is gone. kInfeasible if the others have too few slots.
Expected<Scenario> WithoutOneServer(Scenario scenario, Rng rng);

struct Replanning {
  // Processor time of all threads, from a scenario (and a standing plan) in memory to a plan.
  double afresh_s = 0.0, replan_s = 0.0;
  int users_displaced = 0;                  // Who must change server: theirs is gone.
  int handovers_afresh = 0, handovers = 0;  // Who changes server although theirs is there.
  double gap_afresh = 0.0, gap = 0.0;       // To the same bound, which is proven.
};

// Plans `before`, then `now` afresh and from the plan of `before`, by method prices in sum mode;
// every plan is checked by the evaluator.
Expected<Replanning> MeasureReplanning(const Scenario& before,
                                       const Scenario& now,
                                       const solvers::SolveOptions& options);

}  // namespace dashf::cli
