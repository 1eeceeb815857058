#include "solvers/user_moves.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace dashf::solvers::internal {
namespace {

// What the psi at present prices overstate when a market's demand changes by `demand`: the prices
// would move, to second order by demand' yields^-1 demand / 2. Cholesky, over the priced resources.
double Overstated(const Market& market,
                  const Eigen::Matrix3d& yields_change,
                  const Eigen::Vector3d& demand) {
  constexpr double kSingular = 1e-9;
  const Eigen::Matrix3d h = market.yields + yields_change;
  double row[3][3] = {}, z[3] = {}, sum = 0.0;
  for (int i = 0; i < 3; ++i) {
    if (!(market.price[i] > 0.0)) continue;
    double pivot = h(i, i), right = demand[i];
    for (int j = 0; j < i; ++j) {
      double entry = h(i, j);
      for (int k = 0; k < j; ++k) entry -= row[i][k] * row[j][k];
      row[i][j] = row[j][j] > 0.0 ? entry / row[j][j] : 0.0;
      pivot -= row[i][j] * row[i][j];
      right -= row[i][j] * z[j];
    }
    if (!(pivot > kSingular * h(i, i))) continue;
    row[i][i] = std::sqrt(pivot);
    z[i] = right / row[i][i];
    sum += z[i] * z[i];
  }
  return 0.5 * sum;
}

// A change is tried where its gain to first order is at least this share of what that overstates.
// It would gain from 1 on were the second order exact. Of 70,000 changes tried at 5 to 50 users per
// server, none below 0.9 gained.
constexpr double kLikely = 0.9;

constexpr double kRealised = 0.5;  // Of the least gain that a change is made for.

constexpr std::size_t kNobody = std::numeric_limits<std::size_t>::max();

}  // namespace

UserMoves::UserMoves(const ScrProblem& problem,
                     const Columns& columns,
                     const MoveOptions& options,
                     Stop stop)
    : problem_(problem),
      columns_(columns),
      options_(options),
      stop_(std::move(stop)),
      clearing_(problem, columns),
      quotes_(options.column.size()),
      moves_seen_(options.begin.size() - 1, -1),
      exchanges_seen_(options.begin.size() - 1, -1) {}

const UserMoves::Quote& UserMoves::QuoteOf(const MarketPlan& plan, std::size_t option) {
  Quote& quote = quotes_[option];
  const int column = options_.column[option];
  const auto m = static_cast<std::size_t>(plan.ServerOf(column));
  if (quote.stamp == plan.stamp(m)) return quote;
  const Market& market = plan.market(m);
  const double load = static_cast<double>(market.members.size()) + 1.0;
  const Eigen::Vector3d start =
      quote.stamp < 0 ? Eigen::Vector3d::Constant(1.0 / load).eval() : quote.share;
  const Reply reply = SolveReply(clearing_.TermsOf(column, plan.y()), market.price, start);
  quote = {plan.stamp(m), reply.psi, reply.share, reply.yields};
  return quote;
}

double UserMoves::GainOf(MarketPlan* plan, std::span<const Change> changes) {
  toll_tried_ = 0.0;
  for (const Change& change : changes) {
    const auto n = static_cast<std::size_t>(change.user);
    toll_tried_ += TollChange(*plan, n, plan->columns_of_users()[n], change.column);
  }
  return plan->Try(changes) - toll_tried_;
}

double UserMoves::Commit(MarketPlan* plan) {
  const double gain = plan->Commit() - toll_tried_;
  gained_ += gain;
  tolls_ += toll_tried_;
  return gain;
}

bool UserMoves::NothingNew(const MarketPlan& plan, std::size_t user, int since) const {
  for (int o = options_.begin[user]; o < options_.begin[user + 1]; ++o) {
    const int column = options_.column[static_cast<std::size_t>(o)];
    if (plan.stamp(static_cast<std::size_t>(plan.ServerOf(column))) > since) return false;
  }
  return true;
}

