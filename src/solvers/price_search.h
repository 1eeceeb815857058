// The prices of least upper bound: minimises the Lagrangian dual (docs/model.md (9)) over prices >=
// 0 in sum mode, and moves y to where the dual is 0, so that y bounds every plan's SCR.
//
// The dual is a sum of maxima. Each user's maximum is smoothed (priced_users.h), the smooth convex
// function is minimised by a projected Newton method whose steps conjugate gradients find (the
// Hessian is applied, never formed; its per-server blocks precondition), and the smoothing is
// lowered geometrically. Internal to the module; numerical, not outward-rounded.
#pragma once

#include "solvers/first_prices.h"
#include "solvers/priced_users.h"

namespace dashf::solvers::internal {

struct PriceSearchOptions {
  double smoothing_first = 0.3;  // Of the mean score of a user: small where the start is good.
  double smoothing_last = 2e-5;  // Likewise.
  double mean_score = 0.0;       // 0: taken from the first replies.
  bool warm = false;  // The start is nearly right; where the smoothing is too little it is raised.
  // Columns farther below their user's best at the start are left for the second stage.
  double first_window = std::numeric_limits<double>::infinity();
  double y_max = std::numeric_limits<double>::infinity();  // y goes no higher.
  double y_min = 0.0;       // y goes no lower; ends early where the dual there is below
  double far_below = 0.05;  // minus this much of the cost.
  // Ends earlier by what rounding the prices to a plan will take: a few times what it takes to
  // look at all columns.
  double time_limit_s = std::numeric_limits<double>::infinity();
};

// From `start` (a plan's own ratio and clearing prices) to prices near the best; `users` keeps the
// replies there.
DualPoint SearchPrices(const ScrProblem& problem,
                       const DualPoint& start,
                       const PriceSearchOptions& options,
                       PricedUsers* users);

// The least y at these prices at which the dual, all columns searched thoroughly, is <= 0: an upper
// bound of every plan's SCR. at->y is set to it. `users` keeps the columns within `window` of each
// user's best. False when none was found, or the time is up before.
bool RaiseToBound(double window,
                  PricedUsers* users,
                  DualPoint* at,
                  double time_limit_s = std::numeric_limits<double>::infinity());

// The point as a certificate of one box: not yet proven.
Certificate CandidateOf(const ScrProblem& problem, const DualPoint& bound);

}  // namespace dashf::solvers::internal
