#include "solvers/sum_planner.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string_view>
#include <utility>

#include "scenario/slot_matching.h"
#include "solvers/baselines.h"
#include "solvers/cheap_plans.h"
#include "solvers/dashf.h"
#include "solvers/resource_step.h"
#include "solvers/slot_repair.h"
#include "solvers/warm_start.h"

namespace dashf::solvers::internal {
namespace {

// With more, bounding by cases takes longer than the rest together.
constexpr std::size_t kColumnsForCases = 100000;

}  // namespace

void SumPlanner::Keep(Plan plan) {
  const PlanTotals totals = TotalsOf(problem_, plan);
  double tolls = 0.0;
  for (std::size_t n = 0; n < plan.size(); ++n) tolls += moves_.homes.Toll(n, plan[n].server);
  const double y = totals.cost > 0.0 ? (totals.score - tolls) / totals.cost : 0.0;
  if (!(y > y_) && !best_.empty()) return;
  best_ = std::move(plan);
  tolls_ = tolls;
  y_ = y;
  scr_ = totals.Scr();
  score_ = totals.score;
  cost_ = totals.cost;
}

int SumPlanner::BestColumn(std::size_t user, int server, const std::vector<float>& worth) const {
  int best = -1;
  for (int c = columns_.begin[user]; c < columns_.begin[user + 1]; ++c) {
    if (plan_.ServerOf(c) != server) continue;
    const bool better =
        best < 0 || worth[static_cast<std::size_t>(c)] > worth[static_cast<std::size_t>(best)];
    if (better) best = c;
  }
  return best;
}

// Everyone at home, the others with the strongest server that has room, in equal shares. When there
// is no time for that, wherever there is room.
bool SumPlanner::Start(const Scenario& scenario) {
  std::vector<float> gain(columns_.size());
  for (std::size_t c = 0; c < gain.size(); ++c) {
    const auto link = static_cast<std::size_t>(columns_.link[c]);
    gain[c] = static_cast<float>(std::log(problem_.link_snr_hz_per_w[link]));
  }
  if (options_.from != nullptr) {
    moves_.homes = MakeHomes(problem_, columns_, *options_.from, options_.handover_penalty);
    constexpr float kAnyGain = 1e3F;  // Above every logarithm of a gain.
    Favour(moves_.homes, problem_, columns_, kAnyGain, &gain);
  }
  std::vector<int> column = BestColumns(gain);
  if (!RepairSlots(problem_, columns_, gain, &column, log_.TimeLeftS())) {
    const std::vector<int> servers = MatchSlots(scenario).server_of_user;
    for (std::size_t n = 0; n < column.size(); ++n) {
      column[n] = BestColumn(n, servers[n], gain);
      if (column[n] < 0) return false;
    }
  }
  const Association association = columns_.AssociationOf(problem_, column);
  Keep(options_.from == nullptr ? EqualShares(problem_, association)
                                : CarryOver(problem_, *options_.from, association));
  return true;
}

void SumPlanner::StartFromValues() {
  constexpr int kRoundsMax = 10;
  constexpr double kMuch = 1.5;
  for (int round = 0; round < kRoundsMax && log_.TimeLeftS() > 0.0; ++round) {
    const double before = RatioToStartFrom();
    const std::vector<float> value = ValuesAtEqualShares(problem_, columns_, before);
    std::vector<int> column = BestColumns(value);
    if (!RepairSlots(problem_, columns_, value, &column, log_.TimeLeftS())) return;
    Keep(EqualShares(problem_, columns_.AssociationOf(problem_, column)));
    if (!(RatioToStartFrom() > kMuch * before)) return;
  }
}

void SumPlanner::StartFromCheapPlans(const Scenario& scenario) {
  if (!(options_.time_limit_s < kNeverS)) return;
  const double budget_s = CheapBudgetS(options_.time_limit_s, columns_.size(), options_.threads);
  FindCheapPlans(scenario,
                 problem_,
                 options_,
                 std::min(budget_s, log_.TimeLeftS()),
                 [this](Plan plan, std::string_view name) {
                   Keep(std::move(plan));
                   Report(name.data());
                 });
}

std::vector<int> SumPlanner::BestColumns(const std::vector<float>& worth) const {
  std::vector<int> column;
  for (std::size_t n = 0; n + 1 < columns_.begin.size(); ++n) {
    const auto first = worth.begin() + columns_.begin[n];
    const auto last = worth.begin() + columns_.begin[n + 1];
    column.push_back(static_cast<int>(std::max_element(first, last) - worth.begin()));
  }
  return column;
}

bool SumPlanner::PlanAt(const DualPoint& at, bool thorough) {
  if (Hurried()) {
    if (!RoundAndReport(at)) return false;
    if (options_.wants_bound) Bound(at);
    Improve(thorough);
    if (!options_.wants_bound) Bound(at);
    return true;
  }
  Bound(at);
  // A standing plan may be good enough as it is.
  if (Gap() <= options_.gap_target) return true;
  if (!RoundAndReport(at)) return false;
  Improve(thorough);
  return true;
}

// Bounding takes up to as long as what came before; a plan is worth more than its bound, but for
// who asks for one.
bool SumPlanner::Hurried() const {
  return log_.TimeLeftS() < options_.time_limit_s / 2.0;
}

bool SumPlanner::RoundAndReport(const DualPoint& at) {
  if (!Round(at)) return false;
  Report("prices");
  return true;
}

bool SumPlanner::Round(const DualPoint& at) {
  // The bound looked at every column already.
  if (!std::isfinite(bound_)) users_.Refresh(at, Window(), kMoveColumnsMax, false);
  users_.Gather();
  // Users stay where what they would gain is less than moves can tell.
  constexpr double kTorn = 0.01;
  std::vector<float> psi = users_.psi();
  const double loyalty = moves_.homes.penalty + kTorn * MeanScore();
  Favour(moves_.homes, problem_, columns_, static_cast<float>(loyalty), &psi);
  std::vector<int> column;
  moves_.begin.assign(1, 0);
  moves_.column.clear();
  for (const ReplyChunk& chunk : users_.chunks()) {
    for (std::size_t u = 0; u + 1 < chunk.begin.size(); ++u) {
      const auto first = chunk.column.begin() + chunk.begin[u];
      const auto last = chunk.column.begin() + chunk.begin[u + 1];
      moves_.column.insert(moves_.column.end(), first, last);
      moves_.begin.push_back(static_cast<int>(moves_.column.size()));
      column.push_back(*std::max_element(first, last, [&psi](int a, int b) {
        return psi[static_cast<std::size_t>(a)] < psi[static_cast<std::size_t>(b)];
      }));
    }
  }
  if (!RepairSlots(problem_, columns_, psi, &column, log_.TimeLeftS())) {
    return log_.TimeLeftS() <= 0.0;
  }
  plan_.Assign(column);
  Rise();
  OrderMoves(at);
  return true;
}

// Whoever is likely to gain most comes first: of the columns' psi at the best prices, less what the
// plan's own prices, being higher, take from a mean share.
void SumPlanner::OrderMoves(const DualPoint& at) {
  std::vector<double> dearer;
  for (std::size_t m = 0; m < at.price.size(); ++m) {
    const Market& market = plan_.market(m);
    const Eigen::Vector3d rise = market.price - at.price[m].head<3>();
    dearer.push_back(rise.sum() / std::max(1.0, static_cast<double>(market.members.size())));
  }
  const auto worth = [&](int c) {
    return users_.psi()[static_cast<std::size_t>(c)] -
           dearer[static_cast<std::size_t>(plan_.ServerOf(c))];
  };
  std::vector<double> gain;
  for (std::size_t n = 0; n + 1 < moves_.begin.size(); ++n) {
    double best = -std::numeric_limits<double>::infinity();
    for (int o = moves_.begin[n]; o < moves_.begin[n + 1]; ++o) {
      best = std::max(best, worth(moves_.column[static_cast<std::size_t>(o)]));
    }
    gain.push_back(best - worth(plan_.columns_of_users()[n]));
  }
  moves_.promising = static_cast<std::size_t>(
      std::count_if(gain.begin(), gain.end(), [](double one) { return one > 0.0; }));
  moves_.order.resize(gain.size());
  std::iota(moves_.order.begin(), moves_.order.end(), 0);
  std::stable_sort(moves_.order.begin(), moves_.order.end(), [&gain](int a, int b) {
    return gain[static_cast<std::size_t>(a)] > gain[static_cast<std::size_t>(b)];
  });
}

bool SumPlanner::TakeOver(const Plan& plan) {
  std::vector<int> column;
  for (std::size_t n = 0; n < plan.size(); ++n) {
    const Choice choice{plan[n].server, plan[n].local_layers};
    column.push_back(columns_.Find(problem_, n, choice));
    if (column.back() < 0) return false;
  }
  plan_.Assign(column);
  Keep(plan);
  Rise();
  return true;
}

void SumPlanner::Rise() {
  constexpr int kTimesMax = 5;
  constexpr double kSettled = 1e-10, kUncleared = 1e-7;
  for (int i = 0; i < kTimesMax; ++i) {
    const double before = y_;
    plan_.ClearAll(before);
    Keep(plan_.Settled());
    if (y_ <= before * (1.0 + kSettled)) break;
    if (log_.TimeLeftS() <= 0.0) return;
  }
  // Where a reply jumps (the download's energy is not convex) no price clears the market, and the
  // markets promise more than their shares bring. The joint program needs no prices.
  if (plan_.Value() - tolls_ <= kUncleared * score_) return;
  const Association association = AssociationOf(plan_.Settled());
  const Limits limits{.elapsed_s = std::max(0.0, log_.TimeLeftS())};
  Keep(MaximizeScrForAssociation(problem_, association, nullptr, limits).plan);
}

void SumPlanner::Improve(bool thorough) {
  constexpr int kRoundsMax = 20;
  constexpr double kEnough = 1e-8;  // Relative: less is no rise.
  // Of the plan that is worked on, which may be worse than the best one.
  double standing = 0.0;
  const auto stand = [&] { standing = plan_.y() + plan_.Value() / cost_; };
  const auto stop = [&](double gained) {
    const double scr = standing + gained / cost_;
    return (bound_ - scr) / bound_ <= options_.gap_target || log_.TimeLeftS() <= 0.0;
  };
  UserMoves search(problem_, columns_, moves_, stop);
  for (int round = 0; round < kRoundsMax && !Stop(); ++round) {
    const double before = y_;
    stand();
    search.Improve(&plan_, thorough);
    Rise();
    Report("moves");
    if (y_ > before * (1.0 + kEnough)) continue;
    if (Stop() || !thorough || best_.size() > kSmall) return;
    stand();
    search.Shake(&plan_);
    Rise();
    Report("pushes");
    if (!(y_ > before * (1.0 + kEnough))) return;
  }
}

Expected<SolveResult> SumPlanner::Run(const Scenario& scenario) {
  if (!Start(scenario))
    return Fail(ErrorKind::kInfeasible, "servers", "have too few slots for the users");
  Report(options_.from == nullptr ? "start" : "standing plan");
  if (options_.from == nullptr) {
    StartFromCheapPlans(scenario);
    StartFromValues();
  }
  if (log_.TimeLeftS() <= 0.0) return log_.Finish(best_, Termination::kTimeLimit);
  const std::optional<DualPoint> standing = StandingPoint();
  bool rounded = true;
  // Prices that were right before a small change bound what comes after it nearly as well as the
  // best: a search would gain a few parts in a million.
  if (standing) rounded = PlanAt(*standing, false);
  DualPoint at = standing.value_or(DualPoint{});
  if (!standing || !Stop()) {
    at = FindPrices(standing);
    rounded = PlanAt(at, true);
  }
  if (!rounded) return log_.Finish(best_, Termination::kNumericalError);
  const bool restarts = best_.size() <= kSmall && options_.from == nullptr;
  for (const SolveFunction solve : {SolveDashfHull, SolveResourceOnly, SolveAllServer}) {
    if (!restarts || Stop()) break;
    const auto other = solve(
        scenario, {.seed = options_.seed, .time_limit_s = log_.TimeLeftS(), .on_iteration = {}});
    if (!other) continue;
    if (TakeOver(other->plan)) Improve(true);
    Keep(other->plan);  // Whose rows may have been left out.
  }
  if (!Stop() && columns_.size() <= kColumnsForCases && scr_ > 0.0) BoundByCases(at);
  if (!Stop() && scr_ > 0.0) BoundByBranches();
  if (IsRefuted(bound_)) {
    bound_ = std::numeric_limits<double>::infinity();
    cases_ = {};
    branches_.reset();
  }
  if (reported_scr_ < scr_) Report("best start");  // Its rows may have been left out, and bounds.
  SolveResult result = log_.Finish(best_, Termination::kStalled);
  if (std::isfinite(bound_)) result.certificate = CandidateOf(problem_, bounding_);
  if (!cases_.cases.empty()) {
    result.certificate->scr_upper = cases_.y;
    result.certificate->boxes.front().user_worth = std::move(cases_.user_worth);
    result.certificate->boxes.front().cases = std::move(cases_.cases);
  }
  if (branches_) result.certificate = std::move(branches_);
  result.search_times = users_.times();
  if (Gap() <= options_.gap_target) {
    result.termination = Termination::kConverged;
  } else if (log_.TimeLeftS() <= 0.0) {
    result.termination = Termination::kTimeLimit;
  }
  return result;
}

}  // namespace dashf::solvers::internal