void UserMoves::CollectMoves(const MarketPlan& plan, std::size_t user) {
  const Member& member = plan.MemberOf(user);
  const auto from = static_cast<std::size_t>(plan.ServerOf(member.column));
  for (int o = options_.begin[user]; o < options_.begin[user + 1]; ++o) {
    const auto option = static_cast<std::size_t>(o);
    const int column = options_.column[option];
    const auto to = static_cast<std::size_t>(plan.ServerOf(column));
    if (column == member.column || (to != from && !plan.HasRoom(to))) continue;
    const Quote& quote = QuoteOf(plan, option);
    const double most = quote.psi - member.psi - TollChange(plan, user, member.column, column);
    if (most <= gain_min_) continue;
    double overstated = 0.0;
    if (to == from) {
      overstated =
          Overstated(plan.market(to), quote.yields - member.yields, quote.share - member.share);
    } else {
      overstated = Overstated(plan.market(to), quote.yields, quote.share) +
                   Overstated(plan.market(from), -member.yields, -member.share);
    }
    if (most < kLikely * overstated) continue;
    candidates_.push_back(
        {most - overstated, {Change{static_cast<int>(user), column, quote.share}, Change{}}, 1});
  }
}

void UserMoves::CollectExchanges(const MarketPlan& plan, std::size_t user) {
  const Member& member = plan.MemberOf(user);
  const auto from = static_cast<std::size_t>(plan.ServerOf(member.column));
  for (int o = options_.begin[user]; o < options_.begin[user + 1]; ++o) {
    const int column = options_.column[static_cast<std::size_t>(o)];
    const auto to = static_cast<std::size_t>(plan.ServerOf(column));
    if (to == from) continue;
    const Quote quote = QuoteOf(plan, static_cast<std::size_t>(o));
    const double first_gain =
        quote.psi - member.psi - TollChange(plan, user, member.column, column);
    if (first_gain <= gain_min_) continue;
    for (const Member& other : plan.market(to).members) {
      const auto n =
          static_cast<std::size_t>(columns_.user[static_cast<std::size_t>(other.column)]);
      for (int p = options_.begin[n]; p < options_.begin[n + 1]; ++p) {
        const int next = options_.column[static_cast<std::size_t>(p)];
        const auto end = static_cast<std::size_t>(plan.ServerOf(next));
        if (end == to || (end != from && !plan.HasRoom(end))) continue;
        const Quote& follow = QuoteOf(plan, static_cast<std::size_t>(p));
        const double most =
            first_gain + follow.psi - other.psi - TollChange(plan, n, other.column, next);
        if (most <= gain_min_) continue;
        double overstated =
            Overstated(plan.market(to), quote.yields - other.yields, quote.share - other.share);
        if (overstated > 2.0 * most) continue;
        if (end == from) {
          overstated += Overstated(
              plan.market(from), follow.yields - member.yields, follow.share - member.share);
        } else {
          overstated += Overstated(plan.market(from), -member.yields, -member.share) +
                        Overstated(plan.market(end), follow.yields, follow.share);
        }
        if (most < kLikely * overstated) continue;
        candidates_.push_back({most - overstated,
                               {Change{static_cast<int>(user), column, quote.share},
                                Change{static_cast<int>(n), next, follow.share}},
                               2});
      }
    }
  }
}

// Tries the candidates in order of their estimates; makes the first that gains.
bool UserMoves::MakeBest(MarketPlan* plan, int trials_max) {
  const auto count = std::min(candidates_.size(), static_cast<std::size_t>(trials_max));
  std::partial_sort(candidates_.begin(),
                    candidates_.begin() + static_cast<std::ptrdiff_t>(count),
                    candidates_.end(),
                    [](const Candidate& a, const Candidate& b) { return a.estimate > b.estimate; });
  for (std::size_t i = 0; i < count; ++i) {
    const Candidate& candidate = candidates_[i];
    const std::span<const Change> changes(candidate.changes.data(), candidate.count);
    if (!(GainOf(plan, changes) > gain_min_)) continue;
    return Commit(plan) > kRealised * gain_min_;
  }
  return false;
}

