// The planning methods by name: DASHF, its baselines and the exhaustive oracle. A method is a
// function from a valid scenario to a plan; new ones are added to the table in method.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ranks.h"
#include "base/termination.h"
#include "plan/certificate.h"
#include "plan/plan.h"
#include "problem/standing_plan.h"
#include "scenario/scenario.h"

namespace dashf::solvers {

struct SolveOptions {
  std::uint64_t seed = 1;  // Same seed, same plan.
  double time_limit_s =
      std::numeric_limits<double>::infinity();  // > 0 (kNeverS); ends with the best plan so far.
  // >= 0, relative. Methods with a bound of their own stop where it is this near.
  double gap_target = 1e-4;
  // In makespan mode "prices" searches for a bound, which takes far longer than its plan, only
  // then.
  bool wants_bound = false;
  int threads = 1;                 // >= 1; the plan does not depend on it.
  IterationCallback on_iteration;  // May be empty.
  // Processes that share the work, this one being rank 0 and the others in ReplyForRankZero()
  // (user_shards.h); the plan does not depend on it. Used by "prices" in sum mode alone.
  Ranks* ranks = nullptr;
  // Methods that start_from_plan go on from here where there is one; it must outlive the call.
  const StandingPlan* from = nullptr;
  // >= 0, score units: the search looks for the greatest (score - penalty * handovers) / cost, a
  // handover being a user who leaves the server that it has in `from`.
  double handover_penalty = 0.0;
};

// Where the price search's time goes, on rank 0's clock.
struct StepTimes {
  std::int64_t calls = 0;
  double reply_s = 0.0;  // Its own users' replies.
  double sum_s = 0.0;    // Announcing to the other ranks, waiting for them, adding up.
};
struct SearchTimes {
  StepTimes refresh;  // Every column replies.
  StepTimes sweep;    // The kept columns reply, with derivatives.
  StepTimes product;  // The Hessian of a sweep times a vector.
};

struct SolveResult {
  Plan plan;  // Feasible by Evaluate() unless the method returned an error.
  Termination termination = Termination::kNumericalError;
  std::vector<IterationRecord> history;
  // What may prove how near the plan is to the best: a candidate, not verified. Methods without a
  // bound leave it empty.
  std::optional<Certificate> certificate = std::nullopt;
  // Of "prices" in sum mode.
  std::optional<SearchTimes> search_times = std::nullopt;
};

// kInfeasible if no plan was found to exist, kUsage if the method does not apply (an instance too
// large for "exhaustive", with the sizes in the message), kNumerical otherwise.
using SolveFunction = Expected<SolveResult> (*)(const Scenario&, const SolveOptions&);

struct Method {
  std::string_view name;
  std::string_view summary;  // One line for --help.
  SolveFunction solve;
  bool starts_from_plan = false;  // Heeds SolveOptions::from.
};

// It heeds SolveOptions::from for this scenario: with the makespan none does.
bool StartsFromPlan(const Method& method, const Scenario& scenario);
// Per server, where a later search may start; none with the makespan, where prices alone are not
// enough, and of a method that finds none.
std::vector<ServerPrices> PricesOf(const Scenario& scenario, const SolveResult& solved);

std::span<const Method> Methods();
const Method* FindMethod(std::string_view name);  // nullptr if there is none of that name.

}  // namespace dashf::solvers
