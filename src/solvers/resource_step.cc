#include "solvers/resource_step.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "opt/dinkelbach.h"
#include "solvers/barrier_program.h"

namespace dashf::solvers {
namespace {

using internal::BarrierProgram;
using internal::CountNeeds;
using internal::DecideAtPrices;
using internal::EffectiveDelayWeight;
using internal::EqualShare;
using internal::MakeTerms;
using internal::Point;
using internal::UserTerms;

// The central path from the start to the tolerance. A warm start begins near the end of the path;
// where it turns out to lie far from it - the steps then only creep along a wall - the path is
// joined farther up.
std::pair<Termination, int> FollowPath(BarrierProgram* program,
                                       bool warm,
                                       double scale,
                                       const ResourceOptions& options) {
  constexpr double kReduction = 0.1, kColdStart = 1e-1, kWarmStart = 1e-4;
  constexpr int kJoiningStepsMax = 10;
  const double mu_first = kColdStart * scale / program->count();
  const double mu_last = options.tolerance * scale / program->count();
  double mu = std::max(mu_last, warm ? kWarmStart / kColdStart * mu_first : mu_first);
  bool joined = !warm;
  program->StopAfter(options.time_limit_s);
  for (int steps = 0;;) {
    const int left = options.iterations_max - steps;
    const int allowed = joined ? left : std::min(left, kJoiningStepsMax);
    const int taken = program->Centre(mu, 0.1 * mu, allowed);
    if (taken < 0) return {Termination::kNumericalError, steps};
    steps += taken;
    if (program->IsStopped()) return {Termination::kTimeLimit, steps};
    if (steps >= options.iterations_max) return {Termination::kIterationLimit, steps};
    if (taken == allowed && mu < mu_first) {
      mu = std::min(mu_first, mu / kReduction);
      continue;
    }
    joined = true;
    if (mu <= mu_last) return {Termination::kConverged, steps};
    mu = std::max(mu_last, kReduction * mu);
  }
}

ResourceResult ResultOf(const ScrProblem& problem, Plan plan, Termination termination, int steps) {
  const PlanTotals totals = TotalsOf(problem, plan);
  return {std::move(plan), totals.score, totals.cost, termination, steps};
}

}  // namespace

ResourceResult AllocateResources(const ScrProblem& problem,
                                 const Association& association,
                                 double y,
                                 const Plan* warm_start,
                                 const ResourceOptions& options) {
  DASHF_CHECK(y >= 0.0 && IsAdmissible(problem, association));
  const bool warm = warm_start != nullptr && AssociationOf(*warm_start) == association;
  const Plan start = warm ? *warm_start : EqualShares(problem, association);
  const PlanTotals at_start = TotalsOf(problem, start);
  if (!std::isfinite(at_start.cost)) return {start, at_start.score, at_start.cost};
  // Where the cost counts (almost) nothing the optimum is not unique: of the best scores, to 1e-9,
  // the cheapest is meant.
  const double y_min = at_start.score > 0.0 ? 1e-9 * at_start.score / at_start.cost : 1.0;
  const double y_used = std::max(y, y_min);

  BarrierProgram program(problem, association, y_used);
  Termination termination = Termination::kConverged;
  int steps = 0;
  if (program.count() > 0) {
    program.Start(warm ? &start : nullptr);
    const double scale = at_start.score + y_used * at_start.cost;
    std::tie(termination, steps) = FollowPath(&program, warm, scale, options);
  }
  ResourceResult result = ResultOf(problem, program.Extract(), termination, steps);
  const double gain = (result.score - at_start.score) - y * (result.cost - at_start.cost);
  if (!(gain >= 0.0)) result = ResultOf(problem, start, termination, steps);
  return result;
}

Plan EqualShares(const ScrProblem& problem, const Association& association) {
  const std::vector<UserTerms> terms = MakeTerms(problem, association, 1.0);
  const std::vector<Eigen::Vector3d> needs = CountNeeds(problem, terms);
  Plan plan(association.size());
  for (std::size_t n = 0; n < plan.size(); ++n) {
    Point shares = Point::Zero();
    shares.head<3>() = EqualShare(terms[n], needs);
    plan[n] = DecideAtPrices(
        problem, static_cast<int>(n), association[n], shares, EffectiveDelayWeight(problem));
  }
  return plan;
}

Decision EqualShareDecision(const ScrProblem& problem, int user, const Choice& choice, int load) {
  const auto split = static_cast<std::size_t>(problem.FindSplit(user, choice.local_layers));
  const bool downloads = problem.split_download_bit[split] > 0.0;
  const bool transfers = downloads || problem.split_upload_bit[split] > 0.0;
  const double share = 1.0 / load;
  return DecideAtPrices(problem,
                        user,
                        choice,
                        Point(transfers ? share : 0.0,
                              downloads ? share : 0.0,
                              problem.split_server_flop[split] > 0.0 ? share : 0.0,
                              0.0),
                        EffectiveDelayWeight(problem));
}

RatioResult MaximizeScrForAssociation(const ScrProblem& problem,
                                      const Association& association,
                                      const Plan* warm_start,
                                      const Limits& limits,
                                      const ResourceOptions& options) {
  const bool warm = warm_start != nullptr && AssociationOf(*warm_start) == association;
  Plan best = warm ? *warm_start : EqualShares(problem, association);
  ResourceOptions within = options;
  const auto solve = [&](double y, double time_left_s) {
    within.time_limit_s = std::min(options.time_limit_s, time_left_s);
    ResourceResult result = AllocateResources(problem, association, y, &best, within);
    best = std::move(result.plan);
    return opt::Ratio{result.score, result.cost};
  };
  const opt::DinkelbachResult ascent =
      opt::MaximizeRatio(solve, TotalsOf(problem, best).Scr(), limits);
  const double scr = TotalsOf(problem, best).Scr();
  return {std::move(best), scr, ascent.residual, ascent.termination, ascent.iterations};
}

}  // namespace dashf::solvers