bool UserMoves::Pass(MarketPlan* plan, bool exchanges, std::size_t users, std::size_t kept) {
  constexpr int kTrialsMax = 8, kChangesPerUserMax = 4;
  std::vector<int>& seen = exchanges ? exchanges_seen_ : moves_seen_;
  bool changed = false;
  for (std::size_t i = 0; i < users && !IsEnough(); ++i) {
    const auto n = static_cast<std::size_t>(options_.order[i]);
    if (n == kept) continue;
    for (int change = 0; change < kChangesPerUserMax && !NothingNew(*plan, n, seen[n]); ++change) {
      candidates_.clear();
      if (exchanges) {
        CollectExchanges(*plan, n);
      } else {
        CollectMoves(*plan, n);
      }
      const int now = plan->stamp();
      if (!MakeBest(plan, kTrialsMax)) {
        seen[n] = now;
        break;
      }
      changed = true;
    }
  }
  return changed;
}

double UserMoves::Improve(MarketPlan* plan, bool thorough) {
  constexpr int kPassesMax = 100;
  constexpr double kRelative = 1e-8;
  gain_min_ = kRelative * problem_.score_scale;
  gained_ = tolls_ = 0.0;
  const std::size_t all = options_.order.size();
  for (int pass = 0; pass < kPassesMax && !IsEnough(); ++pass) {
    if (Pass(plan, false, options_.promising, kNobody)) continue;
    if (Pass(plan, false, all, kNobody)) continue;
    if (Pass(plan, true, options_.promising, kNobody)) continue;
    if (!thorough || !Pass(plan, true, all, kNobody)) break;
  }
  return gained_;
}

// Moves alone, until none gains.
double UserMoves::Adapt(MarketPlan* plan, std::size_t kept) {
  constexpr int kPassesMax = 10;
  const double before = gained_;
  for (int pass = 0; pass < kPassesMax && Pass(plan, false, options_.order.size(), kept); ++pass) {
  }
  return gained_ - before;
}

double UserMoves::Shake(MarketPlan* plan) {
  struct Push {
    double loss;
    Change change;
  };
  std::vector<Push> pushes;
  for (std::size_t n = 0; n < moves_seen_.size(); ++n) {
    const Member& member = plan->MemberOf(n);
    for (int o = options_.begin[n]; o < options_.begin[n + 1]; ++o) {
      const int column = options_.column[static_cast<std::size_t>(o)];
      if (column == member.column) continue;
      const Quote& quote = QuoteOf(*plan, static_cast<std::size_t>(o));
      const double loss = member.psi - quote.psi + TollChange(*plan, n, member.column, column);
      pushes.push_back({loss, {static_cast<int>(n), column, quote.share}});
    }
  }
  std::stable_sort(
      pushes.begin(), pushes.end(), [](const Push& a, const Push& b) { return a.loss < b.loss; });
  gained_ = tolls_ = 0.0;
  std::vector<int> before;
  std::vector<Change> back;
  for (const Push& push : pushes) {
    if (IsEnough()) break;
    const auto n = static_cast<std::size_t>(push.change.user);
    const auto to = static_cast<std::size_t>(plan->ServerOf(push.change.column));
    const int present = plan->columns_of_users()[n];
    if (present == push.change.column) continue;
    if (static_cast<int>(to) != plan->ServerOf(present) && !plan->HasRoom(to)) continue;
    before = plan->columns_of_users();
    const double start = gained_, tolls = tolls_;
    GainOf(plan, {&push.change, 1});
    Commit(plan);
    Adapt(plan, n);
    Adapt(plan, kNobody);
    if (gained_ > start + gain_min_) continue;
    back.clear();
    for (std::size_t i = 0; i < before.size(); ++i) {
      if (plan->columns_of_users()[i] == before[i]) continue;
      back.push_back({static_cast<int>(i), before[i], Eigen::Vector3d::Constant(0.1)});
    }
    if (!back.empty()) {
      plan->Try(back);
      plan->Commit();
    }
    gained_ = start;
    tolls_ = tolls;
  }
  return gained_;
}

}  // namespace dashf::solvers::internal
