#include "solvers/exhaustive.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "solvers/baselines.h"
#include "solvers/lagrangian.h"
#include "solvers/planning_log.h"
#include "solvers/resource_step.h"

namespace dashf::solvers {
namespace {

using internal::DualValue;
using internal::RowReply;

constexpr double kTolerance = 1e-7;          // Of the score: what F(y) may be left.
constexpr double kCoarse = 1e-4;             // Step B's first look at a leaf.
constexpr std::int64_t kLeavesMax = 300000;  // About 0.3 ms each.
constexpr int kRoundsMax = 100;
constexpr int kMovesMax = 1000;

class Search {
 public:
  Search(const ScrProblem& problem, Log* log) : problem_(problem), log_(*log) {}

  Expected<SolveResult> Run(const std::vector<Association>& starts);

 private:
  enum class Outcome { kNothingLeft, kImproved, kTimeLimit, kTooMany };

  // Dinkelbach over step B; true if it raised the incumbent.
  bool Try(const Association& association);
  // F(y) of one leaf: a coarse step B, and a fine one only where the coarse leaves it open.
  bool Improves(const Association& association) const;
  bool ImproveByOneUser(const DualValue& dual);
  Outcome Descend(std::size_t user, double bound, bool count_only);
  Outcome Enumerate(const DualValue& dual);

