#include "solvers/market_plan.h"

#include <algorithm>

#include "base/check.h"
#include "base/parallel.h"

namespace dashf::solvers::internal {
namespace {

constexpr double kTrialTolerance = 1e-4;  // The value is off by its square.
constexpr double kFinalTolerance = 1e-9;

}  // namespace

MarketPlan::MarketPlan(const ScrProblem& problem, const Columns& columns, int threads)
    : problem_(problem),
      columns_(columns),
      threads_(threads),
      clearing_(problem, columns),
      markets_(problem.server_slots.size()),
      market_stamp_(problem.server_slots.size(), 0) {}

void MarketPlan::Assign(const std::vector<int>& column_of_user) {
  column_of_user_ = column_of_user;
  for (Market& market : markets_) {
    market.members.clear();
    market.price.setZero();
  }
  for (const int column : column_of_user) {
    markets_[static_cast<std::size_t>(ServerOf(column))].members.push_back({.column = column});
  }
  ++stamp_;
  std::fill(market_stamp_.begin(), market_stamp_.end(), stamp_);
}

void MarketPlan::ClearAll(double y) {
  y_ = y;
  constexpr std::size_t kPiece = 16;
  ParallelFor((markets_.size() + kPiece - 1) / kPiece, threads_, [&](std::size_t piece) {
    MarketClearing clearing(problem_, columns_);
    const std::size_t end = std::min(markets_.size(), (piece + 1) * kPiece);
    for (std::size_t m = piece * kPiece; m < end; ++m)
      clearing.Clear(y, kFinalTolerance, &markets_[m]);
  });
  ++stamp_;
  std::fill(market_stamp_.begin(), market_stamp_.end(), stamp_);
}

double MarketPlan::Value() const {
  double value = 0.0;
  for (const Market& market : markets_) value += market.value;
  return value;
}

Plan MarketPlan::Settled() const {
  Plan plan(column_of_user_.size());
  const double w_t = EffectiveDelayWeight(problem_);
  for (const Market& market : markets_) {
    Eigen::Vector3d sum = Eigen::Vector3d::Zero();
    for (const Member& member : market.members) sum += member.share;
    const Eigen::Vector3d scale = sum.cwiseMax(1.0).cwiseInverse();
    for (const Member& member : market.members) {
      const auto column = static_cast<std::size_t>(member.column);
      Point shares = Point::Zero();
      shares.head<3>() = member.share.cwiseProduct(scale);
      plan[static_cast<std::size_t>(columns_.user[column])] = DecideAtPrices(
          problem_, columns_.user[column], columns_.ChoiceOf(problem_, column), shares, w_t);
    }
  }
  return plan;
}

const Member& MarketPlan::MemberOf(std::size_t user) const {
  const int column = column_of_user_[user];
  const auto& members = markets_[static_cast<std::size_t>(ServerOf(column))].members;
  return *std::find_if(members.begin(), members.end(), [column](const Member& member) {
    return member.column == column;
  });
}

Market& MarketPlan::TrialOf(std::size_t server) {
  for (std::size_t i = 0; i < trial_count_; ++i) {
    if (trials_[i].server == server) return trials_[i].market;
  }
  if (trial_count_ == trials_.size()) trials_.emplace_back();
  Trial& trial = trials_[trial_count_++];
  trial.server = server;
  trial.market = markets_[server];
  return trial.market;
}

double MarketPlan::Try(std::span<const Change> changes) {
  trial_count_ = 0;
  tried_.assign(changes.begin(), changes.end());
  for (const Change& change : changes) {
    const int old = column_of_user_[static_cast<std::size_t>(change.user)];
    auto& left = TrialOf(static_cast<std::size_t>(ServerOf(old))).members;
    left.erase(std::find_if(
        left.begin(), left.end(), [old](const Member& member) { return member.column == old; }));
    auto& joined = TrialOf(static_cast<std::size_t>(ServerOf(change.column))).members;
    joined.push_back({.column = change.column, .share = change.share});
  }
  double gain = 0.0;
  for (std::size_t i = 0; i < trial_count_; ++i) {
    clearing_.Clear(y_, kTrialTolerance, &trials_[i].market);
    gain += trials_[i].market.value - markets_[trials_[i].server].value;
  }
  return gain;
}

double MarketPlan::Commit() {
  ++stamp_;
  double gain = 0.0;
  for (std::size_t i = 0; i < trial_count_; ++i) {
    clearing_.Clear(y_, kFinalTolerance, &trials_[i].market);
    gain += trials_[i].market.value - markets_[trials_[i].server].value;
    std::swap(markets_[trials_[i].server], trials_[i].market);
    market_stamp_[trials_[i].server] = stamp_;
  }
  trial_count_ = 0;
  for (const Change& change : tried_) {
    column_of_user_[static_cast<std::size_t>(change.user)] = change.column;
  }
  return gain;
}

}  // namespace dashf::solvers::internal
