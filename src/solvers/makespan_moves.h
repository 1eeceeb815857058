// Local search over associations in makespan mode: one user at a time to another server or split,
// then two users exchange servers; every change judged by the joint resource step. Internal to the
// module.
#pragma once

#include <functional>

#include "solvers/resource_step.h"

namespace dashf::solvers::internal {

struct MakespanMovesOptions {
  // Resource steps times users, which is what time is proportional to (about 2 us each, times some
  // 25 Newton steps).
  double work_max = 1e5;
  std::function<bool()> out_of_time;
};

// Raises the SCR from `start` (feasible) until no change gains or the work is done; never worse.
// Adds what it spent to *work.
Plan ImproveMakespan(const ScrProblem& problem,
                     const Plan& start,
                     const MakespanMovesOptions& options,
                     double* work);

}  // namespace dashf::solvers::internal
