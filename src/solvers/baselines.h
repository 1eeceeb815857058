// The baselines that the methods are compared with. All keep to slots, links, memory and
// all_local_allowed.
//
// "Equal shares" is EqualShares() of resource_step.h; where a baseline fixes no split, BestSplits()
// of best_splits.h chooses under equal shares.
#pragma once

#include <vector>

#include "solvers/method.h"
#include "solvers/scr_problem.h"

namespace dashf::solvers {

// A uniform random server for each user; where slots bind, the matching of least random cost.
Expected<SolveResult> SolveRandom(const Scenario& scenario, const SolveOptions& options);
// The strongest server for each user; where slots bind, the most gain in dB in sum.
Expected<SolveResult> SolveGreedy(const Scenario& scenario, const SolveOptions& options);
// From SolveGreedy's plan, while it improves: the Hungarian method on slots at the current SCR,
// each user valued at the equal share it would have (in makespan mode its delay counts 1/N), then
// moves of one user at a time, judged by the whole plan.
Expected<SolveResult> SolveAssociationOnly(const Scenario& scenario, const SolveOptions& options);
// SolveGreedy's association and splits with the best resources (MaximizeScrForAssociation).
Expected<SolveResult> SolveResourceOnly(const Scenario& scenario, const SolveOptions& options);
// k = L for all: no score, so SCR is 0 and the least cost is what counts. kUsage where
// objective.all_local_allowed is false, kInfeasible naming the user whose memory forbids it.
Expected<SolveResult> SolveAllLocal(const Scenario& scenario, const SolveOptions& options);
// k = 0 for all, the strongest server, the best resources. kInfeasible as above.
Expected<SolveResult> SolveAllServer(const Scenario& scenario, const SolveOptions& options);

// Each user's strongest server, by SolveAssignment on -10 log10 gain. kInfeasible if slots run out.
Expected<std::vector<int>> StrongestServers(const ScrProblem& problem);
// The same with no server given more than its part of the users, rounded up. kInfeasible if links
// and slots do not allow it.
Expected<std::vector<int>> BalancedServers(const ScrProblem& problem);

}  // namespace dashf::solvers
