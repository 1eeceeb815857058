// DASHF: Dinkelbach outside, alternating optimisation of association and resources inside, with the
// semidefinite relaxation, Hungarian rounding and fractional programming as its steps
// (docs/dashf.md). What is ours: tentative resources for pairs not in use, several starts of the
// splits, step B on several rounded candidates, and that no step may lose.
#pragma once

#include "solvers/association_step.h"
#include "solvers/method.h"
#include "solvers/resource_step.h"

namespace dashf::solvers {

struct DashfOptions {
  AssociationOptions association;
  // Outer: Dinkelbach's F(y) relative to the score. Newton's step on F is superlinear, so the limit
  // only guards.
  Limits dinkelbach{.iterations = 50, .tolerance = 1e-9};
  ResourceOptions resources;
  // Alternate once more from BalancedServers() and keep the better plan: about twice the time.
  bool balanced_start = true;
};

// The greedy start: each user's strongest server with a slot, the best splits from several starts,
// and step B. The result is never worse, whatever the time limit. History: one row "start", then
// "association" and "resources" in turn, whose residual is score - y Cost of the step's best
// candidate, accepted or not; the same once more for the balanced start. Its SCR is the best so
// far.
Expected<SolveResult> SolveDashf(const Scenario& scenario,
                                 const SolveOptions& options,
                                 const DashfOptions& dashf);

// With the defaults; with the hull in place of the semidefinite relaxation; without balanced start;
// with mean tentative shares.
Expected<SolveResult> SolveDashf(const Scenario& scenario, const SolveOptions& options);
Expected<SolveResult> SolveDashfHull(const Scenario& scenario, const SolveOptions& options);
Expected<SolveResult> SolveDashfOneStart(const Scenario& scenario, const SolveOptions& options);
Expected<SolveResult> SolveDashfMeanShares(const Scenario& scenario, const SolveOptions& options);

}  // namespace dashf::solvers