  const ScrProblem& problem_;
  Log& log_;
  Plan plan_;
  double scr_ = -1.0, score_ = 0.0;
  const DualValue* dual_ = nullptr;
  std::vector<double> best_rest_;  // Sum of the best psi of the users from n on.
  std::vector<int> load_;
  Association partial_;
  std::int64_t leaves_ = 0;
};

bool Search::Try(const Association& association) {
  RatioResult result = MaximizeScrForAssociation(problem_, association);
  if (!(result.scr > scr_)) return false;
  scr_ = result.scr;
  plan_ = std::move(result.plan);
  score_ = TotalsOf(problem_, plan_).score;
  return true;
}

bool Search::Improves(const Association& association) const {
  const double margin = kTolerance * score_;
  const ResourceResult coarse =
      AllocateResources(problem_, association, scr_, nullptr, {.tolerance = kCoarse});
  const double value = coarse.score - scr_ * coarse.cost;
  if (value > margin) return true;
  // The centred point is within the duality gap of the optimum; twice that for safety.
  if (value + 2.0 * kCoarse * (coarse.score + scr_ * coarse.cost) < margin) return false;
  const ResourceResult fine = AllocateResources(problem_, association, scr_);
  return fine.score - scr_ * fine.cost > margin;
}

// Every reply of one user that the bound does not exclude, the others as in the incumbent.
bool Search::ImproveByOneUser(const DualValue& dual) {
  Association association = AssociationOf(plan_);
  for (std::size_t n = 0; n < association.size(); ++n) {
    const Choice kept = association[n];
    for (const RowReply& reply : dual.replies[n]) {
      if (dual.bound - dual.replies[n].front().psi + reply.psi <= kTolerance * score_) break;
      if (log_.TimeLeftS() <= 0.0) return false;
      association[n] = reply.choice;
      if (reply.choice == kept || !IsAdmissible(problem_, association)) continue;
      if (Improves(association) && Try(association)) return true;
    }
    association[n] = kept;
  }
  return false;
}

Search::Outcome Search::Descend(std::size_t user, double bound, bool count_only) {
  if (user == partial_.size()) {
    if (++leaves_ > kLeavesMax) return Outcome::kTooMany;
    if (count_only) return Outcome::kNothingLeft;
    if (log_.TimeLeftS() <= 0.0) return Outcome::kTimeLimit;
    return Improves(partial_) && Try(partial_) ? Outcome::kImproved : Outcome::kNothingLeft;
  }
  for (const RowReply& reply : dual_->replies[user]) {
    const double with = bound + reply.psi;
    if (with + best_rest_[user + 1] <= kTolerance * score_) break;  // And so for all that follow.
    const auto m = static_cast<std::size_t>(reply.choice.server);
    if (load_[m] == problem_.server_slots[m]) continue;
    ++load_[m];
    partial_[user] = reply.choice;
    const Outcome outcome = Descend(user + 1, with, count_only);
    --load_[m];
    if (outcome != Outcome::kNothingLeft) return outcome;
  }
  return Outcome::kNothingLeft;
}

Search::Outcome Search::Enumerate(const DualValue& dual) {
  const std::size_t users = dual.replies.size();
  dual_ = &dual;
  load_.assign(problem_.server_slots.size(), 0);
  partial_.assign(users, {});
  best_rest_.assign(users + 1, 0.0);
  double prices = dual.bound;
  for (std::size_t n = users; n-- > 0;) {
    best_rest_[n] = best_rest_[n + 1] + dual.replies[n].front().psi;
    prices -= dual.replies[n].front().psi;
  }
  for (const bool count_only : {true, false}) {
    leaves_ = 0;
    const Outcome outcome = Descend(0, prices, count_only);
    if (outcome != Outcome::kNothingLeft) return outcome;
  }
  return Outcome::kNothingLeft;
}

// Prices are worth what enumeration costs without them: 20 to 300 steps, each about as long as a
// few leaves.
int PriceSteps(const ScrProblem& problem) {
  double combinations = 1.0;
  for (std::size_t n = 0; n < problem.tx_power_w_max.size(); ++n) {
    combinations *= (problem.link_begin[n + 1] - problem.link_begin[n]) *
                    (problem.split_begin[n + 1] - problem.split_begin[n]);
  }
  return static_cast<int>(std::clamp(combinations / 20.0, 20.0, 300.0));
}

Expected<SolveResult> Search::Run(const std::vector<Association>& starts) {
  for (const Association& start : starts) Try(start);
  log_.Add(scr_, 0.0, "start");
  for (int round = 0; round < kRoundsMax; ++round) {
    if (log_.TimeLeftS() <= 0.0) return log_.Finish(plan_, Termination::kTimeLimit);
    const DualValue dual = internal::OptimizePrices(problem_, scr_, plan_, PriceSteps(problem_));
    log_.Add(scr_, dual.bound, "prices");
    // A bound at a lower y still holds at a higher one, so moves may go on with the same prices.
    int moves = 0;
    while (moves < kMovesMax && ImproveByOneUser(dual)) ++moves;
    if (moves > 0) {
      log_.Add(scr_, 0.0, "one-user moves");
      continue;
    }
    switch (Enumerate(dual)) {
      case Outcome::kNothingLeft:
        log_.Add(scr_, 0.0, fmt::format("enumeration: {} leaves", leaves_));
        return log_.Finish(plan_, Termination::kConverged);
      case Outcome::kImproved:
        log_.Add(scr_, 0.0, "enumeration");
        break;
      case Outcome::kTimeLimit:
        return log_.Finish(plan_, Termination::kTimeLimit);
      case Outcome::kTooMany:
        return Fail(ErrorKind::kUsage,
                    "method exhaustive",
                    fmt::format("{} users, {} servers and {} allowed splits leave more than {} "
                                "combinations after pruning",
                                problem_.users(),
                                problem_.servers(),
                                problem_.split_layers.size(),
                                kLeavesMax));
    }
  }
  return log_.Finish(plan_, Termination::kIterationLimit);
}

}  // namespace

Expected<SolveResult> SolveExhaustive(const Scenario& scenario, const SolveOptions& options) {
  constexpr int kUsersMax = 12;
  Log log(options);
  const auto problem = MakeScrProblem(scenario);
  if (!problem) return tl::unexpected(problem.error());
  if (problem->users() > kUsersMax) {
    return Fail(
        ErrorKind::kUsage,
        "method exhaustive",
        fmt::format("takes at most {} users, the scenario has {}", kUsersMax, problem->users()));
  }
  std::vector<Association> starts;
  for (const SolveFunction baseline : {SolveGreedy, SolveAssociationOnly, SolveRandom}) {
    const auto start = baseline(scenario, {.seed = options.seed, .on_iteration = {}});
    if (!start) return tl::unexpected(start.error());
    starts.push_back(AssociationOf(start->plan));
  }
  return Search(*problem, &log).Run(starts);
}

}  // namespace dashf::solvers
