// The best plan that is found in next to no time: where a search starts when its own time is short.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

#include "solvers/method.h"
#include "solvers/scr_problem.h"

namespace dashf::solvers::internal {

// A budget within a time limit: a tenth of it, and more than half where `rows` (what the search
// looks at) are so many that it would hardly find prices by then; infinite without a limit.
double CheapBudgetS(double time_limit_s, std::size_t rows, int threads);

// Hands `keep` each plan that is better than those before it, with the name of what found it:
// greedy and random, the better of the two after moves of one user at a time, and association-only.
// What is likely to pass the budget is left out; at the budget moves end where they are.
void FindCheapPlans(const Scenario& scenario,
                    const ScrProblem& problem,
                    const SolveOptions& options,
                    double budget_s,
                    const std::function<void(Plan, std::string_view)>& keep);

}  // namespace dashf::solvers::internal
