// A proven upper bound of D (9) at one deadline box's own prices and weights.
#pragma once

#include <vector>

#include "certificate/effort.h"
#include "certificate/rounding.h"
#include "certificate/user_bound.h"
#include "plan/certificate.h"
#include "scenario/scenario.h"

namespace dashf::certificate {

// Of each user's bound, relative to the score's scale; where there are many boxes most are proven
// in a fraction of the time with the rough one.
inline constexpr double kTolerance = 1e-7, kRough = 1e-2;

struct BoxBound {
  double excess = kInfinity;  // -infinity: no plan is in the box.
  double slope = 0.0;         // About d excess / d y.
  int user = 0;               // Whose psi is largest.
};

// The box's branches are not looked at. `left` (null: all) as in SplitsLeft; only for boxes without
// user_worth. `psi_upper` (may be null; likewise) gets each user's.
BoxBound BoundBox(const Scenario& scenario,
                  const DeadlineBox& box,
                  double scr_upper,
                  const Effort& effort,
                  double relative_tolerance = kTolerance,
                  const SplitsLeft* left = nullptr,
                  std::vector<double>* psi_upper = nullptr);

// The same, roughly where that proves the box: first with the makespan, else where the fine one
// does not. Either holds, and a rough one can be the lower by less than its tolerance.
BoxBound ProveBox(const Scenario& scenario,
                  const DeadlineBox& box,
                  double scr_upper,
                  const Effort& effort,
                  const SplitsLeft* left = nullptr);

}  // namespace dashf::certificate
