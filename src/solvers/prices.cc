#include "solvers/prices.h"

#include <utility>

#include "solvers/makespan_planner.h"
#include "solvers/sum_planner.h"

namespace dashf::solvers {

Expected<SolveResult> SolvePrices(const Scenario& scenario, const SolveOptions& options) {
  Log log(options);
  auto problem = MakeScrProblem(scenario);
  if (!problem) return tl::unexpected(problem.error());
  const bool makespan = problem->delay == DelayMode::kMakespan;
  if (makespan && problem->delay_weight_per_s > 0.0) {
    return internal::SolveMakespan(*problem, scenario, options, &log);
  }
  // Where delay costs nothing it does not matter which.
  problem->delay = DelayMode::kSum;
  auto result = internal::SumPlanner(*problem, options, &log).Run(scenario);
  if (makespan && result && result->certificate) {
    const std::vector<double> none(scenario.users.size(), 0.0);
    DeadlineBox& box = result->certificate->boxes.front();
    box.user_phase_weight_per_s = box.server_phase_weight_per_s = none;
    for (BranchNode& node : box.branches) {
      auto* bound = std::get_if<BranchBound>(&node);
      if (bound != nullptr)
        bound->user_phase_weight_per_s = bound->server_phase_weight_per_s = none;
    }
  }
  return result;
}

}  // namespace dashf::solvers
