#include "solvers/server_market.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>

namespace dashf::solvers::internal {
namespace {

// The Newton step on the prices that are free to move; where no member responds, prices move by
// their own size.
Eigen::Vector3d PriceStep(const Eigen::Vector3d& price,
                          const Eigen::Vector3d& excess,
                          const Eigen::Matrix3d& yields,
                          const bool free[3]) {
  constexpr double kLargestChange = 0.9;
  Eigen::Matrix3d h = yields;
  Eigen::Vector3d g = excess;
  for (int i = 0; i < 3; ++i) {
    if (free[i] && yields(i, i) > 0.0) {
      h(i, i) *= 1.0 + 1e-12;
      continue;
    }
    h.row(i).setZero();
    h.col(i).setZero();
    h(i, i) = 1.0;
    g[i] = free[i] ? std::copysign(kLargestChange * price[i], excess[i]) : 0.0;
  }
  return -h.llt().solve(g);
}

}  // namespace

MarketClearing::MarketClearing(const ScrProblem& problem, const Columns& columns)
    : problem_(problem), columns_(columns), w_t_(EffectiveDelayWeight(problem)) {}

UserTerms MarketClearing::TermsOf(int column, double y) const {
  const auto c = static_cast<std::size_t>(column);
  return MakeUserTerms(problem_,
                       static_cast<std::size_t>(columns_.user[c]),
                       static_cast<std::size_t>(columns_.link[c]),
                       static_cast<std::size_t>(columns_.split[c]),
                       y,
                       {w_t_, w_t_},
                       false);
}

// Prices: what equal shares are worth on average.
void MarketClearing::StartFromEqualShares(Market* market) const {
  Eigen::Vector3d needs = Eigen::Vector3d::Zero();
  for (const UserTerms& terms : terms_) {
    needs += Eigen::Vector3d(terms.uses_bandwidth, terms.uses_power, terms.uses_clock);
  }
  market->price.setZero();
  for (std::size_t i = 0; i < terms_.size(); ++i) {
    const UserTerms& terms = terms_[i];
    const Eigen::Vector3d used(terms.uses_bandwidth, terms.uses_power, terms.uses_clock);
    market->members[i].share = used.cwiseQuotient(needs.cwiseMax(1.0));
    market->price += MarginalValue(terms, market->members[i].share)
                         .cwiseMax(0.0)
                         .cwiseQuotient(needs.cwiseMax(1.0));
  }
}

double MarketClearing::ReplyAll(const Eigen::Vector3d& price, const std::vector<Member>& from) {
  double value = price.sum();
  excess_.setOnes();
  yields_.setZero();
  trial_.resize(from.size());
  for (std::size_t i = 0; i < from.size(); ++i) {
    const Reply reply = SolveReply(terms_[i], price, from[i].share);
    trial_[i] = {from[i].column, reply.psi, reply.share, reply.yields};
    value += reply.psi;
    excess_ -= reply.share;
    yields_ += reply.yields;
  }
  return value;
}

void MarketClearing::Clear(double y, double tolerance, Market* market) {
  constexpr int kStepsMax = 60, kHalvingsMax = 30;
  constexpr double kNegligible = 1e-9;  // Of the largest marginal score.
  const double unit = problem_.score_scale * problem_.score_gain;
  terms_.clear();
  bool needed[3] = {false, false, false};
  for (const Member& member : market->members) {
    terms_.push_back(TermsOf(member.column, y));
    needed[0] |= terms_.back().uses_bandwidth;
    needed[1] |= terms_.back().uses_power;
    needed[2] |= terms_.back().uses_clock;
  }
  if (market->price.isZero()) StartFromEqualShares(market);
  for (int i = 0; i < 3; ++i) {
    if (!needed[i]) market->price[i] = 0.0;
  }
  double value = ReplyAll(market->price, market->members);
  const double noise = 1e-8 * problem_.score_scale * static_cast<double>(terms_.size());
  for (int step = 0;; ++step) {
    market->members.swap(trial_);
    market->value = value;
    market->yields = yields_;
    const Eigen::Vector3d excess = excess_;
    Eigen::Vector3d& price = market->price;
    bool free[3], cleared = true;
    for (int i = 0; i < 3; ++i) {
      if (price[i] > 0.0 && price[i] < kNegligible * unit && excess[i] > 0.0) price[i] = 0.0;
      if (price[i] == 0.0 && needed[i] && excess[i] < -tolerance) price[i] = 1e-3 * unit;
      free[i] = price[i] > 0.0;
      cleared &= !free[i] || std::abs(excess[i]) <= tolerance;
    }
    if (cleared || step == kStepsMax) return;
    const Eigen::Vector3d change = PriceStep(price, excess, market->yields, free);
    double length = 1.0;
    for (int halvings = 0;; ++halvings, length *= 0.5) {
      const Eigen::Vector3d moved =
          (price + length * change).cwiseMax(0.1 * price).cwiseMin(10.0 * price);
      value = ReplyAll(moved, market->members);
      const double predicted = excess.dot(moved - price);
      if (value <= market->value + 1e-4 * predicted || -predicted < noise ||
          halvings == kHalvingsMax) {
        price = moved;
        break;
      }
    }
  }
}

double MarketClearing::Settle(double y, Market* market) const {
  Eigen::Vector3d sum = Eigen::Vector3d::Zero();
  for (const Member& member : market->members) sum += member.share;
  const Eigen::Vector3d scale = sum.cwiseMax(1.0).cwiseInverse();
  double value = 0.0;
  for (Member& member : market->members) {
    member.share = member.share.cwiseProduct(scale);
    value += ValueAtShares(TermsOf(member.column, y), member.share);
  }
  return value;
}

}  // namespace dashf::solvers::internal
