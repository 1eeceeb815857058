#include "solvers/prices.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <utility>

#include "scenario/slot_matching.h"
#include "solvers/baselines.h"
#include "solvers/case_search.h"
#include "solvers/dashf.h"
#include "solvers/makespan_planner.h"
#include "solvers/planning_log.h"
#include "solvers/price_search.h"
#include "solvers/resource_step.h"
#include "solvers/slot_repair.h"
#include "solvers/user_moves.h"
#include "solvers/warm_start.h"

namespace dashf::solvers {
namespace {

using internal::CandidateOf;
using internal::CarryOver;
using internal::CaseBound;
using internal::Columns;
using internal::DualPoint;
using internal::Favour;
using internal::FirstPrices;
using internal::MakeColumns;
using internal::MakeHomes;
using internal::MarketPlan;
using internal::MoveOptions;
using internal::PricedUsers;
using internal::RatioAtPrices;
using internal::RepairSlots;
using internal::ReplyChunk;
using internal::StandingPrices;
using internal::UserMoves;

constexpr std::size_t kSmall =
    60;  // Users, where pushes and second starts take no time to speak of.

// With more, bounding by cases takes longer than the rest together.
constexpr std::size_t kColumnsForCases = 100000;

// Of a user's mean score. A user on the wrong server costs what it moves the prices there: about a
// part in the number of a server's users. Columns farther below the best are no candidates for
// moves.
constexpr double kWindow = 0.1;
constexpr std::size_t kMoveColumnsMax = 12;

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
  bool Start(const Scenario& scenario);
  // Where servers differ by far the strongest links are a bad start: everyone's best column at
  // equal shares, again at the ratio that this gives while that rises much.
  void StartFromValues();
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
  double tolls_ = 0.0;  // Of best_.
  double y_ = 0.0;      // (score - tolls) / cost, which the search raises.
  double bound_ = std::numeric_limits<double>::infinity();
  DualPoint bounding_;  // What proves bound_, but for cases_.
  CaseBound cases_;
};

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
    const std::vector<float> value = internal::ValuesAtEqualShares(problem_, columns_, before);
    std::vector<int> column = BestColumns(value);
    if (!RepairSlots(problem_, columns_, value, &column, log_.TimeLeftS())) return;
    Keep(EqualShares(problem_, columns_.AssociationOf(problem_, column)));
    if (!(RatioToStartFrom() > kMuch * before)) return;
  }
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

std::optional<DualPoint> SumPlanner::StandingPoint() {
  if (options_.from == nullptr) return std::nullopt;
  std::optional<DualPoint> at = StandingPrices(problem_, *options_.from, RatioToStartFrom());
  if (!at) return std::nullopt;
  at->y = RatioAtPrices(problem_, columns_, moves_.homes, *at);
  const internal::DualSums sums = users_.Refresh(*at, Window(), kMoveColumnsMax, false);
  at->y *= std::clamp(1.0 + sums.best / sums.cost, 0.5, 2.0);
  return at;
}

DualPoint SumPlanner::FindPrices(const std::optional<DualPoint>& standing) {
  // Prices that were right before 1 % of the users moved or one of 200 servers failed.
  constexpr double kSmoothingFromPlan = 1e-4, kFirstWindow = 12 * kSmoothingFromPlan;
  internal::PriceSearchOptions options{.mean_score = MeanScore(), .time_limit_s = log_.TimeLeftS()};
  if (!standing) {
    const DualPoint start = FirstPrices(problem_, columns_, RatioToStartFrom());
    return internal::SearchPrices(problem_, start, options, &users_);
  }
  options.smoothing_first = kSmoothingFromPlan;
  options.first_window = kFirstWindow * MeanScore();
  options.warm = true;
  return internal::SearchPrices(problem_, *standing, options, &users_);
}

bool SumPlanner::PlanAt(const DualPoint& at, bool thorough) {
  if (Hurried()) {
    if (!RoundAndReport(at)) return false;
    Improve(thorough);
    Bound(at);
    return true;
  }
  Bound(at);
  // A standing plan may be good enough as it is.
  if (Gap() <= options_.gap_target) return true;
  if (!RoundAndReport(at)) return false;
  Improve(thorough);
  return true;
}

// Bounding takes up to as long as what came before; a plan is worth more than its bound.
bool SumPlanner::Hurried() const {
  return log_.TimeLeftS() < options_.time_limit_s / 2.0;
}

void SumPlanner::Bound(DualPoint at) {
  if (log_.TimeLeftS() <= 0.0) return;
  const bool bounds = internal::RaiseToBound(Window(), &users_, &at, log_.TimeLeftS());
  if (!bounds || at.y >= bound_ || IsRefuted(at.y)) return;
  bound_ = at.y;
  bounding_ = std::move(at);
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
    const internal::Market& market = plan_.market(m);
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

void SumPlanner::BoundByCases(DualPoint at) {
  at.y = scr_;
  // Where the bound puts most of the users; in small scenarios after every round.
  std::set<std::vector<int>> seen;
  std::vector<std::vector<float>> starts;
  const auto start_from = [&](const std::vector<float>& presence) {
    if (seen.insert(BestColumns(presence)).second) starts.push_back(presence);
  };
  const bool small = best_.size() <= kSmall;
  CaseBound found = internal::SearchCases(
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

Expected<SolveResult> SumPlanner::Run(const Scenario& scenario) {
  if (!Start(scenario))
    return Fail(ErrorKind::kInfeasible, "servers", "have too few slots for the users");
  Report(options_.from == nullptr ? "start" : "standing plan");
  if (options_.from == nullptr) StartFromValues();
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
  if (IsRefuted(bound_)) {
    bound_ = std::numeric_limits<double>::infinity();
    cases_ = {};
  }
  SolveResult result = log_.Finish(best_, Termination::kStalled);
  if (std::isfinite(bound_)) result.certificate = CandidateOf(problem_, bounding_);
  if (!cases_.cases.empty()) {
    result.certificate->scr_upper = cases_.y;
    result.certificate->boxes.front().user_worth = std::move(cases_.user_worth);
    result.certificate->boxes.front().cases = std::move(cases_.cases);
  }
  result.search_times = users_.times();
  if (Gap() <= options_.gap_target) {
    result.termination = Termination::kConverged;
  } else if (log_.TimeLeftS() <= 0.0) {
    result.termination = Termination::kTimeLimit;
  }
  return result;
}

}  // namespace

Expected<SolveResult> SolvePrices(const Scenario& scenario, const SolveOptions& options) {
  Log log(options);
  auto problem = MakeScrProblem(scenario);
  if (!problem) return tl::unexpected(problem.error());
  const bool makespan = problem->delay == DelayMode::kMakespan;
  if (makespan && problem->delay_weight_per_s > 0.0) {
    return internal::SolveMakespan(*problem, scenario, options, &log);
  }
  // Where delay costs nothing it does not matter which.
  problem->delay = DelayMode::kSum;
  auto result = SumPlanner(*problem, options, &log).Run(scenario);
  if (makespan && result && result->certificate) {
    DeadlineBox& box = result->certificate->boxes.front();
    box.user_phase_weight_per_s.assign(scenario.users.size(), 0.0);
    box.server_phase_weight_per_s.assign(scenario.users.size(), 0.0);
  }
  return result;
}

}  // namespace dashf::solvers
