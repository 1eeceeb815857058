// The price method's planner with the sum of delays (prices.h says how it goes). The plan's side is
// in sum_planner.cc, prices and bounds in sum_bounds.cc. Internal to the module.
#pragma once

#include <limits>
#include <optional>
#include <vector>

#include "solvers/case_search.h"
#include "solvers/planning_log.h"
#include "solvers/price_search.h"
#include "solvers/user_moves.h"

namespace dashf::solvers::internal {

class SumPlanner {
 public:
  // All must outlive it.
  SumPlanner(const ScrProblem& problem, const SolveOptions& options, Log* log)
      : problem_(problem),
        options_(options),
        log_(*log),
        columns_(MakeColumns(problem, true)),
        users_(problem, columns_, options.threads, options.ranks),
        plan_(problem, columns_, options.threads) {}

  Expected<SolveResult> Run(const Scenario& scenario);

 private:
  // Users, where pushes and second starts take no time to speak of.
  static constexpr std::size_t kSmall = 60;
  // Of a user's mean score. A user on the wrong server costs what it moves the prices there: about
  // a part in the number of a server's users. Columns farther below the best are no candidates for
  // moves.
  static constexpr double kWindow = 0.1;
  static constexpr std::size_t kMoveColumnsMax = 12;

  bool Start(const Scenario& scenario);
  // Where servers differ by far the strongest links are a bad start: everyone's best column at
  // equal shares, again at the ratio that this gives while that rises much.
  void StartFromValues();
  // Under a time limit: from what is found in a part of it.
  void StartFromCheapPlans(const Scenario& scenario);
  // Per user, the first column of the greatest worth.
  std::vector<int> BestColumns(const std::vector<float>& worth) const;
  // The user's best column at this server; -1 if there is none.
  int BestColumn(std::size_t user, int server, const std::vector<float>& worth) const;
  // What the search for prices may take for granted: the standing plan's prices, y where they put
  // it; nothing without such prices.
  std::optional<DualPoint> StandingPoint();
  DualPoint FindPrices(const std::optional<DualPoint>& standing);
  // Bounds every plan by the prices, rounds them to a plan and improves it; false where rounding
  // fails. `thorough`: until no change gains at all.
  bool PlanAt(const DualPoint& at, bool thorough);
  // Another start for the moves: the columns of a plan; false if it has one that is left out.
  bool TakeOver(const Plan& plan);
  bool Hurried() const;
  void Bound(DualPoint at);
  bool RoundAndReport(const DualPoint& at);
  // Takes over each user's best column at the prices.
  bool Round(const DualPoint& at);
  void OrderMoves(const DualPoint& at);
  // Clears all servers at the best y so far and keeps the plan if it is better, as long as y rises:
  // each time squares the error.
  void Rise();
  void Improve(bool thorough);
  // Bounds servers one by one where prices alone leave a gap, and starts the moves once more from
  // where that bound puts the users.
  void BoundByCases(DualPoint at);
  // Branches on whole plans of few users, where no questions about single servers close the gap.
  void BoundByBranches();
  void Keep(Plan plan);
  // A plan that earns nothing has y = 0, where every price is as good as the other.
  double RatioToStartFrom() const { return y_ > 0.0 ? y_ : problem_.score_scale / cost_; }
  double MeanScore() const { return score_ / static_cast<double>(best_.size()); }
  double Window() const { return kWindow * MeanScore(); }
  // A plan that is better than what was found to bound every plan: replies in floating point can be
  // too low where numbers are far apart, and such a bound is none.
  bool IsRefuted(double bound) const {
    constexpr double kRounding = 1e-7;
    return bound < scr_ * (1.0 - kRounding);
  }
  double Gap() const {
    return IsRefuted(bound_) ? std::numeric_limits<double>::infinity() : (bound_ - scr_) / bound_;
  }
  bool Stop() const { return Gap() <= options_.gap_target || log_.TimeLeftS() <= 0.0; }
  void Report(const char* step) {
    log_.Add(scr_, std::isfinite(bound_) ? score_ * (bound_ - scr_) / scr_ : 0.0, step);
    reported_scr_ = scr_;
  }

  const ScrProblem& problem_;
  const SolveOptions& options_;
  Log& log_;
  const Columns columns_;
  PricedUsers users_;
  MarketPlan plan_;
  MoveOptions moves_;
  Plan best_;
  double scr_ = 0.0, score_ = 0.0, cost_ = 0.0;
  double reported_scr_ = 0.0;
  double tolls_ = 0.0;  // Of best_.
  double y_ = 0.0;      // (score - tolls) / cost, which the search raises.
  double bound_ = std::numeric_limits<double>::infinity();
  DualPoint bounding_;  // What proves bound_, but for cases_.
  CaseBound cases_;
  std::optional<Certificate> branches_;
};

}  // namespace dashf::solvers::internal
