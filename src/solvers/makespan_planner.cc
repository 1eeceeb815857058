#include "solvers/makespan_planner.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "solvers/baselines.h"
#include "solvers/branch_and_bound.h"
#include "solvers/cheap_plans.h"
#include "solvers/dashf.h"
#include "solvers/deadline_boxes.h"
#include "solvers/deadline_start.h"
#include "solvers/makespan_moves.h"
#include "solvers/makespan_starts.h"
#include "solvers/price_search.h"
#include "solvers/prices.h"
#include "solvers/resource_step.h"
#include "solvers/rough_boxes.h"
#include "solvers/slot_repair.h"

namespace dashf::solvers::internal {
namespace {

// Users, up to which moves are worth their time, and DASHF's plan its own.
constexpr std::size_t kSmall = 20, kAlternated = 60;

class MakespanPlanner {
 public:
  MakespanPlanner(const ScrProblem& problem,
                  const Scenario& scenario,
                  const SolveOptions& options,
                  Log* log)
      : problem_(problem),
        scenario_(scenario),
        options_(options),
        log_(*log),
        columns_(MakeColumns(problem, false)) {}

  Expected<SolveResult> Run();

 private:
  bool IsSmall() const { return problem_.tx_power_w_max.size() <= kSmall; }
  bool Spent() const { return log_.TimeLeftS() <= 0.0; }
  void Keep(Plan plan, const char* step);
  // Under a time limit: what is found in a part of it.
  void StartFromCheapPlans();
  // Plans of the most promising deadlines; false if there are none, for want of slots.
  bool Start();
  void Polish();
  void Improve(const Plan& start);
  void ImproveStarts();
  void Alternate();
  void Bound();
  Certificate BoundByTree(double y, std::size_t nodes_max);
  double Consider(const Association& association);
  Certificate BoundClosely(double y);
  Certificate BoundRoughly(double y) const;
  double TargetY() const { return TargetY(scr_); }
  double TargetY(double scr) const;
  void Round(const std::vector<float>& psi_at_prices);

