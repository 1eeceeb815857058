#include "solvers/dashf.h"

#include <algorithm>
#include <functional>

#include "opt/dinkelbach.h"
#include "solvers/baselines.h"
#include "solvers/best_splits.h"

namespace dashf::solvers {
namespace {

class Dashf {
 public:
  Dashf(const ScrProblem& problem, const SolveOptions& options, const DashfOptions& dashf)
      : problem_(problem), options_(options), dashf_(dashf) {}

  // From each start on its own; the best plan of all.
  SolveResult Run(const std::vector<std::vector<int>>& starts) {
    Termination termination = Termination::kConverged;
    for (const std::vector<int>& servers : starts) {
      if (!best_.empty() && TimeLeftS() <= 0.0) break;
      const Termination ended = Ascend(servers);
      if (ended != Termination::kConverged) termination = ended;
      if (best_.empty() || Scr(incumbent_) > Scr(best_)) best_ = incumbent_;
    }
    return {.plan = best_,
            .termination = TimeLeftS() <= 0.0 ? Termination::kTimeLimit : termination,
            .history = history_};
  }

 private:
  double TimeLeftS() const { return options_.time_limit_s - watch_.ElapsedS(); }

  double Scr(const Plan& plan) const { return TotalsOf(problem_, plan).Scr(); }

  Termination Ascend(const std::vector<int>& servers) {
    Start(servers);
    const auto solve = [this](double y, double) {
      Alternate(y);
      const PlanTotals totals = TotalsOf(problem_, incumbent_);
      return opt::Ratio{totals.score, totals.cost};
    };
    Limits limits = dashf_.dinkelbach;
    limits.elapsed_s = TimeLeftS();
    return opt::MaximizeRatio(solve, Scr(incumbent_), limits).termination;
  }

  // y is that of the best uniform split; then splits and resources in turn, once each.
  void Start(const std::vector<int>& servers) {
    const Association rough = BestSplits(problem_, servers);
    incumbent_ = EqualShares(problem_, rough);
    const double y = Scr(incumbent_);
    std::vector<int> splits;
    for (const Choice& choice : rough) splits.push_back(choice.local_layers);
    if (TimeLeftS() > 0.0) Accept(BestSplitsFor(problem_, y, servers, {splits}, Spent()).plan);
    if (TimeLeftS() > 0.0) {
      Accept(
          AllocateResources(problem_, AssociationOf(incumbent_), y, &incumbent_, ResourcesInTime())
              .plan);
    }
    Record("start", 0.0);
  }

  std::function<bool()> Spent() const {
    return [this] { return TimeLeftS() <= 0.0; };
  }
  ResourceOptions ResourcesInTime() const {
    ResourceOptions options = dashf_.resources;
    options.time_limit_s = std::min(options.time_limit_s, TimeLeftS());
    return options;
  }

  // One alternation at y, the incumbent's SCR: association, then resources of its finalists.
  // Raising y after each instead of alternating to the end at an old y keeps every SCR above the
  // last one.
  void Alternate(double y) {
    const AssociationStepResult step = ImproveAssociation(
        problem_, y, incumbent_, dashf_.association, TimeLeftS(), rng_.Stream(steps_++));
    Record("association", step.finalists.front().gain);
    double best = 0.0;
    for (const SplitSearchResult& finalist : step.finalists) {
      if (TimeLeftS() <= 0.0) break;
      best = std::max(best, FinishResources(finalist.plan, y));
    }
    Record("resources", best);
  }

  // Step B on one candidate; returns the gain it reached.
  double FinishResources(const Plan& candidate, double y) {
    const Association association = AssociationOf(candidate);
    const bool known = association == AssociationOf(incumbent_);
    const Plan& warm = known ? incumbent_ : candidate;
    const ResourceResult found =
        AllocateResources(problem_, association, y, &warm, ResourcesInTime());
    Accept(found.plan);
    return found.score - y * found.cost;
  }

  void Accept(const Plan& plan) {
    if (Scr(plan) > Scr(incumbent_)) incumbent_ = plan;
  }

  void Record(std::string step, double residual) {
    history_.push_back({.iteration = static_cast<int>(history_.size()),
                        .scr = std::max(Scr(incumbent_), best_.empty() ? 0.0 : Scr(best_)),
                        .residual = residual,
                        .elapsed_s = watch_.MeasuredS(),
                        .step = std::move(step)});
    if (options_.on_iteration) options_.on_iteration(history_.back());
  }

  const ScrProblem& problem_;
  const SolveOptions& options_;
  const DashfOptions& dashf_;
  const Stopwatch watch_;
  const Rng rng_ = Rng(options_.seed).Stream("rounding");
  std::uint64_t steps_ = 0;
  Plan incumbent_;
  Plan best_;  // Of the starts that have ended.
  std::vector<IterationRecord> history_;
};

}  // namespace

Expected<SolveResult> SolveDashf(const Scenario& scenario,
                                 const SolveOptions& options,
                                 const DashfOptions& dashf) {
  const auto problem = MakeScrProblem(scenario);
  if (!problem) return tl::unexpected(problem.error());
  auto strongest = StrongestServers(*problem);
  if (!strongest) return tl::unexpected(strongest.error());
  std::vector<std::vector<int>> starts = {std::move(*strongest)};
  if (dashf.balanced_start) {
    // Slots may not allow it; then there is one start.
    if (auto balanced = BalancedServers(*problem); balanced && *balanced != starts.front()) {
      starts.push_back(std::move(*balanced));
    }
  }
  return Dashf(*problem, options, dashf).Run(starts);
}

Expected<SolveResult> SolveDashf(const Scenario& scenario, const SolveOptions& options) {
  return SolveDashf(scenario, options, DashfOptions{});
}

Expected<SolveResult> SolveDashfHull(const Scenario& scenario, const SolveOptions& options) {
  DashfOptions dashf;
  dashf.association.relaxation = Relaxation::kHull;
  return SolveDashf(scenario, options, dashf);
}

Expected<SolveResult> SolveDashfOneStart(const Scenario& scenario, const SolveOptions& options) {
  DashfOptions dashf;
  dashf.balanced_start = false;
  return SolveDashf(scenario, options, dashf);
}

Expected<SolveResult> SolveDashfMeanShares(const Scenario& scenario, const SolveOptions& options) {
  DashfOptions dashf;
  dashf.association.tentative = TentativeShares::kMean;
  return SolveDashf(scenario, options, dashf);
}

}  // namespace dashf::solvers
