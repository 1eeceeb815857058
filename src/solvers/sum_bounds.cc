#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "solvers/branch_and_bound.h"
#include "solvers/slot_repair.h"
#include "solvers/sum_planner.h"
#include "solvers/warm_start.h"

namespace dashf::solvers::internal {

std::optional<DualPoint> SumPlanner::StandingPoint() {
  if (options_.from == nullptr) return std::nullopt;
  std::optional<DualPoint> at = StandingPrices(problem_, *options_.from, RatioToStartFrom());
  if (!at) return std::nullopt;
  at->y = RatioAtPrices(problem_, columns_, moves_.homes, *at);
  const DualSums sums = users_.Refresh(*at, Window(), kMoveColumnsMax, false);
  at->y *= std::clamp(1.0 + sums.best / sums.cost, 0.5, 2.0);
  return at;
}

DualPoint SumPlanner::FindPrices(const std::optional<DualPoint>& standing) {
  // Prices that were right before 1 % of the users moved or one of 200 servers failed.
  constexpr double kSmoothingFromPlan = 1e-4, kFirstWindow = 12 * kSmoothingFromPlan;
  PriceSearchOptions options{.mean_score = MeanScore(), .time_limit_s = log_.TimeLeftS()};
  if (!standing) {
    const DualPoint start = FirstPrices(problem_, columns_, RatioToStartFrom());
    return SearchPrices(problem_, start, options, &users_);
  }
  options.smoothing_first = kSmoothingFromPlan;
  options.first_window = kFirstWindow * MeanScore();
  options.warm = true;
  return SearchPrices(problem_, *standing, options, &users_);
}

void SumPlanner::Bound(DualPoint at) {
  if (log_.TimeLeftS() <= 0.0) return;
  const bool bounds = RaiseToBound(Window(), &users_, &at, log_.TimeLeftS());
  if (!bounds || at.y >= bound_ || IsRefuted(at.y)) return;
  bound_ = at.y;
  bounding_ = std::move(at);
}

void SumPlanner::BoundByCases(DualPoint at) {
  at.y = scr_;
  // Where the bound puts most of the users; in small scenarios after every round.
  std::set<std::vector<int>> seen;
  std::vector<std::vector<float>> starts;
  const auto start_from = [&](const std::vector<float>& presence) {
    if (seen.insert(BestColumns(presence)).second) starts.push_back(presence);
  };
  const bool small = best_.size() <= kSmall;
  CaseBound found = SearchCases(
      problem_,
      columns_,
      at,
      {.enough = scr_ / (1.0 - options_.gap_target),
       .time_limit_s = log_.TimeLeftS(),
       .threads = options_.threads,
       .on_round =
           [this](double y, std::size_t cases) {
             log_.Add(scr_, score_ * (y / scr_ - 1.0), fmt::format("bound: {} cases", cases));
           },
       .on_presence = small ? start_from : std::function<void(const std::vector<float>&)>()});
  if (found.y < bound_ && !IsRefuted(found.y)) {
    bound_ = found.y;
    cases_ = std::move(found);
  }
  if (Stop() || cases_.presence.empty()) return;
  start_from(cases_.presence);
  for (auto start = starts.rbegin(); start != starts.rend() && !Stop(); ++start) {
    std::vector<int> column = BestColumns(*start);
    if (!RepairSlots(problem_, columns_, *start, &column, log_.TimeLeftS())) return;
    plan_.Assign(column);
    Rise();
    Improve(true);
  }
}

void SumPlanner::BoundByBranches() {
  constexpr std::size_t kNodesMax = 3000, kNodesForPlans = 40;
  constexpr std::size_t kWorkMax = 500000;  // Nodes times rows: about two seconds.
  constexpr double kOfTarget = 0.9;         // Leaves room for the proof's rounding.
  const Columns rows = MakeColumns(problem_, false);
  if (!MayBranch(problem_, rows)) return;
  const BranchAndBoundOptions options{
      .threads = options_.threads,
      .nodes_max =
          options_.wants_bound ? std::min(kNodesMax, kWorkMax / rows.size()) : kNodesForPlans,
      .out_of_time = [this] { return log_.TimeLeftS() <= 0.0; },
      .on_association =
          [this](const Association& association) {
            if (std::optional<Plan> better = PlanAbove(problem_, association, scr_)) {
              Keep(std::move(*better));
              Report("branches");
            }
            return scr_;
          }};
  Certificate found = BranchAndBound(problem_, rows, options).Bound(scr_, [this](double scr) {
    return scr / (1.0 - kOfTarget * std::min(0.5, options_.gap_target));
  });
  if (found.scr_upper >= bound_ || IsRefuted(found.scr_upper)) return;
  bound_ = found.scr_upper;
  branches_ = std::move(found);
  Report("bound: branches");
}

}  // namespace dashf::solvers::internal