  const ScrProblem& problem_;
  const Scenario& scenario_;
  const SolveOptions& options_;
  Log& log_;
  const Columns columns_;
  std::vector<Plan> started_;
  double work_ = 0.0;  // Spent on moves.
  Plan best_;
  double scr_ = 0.0, score_ = 0.0, bound_ = std::numeric_limits<double>::infinity();
  std::optional<Certificate> certificate_;
};

void MakespanPlanner::Keep(Plan plan, const char* step) {
  const PlanTotals totals = TotalsOf(problem_, plan);
  if (best_.empty() || totals.Scr() > scr_) {
    best_ = std::move(plan);
    scr_ = totals.Scr();
    score_ = totals.score;
  }
  log_.Add(scr_, std::isfinite(bound_) ? score_ * (bound_ - scr_) / scr_ : 0.0, step);
}

void MakespanPlanner::StartFromCheapPlans() {
  if (!(options_.time_limit_s < kNeverS)) return;
  const double budget_s = CheapBudgetS(options_.time_limit_s, columns_.size(), options_.threads);
  FindCheapPlans(scenario_,
                 problem_,
                 options_,
                 std::min(budget_s, log_.TimeLeftS()),
                 [this](Plan plan, std::string_view name) { Keep(std::move(plan), name.data()); });
}

bool MakespanPlanner::Start() {
  constexpr std::size_t kStarts = 3, kStartsOfSmall = 10;
  constexpr double kCoarse = 1e-6;  // Of score + y cost.
  const MakespanStarts starts(problem_, columns_);
  std::vector<MakespanStart> found = starts.Best(
      IsSmall() ? kStartsOfSmall : kStarts, options_.threads, [this] { return Spent(); });
  if (found.empty()) found.push_back(starts.Any());
  if (found.front().column_of_user.empty()) return false;
  Keep(EqualShares(problem_, columns_.AssociationOf(problem_, found.front().column_of_user)),
       "start");
  for (const MakespanStart& start : found) {
    if (Spent()) return true;
    const ResourceOptions coarse{.tolerance = kCoarse, .time_limit_s = log_.TimeLeftS()};
    const Association association = columns_.AssociationOf(problem_, start.column_of_user);
    Plan plan =
        AllocateResources(problem_, association, std::max(scr_, start.scr), nullptr, coarse).plan;
    started_.push_back(plan);
    Keep(std::move(plan), "resources");
  }
  Polish();
  return true;
}

// The best resources for the plan's association.
void MakespanPlanner::Polish() {
  if (Spent()) return;
  const Limits limits{.elapsed_s = log_.TimeLeftS()};
  Keep(MaximizeScrForAssociation(problem_, AssociationOf(best_), &best_, limits).plan, "resources");
}

void MakespanPlanner::Improve(const Plan& start) {
  const MakespanMovesOptions moves{.out_of_time = [this] { return Spent(); }};
  if (!Spent()) Keep(ImproveMakespan(problem_, start, moves, &work_), "moves");
}

// From the best of the starts: the deadlines at which moves end differ.
void MakespanPlanner::ImproveStarts() {
  constexpr std::size_t kImproved = 4;
  std::stable_sort(started_.begin(), started_.end(), [this](const Plan& a, const Plan& b) {
    return TotalsOf(problem_, a).Scr() > TotalsOf(problem_, b).Scr();
  });
  started_.resize(std::min(started_.size(), kImproved));
  for (const Plan& start : started_) Improve(start);
}

// Each user's best row at some prices.
void MakespanPlanner::Round(const std::vector<float>& psi_at_prices) {
  constexpr float kMissed = -1e9F;
  std::vector<float> psi = psi_at_prices;
  for (float& value : psi) value = std::max(value, kMissed);
  std::vector<int> column;
  for (std::size_t n = 0; n + 1 < columns_.begin.size(); ++n) {
    const auto first = psi.begin() + columns_.begin[n], last = psi.begin() + columns_.begin[n + 1];
    column.push_back(static_cast<int>(std::max_element(first, last) - psi.begin()));
  }
  if (!RepairSlots(problem_, columns_, psi, &column)) return;
  const Limits limits{.elapsed_s = std::max(0.0, log_.TimeLeftS())};
  Keep(
      MaximizeScrForAssociation(problem_, columns_.AssociationOf(problem_, column), nullptr, limits)
          .plan,
      "prices");
}

// As if each user's delay counted for itself, with the mean user's weight: what is left of the
// makespan where energy outweighs it by far.
Expected<SolveResult> SolveForTotalDelay(const Scenario& scenario, const SolveOptions& options) {
  constexpr double kGapTarget = 1e-3;
  Scenario total = scenario;
  total.objective.delay = DelayMode::kSum;
  total.objective.delay_weight_per_s /= static_cast<double>(scenario.users.size());
  SolveOptions coarse = options;
  coarse.gap_target = kGapTarget;
  return SolvePrices(total, coarse);
}

// Plans of other methods, and of a small scenario moves from there: basins that no deadline
// promises.
void MakespanPlanner::Alternate() {
  for (const SolveFunction solve :
       {SolveDashf, SolveAllServer, SolveResourceOnly, SolveForTotalDelay}) {
    if (Spent()) return;
    const double limit_s = log_.TimeLeftS();
    const auto other =
        solve(scenario_, {.seed = options_.seed, .time_limit_s = limit_s, .on_iteration = {}});
    if (!other) continue;
    const Limits limits{.elapsed_s = std::max(0.0, log_.TimeLeftS())};
    const Association association = AssociationOf(other->plan);
    Keep(MaximizeScrForAssociation(problem_, association, &other->plan, limits).plan,
         "other method");
    if (IsSmall()) Improve(other->plan);
  }
}

double MakespanPlanner::TargetY(double scr) const {
  constexpr double kOfTarget = 0.9;  // Leaves room for the proof's rounding.
  return scr / (1.0 - kOfTarget * std::min(0.5, options_.gap_target));
}

// An association that a bound leads to: its plan, if that is better; the best plan's SCR.
double MakespanPlanner::Consider(const Association& association) {
  if (Spent()) return scr_;
  std::optional<Plan> better = PlanAbove(problem_, association, scr_);
  if (!better) return scr_;
  const double before = scr_;
  Keep(std::move(*better), "branches");
  if (scr_ > before) Improve(Plan(best_));
  return scr_;
}

Certificate MakespanPlanner::BoundByTree(double y, std::size_t nodes_max) {
  constexpr double kLeast = 1e-6;  // Of y, where the plan earns nothing.
  const BranchAndBoundOptions options{
      .threads = options_.threads,
      .nodes_max = nodes_max,
      .out_of_time = [this] { return Spent(); },
      .on_association = [this](const Association& association) { return Consider(association); }};
  BranchAndBound tree(problem_, columns_, options);
  return tree.Bound(scr_, [&](double scr) { return std::max(TargetY(scr), kLeast * y); });
}

// From the barriers of greatest bound, whose prices may make a better plan. `y` as in Bound().
Certificate MakespanPlanner::BoundClosely(double y) {
  constexpr double kLeast = 1e-6;  // Of y, where the plan earns nothing.
  DeadlineBoxes boxes(problem_, columns_, {}, options_.threads, log_.TimeLeftS());
  DeadlinePoint point;
  point.phases_s = PhasesOf(problem_, best_);
  point.at = FirstPrices(problem_, columns_, y);
  boxes.Climb(&point);
  const double before = scr_;
  if (!Spent()) Round(boxes.PsiAt(point));
  if (scr_ > before) Improve(Plan(best_));
  return boxes.Bound(point, std::max(TargetY(), kLeast * point.at.y));
}

Certificate MakespanPlanner::BoundRoughly(double y) const {
  constexpr double kSmoothingLeast = 5e-4, kSmoothingMost = 0.01, kOfGap = 1.0 / 6.0;
  constexpr double kWindow = 10.0, kFarBelow = 0.01, kLeast = 1e-3;
  const double smoothing =
      std::clamp(kOfGap * options_.gap_target, kSmoothingLeast, kSmoothingMost);
  const DeadlineEffort effort{smoothing, smoothing, kWindow * smoothing, kFarBelow};
  RoughBoxes boxes(problem_, columns_, effort, options_.threads, log_.TimeLeftS());
  const double target_y = std::max(TargetY(), kLeast * y);
  return boxes.Bound(
      StartFromPlan(problem_, columns_, best_, target_y, options_.threads, log_.TimeLeftS()),
      target_y);
}

void MakespanPlanner::Bound() {
  constexpr std::size_t kRowsClosely = 20000;  // Small boxes need hundreds of looks at all rows.
  constexpr std::size_t kRowsMax = 4000000;    // One look takes ten seconds, and 160 MB.
  constexpr std::size_t kNodesMax = 3000;
  if (Spent() || columns_.size() > kRowsMax) return;
  const double y = scr_ > 0.0 ? scr_ : problem_.score_scale / TotalsOf(problem_, best_).cost;
  if (!(y > 0.0 && std::isfinite(y))) return;  // The plan never ends: no ratio to go by.
  const bool roughly = columns_.size() > kRowsClosely;
  if (MayBranch(problem_, columns_)) {
    certificate_ = BoundByTree(y, kNodesMax);
  } else {
    certificate_ = roughly ? BoundRoughly(y) : BoundClosely(y);
  }
  constexpr double kRounding = 1e-7;
  const double upper = certificate_->scr_upper;
  if (!std::isfinite(upper) || upper < scr_ * (1.0 - kRounding)) {  // None, or refuted by the plan.
    certificate_.reset();
    return;
  }
  bound_ = upper;
  Keep(best_, "boxes");
}

Expected<SolveResult> MakespanPlanner::Run() {
  StartFromCheapPlans();
  if (!Start()) return Fail(ErrorKind::kInfeasible, "servers", "have too few slots for the users");
  if (IsSmall()) ImproveStarts();
  if (problem_.tx_power_w_max.size() <= kAlternated) Alternate();
  if (options_.wants_bound) {
    Bound();
  } else if (MayBranch(problem_, columns_) && !Spent() && scr_ > 0.0) {
    constexpr std::size_t kNodes = 40;  // For the plans that bounds lead to.
    BoundByTree(scr_, kNodes);
  }
  Termination termination = Termination::kStalled;
  if (std::isfinite(bound_) && bound_ - scr_ <= options_.gap_target * bound_) {
    termination = Termination::kConverged;
  } else if (Spent()) {
    termination = Termination::kTimeLimit;
  }
  SolveResult result = log_.Finish(best_, termination);
  result.certificate = std::move(certificate_);
  return result;
}

}  // namespace

Expected<SolveResult> SolveMakespan(const ScrProblem& problem,
                                    const Scenario& scenario,
                                    const SolveOptions& options,
                                    Log* log) {
  return MakespanPlanner(problem, scenario, options, log).Run();
}

}  // namespace dashf::solvers::internal
