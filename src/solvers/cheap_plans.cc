#include "solvers/cheap_plans.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "base/termination.h"
#include "solvers/baselines.h"
#include "solvers/equal_share_moves.h"
#include "solvers/resource_step.h"

namespace dashf::solvers::internal {
namespace {

// About, of one processor: what the first steps of each take before they look at the clock.
constexpr double kSearchSPerRow = 3e-5, kLookSPerLink = 5e-7;
double AssignmentS(double links, double users) {
  return links * (3e-6 + 5e-10 * users);
}

}  // namespace

double CheapBudgetS(double time_limit_s, std::size_t rows, int threads) {
  constexpr double kShare = 0.1, kShareInVain = 0.6;
  const double search_s = kSearchSPerRow * static_cast<double>(rows) / std::max(threads, 1);
  return time_limit_s * (time_limit_s < search_s ? kShareInVain : kShare);
}

void FindCheapPlans(const Scenario& scenario,
                    const ScrProblem& problem,
                    const SolveOptions& options,
                    double budget_s,
                    const std::function<void(Plan, std::string_view)>& keep) {
  const Stopwatch watch;
  const auto links = static_cast<double>(problem.link_server.size());
  const auto left_s = [&] { return budget_s - watch.ElapsedS(); };
  Plan best;
  double scr = 0.0;
  const auto consider = [&](Plan plan, std::string_view name) {
    const double found = TotalsOf(problem, plan).Scr();
    if (!best.empty() && !(found > scr)) return;
    best = plan;
    scr = found;
    keep(std::move(plan), name);
  };
  const auto ask = [&](SolveFunction solve, std::string_view name) {
    auto solved =
        solve(scenario, {.seed = options.seed, .time_limit_s = left_s(), .on_iteration = {}});
    if (solved) consider(std::move(solved->plan), name);
  };
  if (left_s() > kLookSPerLink * links) ask(SolveGreedy, "greedy");
  if (left_s() > kLookSPerLink * links) ask(SolveRandom, "random");
  if (!best.empty() && left_s() > 0.0) {
    const Association moved =
        MoveSingleUsers(problem, AssociationOf(best), scr, [&left_s] { return left_s() <= 0.0; });
    consider(EqualShares(problem, moved), "one-user moves");
  }
  if (left_s() > AssignmentS(links, static_cast<double>(problem.users()))) {
    ask(SolveAssociationOnly, "association-only");
  }
}

}  // namespace dashf::solvers::internal
