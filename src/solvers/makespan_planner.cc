#include "solvers/makespan_planner.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "solvers/dashf.h"
#include "solvers/deadline_boxes.h"
#include "solvers/makespan_moves.h"
#include "solvers/resource_step.h"
#include "solvers/slot_repair.h"

namespace dashf::solvers::internal {
namespace {

constexpr std::size_t kSmall = 60;  // Users, up to which other methods' plans are worth their time.

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
        columns_(MakeColumns(problem, false)),
        boxes_(problem, columns_, options.threads, log_.TimeLeftS()) {}

  Expected<SolveResult> Run();

 private:
  void Keep(Plan plan, const char* step);
  void ImproveSmall();
  DeadlinePoint Climb();
  void Round(const DeadlinePoint& point);

  const ScrProblem& problem_;
  const Scenario& scenario_;
  const SolveOptions& options_;
  Log& log_;
  const Columns columns_;
  DeadlineBoxes boxes_;
  Plan best_;
  double scr_ = 0.0, score_ = 0.0, bound_ = std::numeric_limits<double>::infinity();
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

void MakespanPlanner::ImproveSmall() {
  double work = 0.0;
  std::vector<Plan> starts = {best_};
  const MakespanMovesOptions moves{.out_of_time = [this] { return log_.TimeLeftS() <= 0; }};
  if (problem_.tx_power_w_max.size() <= kSmall && log_.TimeLeftS() > 0.0) {
    const auto other = SolveDashfHull(
        scenario_, {.seed = options_.seed, .time_limit_s = log_.TimeLeftS(), .on_iteration = {}});
    if (other) starts.push_back(other->plan);
  }
  for (const Association& basin : SplitBasins(problem_, AssociationOf(best_))) {
    if (log_.TimeLeftS() <= 0.0) break;
    starts.push_back(MaximizeScrForAssociation(problem_, basin).plan);
  }
  for (const Plan& start : starts) {
    if (log_.TimeLeftS() <= 0.0) return;
    Keep(ImproveMakespan(problem_, start, moves, &work), "moves");
  }
}

// The barriers of greatest bound, from the plan's own on.
DeadlinePoint MakespanPlanner::Climb() {
  DeadlinePoint point;
  for (std::size_t n = 0; n < best_.size(); ++n) {
    const UserTotals totals = TotalsOf(problem_, static_cast<int>(n), best_[n]);
    const Eigen::Vector2d phases(totals.user_phase_s, totals.server_phase_s);
    point.phases_s = point.phases_s.cwiseMax((1.0 + 1e-9) * phases);
  }
  const double y = scr_ > 0.0 ? scr_ : problem_.score_scale / TotalsOf(problem_, best_).cost;
  point.at = FirstPrices(problem_, columns_, y);
  boxes_.Climb(&point);
  return point;
}

// Each user's best row at the prices.
void MakespanPlanner::Round(const DeadlinePoint& point) {
  constexpr float kMissed = -1e9F;
  std::vector<float> psi = boxes_.PsiAt(point);
  for (float& value : psi) value = std::max(value, kMissed);
  std::vector<int> column;
  for (std::size_t n = 0; n + 1 < columns_.begin.size(); ++n) {
    const auto first = psi.begin() + columns_.begin[n], last = psi.begin() + columns_.begin[n + 1];
    column.push_back(static_cast<int>(std::max_element(first, last) - psi.begin()));
  }
  if (!RepairSlots(problem_, columns_, psi, &column)) return;
  Association association;
  for (const int c : column) {
    association.push_back(columns_.ChoiceOf(problem_, static_cast<std::size_t>(c)));
  }
  const Limits limits{.elapsed_s = std::max(0.0, log_.TimeLeftS())};
  Keep(MaximizeScrForAssociation(problem_, association, nullptr, limits).plan, "prices");
}

Expected<SolveResult> MakespanPlanner::Run() {
  constexpr double kOfTarget = 0.98;       // Leaves room for the proof's rounding.
  constexpr double kLeast = 1e-6;          // Of y, where the plan earns nothing.
  constexpr std::size_t kRowsMax = 50000;  // More than that are not bounded: it takes minutes.
  const auto alternated = SolveDashf(
      scenario_,
      {.seed = options_.seed, .time_limit_s = options_.time_limit_s, .on_iteration = {}});
  if (!alternated) return tl::unexpected(alternated.error());
  Keep(alternated->plan, "alternation");
  ImproveSmall();
  std::optional<Certificate> certificate;
  if (log_.TimeLeftS() > 0.0 && columns_.size() <= kRowsMax) {
    const DeadlinePoint point = Climb();
    const double before = scr_;
    if (log_.TimeLeftS() > 0.0) Round(point);
    if (scr_ > before && log_.TimeLeftS() > 0.0) {
      double work = 0.0;
      const MakespanMovesOptions moves{.out_of_time = [this] { return log_.TimeLeftS() <= 0; }};
      Keep(ImproveMakespan(problem_, best_, moves, &work), "moves");
    }
    const double target_y = scr_ / (1.0 - kOfTarget * std::min(0.5, options_.gap_target));
    certificate = boxes_.Bound(point, std::max(target_y, kLeast * point.at.y));
    bound_ = certificate->scr_upper;
    Keep(best_, "boxes");
  }
  Termination termination = Termination::kStalled;
  if (std::isfinite(bound_) && bound_ - scr_ <= options_.gap_target * bound_) {
    termination = Termination::kConverged;
  } else if (log_.TimeLeftS() <= 0.0) {
    termination = Termination::kTimeLimit;
  }
  SolveResult result = log_.Finish(best_, termination);
  result.certificate = std::move(certificate);
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
