#include "solvers/box_dual.h"

#include <Eigen/Cholesky>
#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <limits>

#include "solvers/priced_users.h"

namespace dashf::solvers::internal {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// No variable is let below this share of the largest of its kind at the start.
constexpr double kLeast = 1e-9;
constexpr double kBarrier = 0.1;  // Of the smoothing.

}  // namespace

// Of the smoothed dual: the sum over a user's rows of share (g, H), less what they have in common.
struct BoxDual::Derivatives {
  Eigen::VectorXd gradient;
  Eigen::MatrixXd hessian;
};

BoxDual::BoxDual(const ScrProblem& problem, const Columns& columns)
    : problem_(problem),
      columns_(columns),
      deadlines_(HasDeadlines(problem)),
      constants_(ConstantsOf(problem)) {
  for (const int slots : problem.server_slots) {
    const bool limited = slots != ScrProblem::kNoSlotLimit && slots > 0;
    slot_share_.push_back(limited ? 1.0 / slots : 0.0);
    for (int i = 0; i < 4; ++i) price_at_.push_back(i < 3 || limited ? prices_++ : -1);
  }
  variables_ = prices_ + (deadlines_ ? 2 * problem.users() : 0);
  const float share = static_cast<float>(constants_.first_share);
  last_share_.assign(columns.size(), Eigen::Vector3f::Constant(share));
  const double weight = problem.delay_weight_per_s / problem.users();
  last_weight_.assign(columns.size(), Eigen::Vector2f::Constant(static_cast<float>(weight)));
  psi_.assign(columns.size(), 0.0);
  weight_.assign(columns.size(), 0.0);
}

void BoxDual::Read(const BoxPrices& at) {
  x_.resize(variables_);
  double most = 0.0;
  for (const Eigen::Vector4d& price : at.price) most = std::max(most, price.maxCoeff());
  if (!(most > 0.0)) most = problem_.score_scale;
  for (std::size_t m = 0; m < at.price.size(); ++m) {
    for (int i = 0; i < 4; ++i) {
      if (PriceAt(m, i) >= 0) x_[PriceAt(m, i)] = std::max(at.price[m][i], kLeast * most);
    }
  }
  for (int i = 0; i < (deadlines_ ? 2 : 0); ++i) {
    const std::vector<double>& weights = at.weight_per_s[static_cast<std::size_t>(i)];
    double sum = 0.0;
    for (std::size_t n = 0; n < weights.size(); ++n) {
      double& x = x_[WeightAt(n, i)];
      x = std::max(weights[n] / problem_.delay_weight_per_s, kLeast / problem_.users());
      sum += x;
    }
    for (std::size_t n = 0; n < weights.size(); ++n) x_[WeightAt(n, i)] /= sum;
  }
}

BoxPrices BoxDual::Written() const {
  BoxPrices at;
  for (std::size_t m = 0; m < slot_share_.size(); ++m) {
    at.price.emplace_back(Eigen::Vector4d::Zero());
    for (int i = 0; i < 4; ++i) {
      if (PriceAt(m, i) >= 0) at.price[m][i] = x_[PriceAt(m, i)];
    }
  }
  for (int i = 0; i < (deadlines_ ? 2 : 0); ++i) {
    for (std::size_t n = 0; n < static_cast<std::size_t>(problem_.users()); ++n) {
      at.weight_per_s[static_cast<std::size_t>(i)].push_back(problem_.delay_weight_per_s *
                                                             x_[WeightAt(n, i)]);
    }
  }
  return at;
}

// But for the price of a slot.
DeadlineReply BoxDual::ReplyWithin(const Eigen::VectorXd& x, int column, bool thorough) const {
  constexpr double kFloor = 1e-9, kMost = 3.0;  // Of w_t.
  const auto c = static_cast<std::size_t>(column);
  const auto n = static_cast<std::size_t>(columns_.user[c]);
  const auto link = static_cast<std::size_t>(columns_.link[c]);
  const auto m = static_cast<std::size_t>(problem_.link_server[link]);
  const auto split = static_cast<std::size_t>(columns_.split[c]);
  const Eigen::Vector3d price(x[PriceAt(m, 0)], x[PriceAt(m, 1)], x[PriceAt(m, 2)]);
  const Eigen::Vector3d share = last_share_[c].cast<double>();
  if (!deadlines_) {
    const double w_t =
        thorough ? constants_.delay_weight_per_s_bound : constants_.delay_weight_per_s;
    const UserTerms terms = MakeUserTerms(problem_, n, link, split, y_, {w_t, w_t}, false);
    return {thorough ? SolveReplyFromSeveralStarts(terms, price, share)
                     : SolveReply(terms, price, share),
            Eigen::Vector2d::Zero(),
            Eigen::Vector2d::Zero(),
            Eigen::Matrix2d::Zero(),
            Eigen::Matrix<double, 3, 2>::Zero()};
  }
  const double w_t = problem_.delay_weight_per_s;
  const PhaseCharges charges{
      {w_t * x[WeightAt(n, 0)], box_->user_phase_s_min, box_->user_phase_s_max},
      {w_t * x[WeightAt(n, 1)], box_->server_phase_s_min, box_->server_phase_s_max},
      kFloor * w_t / problem_.users(),
      kMost * w_t};
  const Eigen::Vector2d weight = last_weight_[c].cast<double>();
  return SolveDeadlineReply(problem_, n, link, split, y_, price, charges, share, weight, thorough);
}

DeadlineReply BoxDual::ReplyOf(const Eigen::VectorXd& x, int column, bool thorough) {
  const auto c = static_cast<std::size_t>(column);
  const auto m =
      static_cast<std::size_t>(problem_.link_server[static_cast<std::size_t>(columns_.link[c])]);
  DeadlineReply met = ReplyWithin(x, column, thorough);
  last_share_[c] = met.reply.share.cast<float>();
  last_weight_[c] = met.weight_per_s.cast<float>();
  if (PriceAt(m, 3) >= 0) met.reply.psi -= x[PriceAt(m, 3)] * slot_share_[m];
  psi_[c] = met.reply.psi;
  return met;
}

// Every row left replies; those near their user's best join the active ones.
BoxBound BoxDual::LookAtAll(const Eigen::VectorXd& x, double eta) {
  constexpr double kWindow = 25.0;
  BoxBound bound{.value = x.head(prices_).sum()};
  grown_ = false;
  for (std::size_t n = 0; n < rows_->size(); ++n) {
    double best = -kInfinity, cost = 0.0;
    for (const int column : (*rows_)[n]) {
      const DeadlineReply met = ReplyOf(x, column, !deadlines_);
      if (!(met.reply.psi > best)) continue;
      best = met.reply.psi;
      cost = met.reply.cost;
    }
    bound.value += best;
    bound.cost += cost;
    std::vector<int> active;
    for (const int column : (*rows_)[n]) {
      weight_[static_cast<std::size_t>(column)] = 0.0;
      const bool was = std::binary_search(active_[n].begin(), active_[n].end(), column);
      const bool near = psi(column) >= best - kWindow * eta;
      if (was || near) active.push_back(column);
      grown_ = grown_ || (near && !was);
    }
    active_[n] = std::move(active);
  }
  if (!std::isfinite(bound.value)) bound.value = kInfinity;
  return bound;
}

void BoxDual::AddUser(std::size_t n,
                      const std::vector<DeadlineReply>& replies,
                      double eta,
                      Derivatives* out) const {
  constexpr double kNegligible = 1e-12;
  const double w_t = problem_.delay_weight_per_s;
  Eigen::VectorXd mean = Eigen::VectorXd::Zero(variables_);
  for (std::size_t i = 0; i < replies.size(); ++i) {
    const auto c = static_cast<std::size_t>(active_[n][i]);
    const double share = weight_[c];
    if (share < kNegligible) continue;
    const auto m =
        static_cast<std::size_t>(problem_.link_server[static_cast<std::size_t>(columns_.link[c])]);
    const DeadlineReply& met = replies[i];
    const int at[6] = {
        PriceAt(m, 0), PriceAt(m, 1), PriceAt(m, 2), PriceAt(m, 3), WeightAt(n, 0), WeightAt(n, 1)};
    Eigen::Matrix<double, 6, 1> g;
    g << -met.reply.share, -slot_share_[m], -y_ * w_t * met.charged_s;
    Eigen::Matrix<double, 6, 6> h = g * g.transpose() / eta;
    h.topLeftCorner<3, 3>() += met.reply.yields;
    h.topRightCorner<3, 2>() -= w_t * met.share_by_weight;
    h.bottomLeftCorner<2, 3>() -= w_t * met.share_by_weight.transpose();
    h.bottomRightCorner<2, 2>() -= y_ * w_t * w_t * met.charged_by_weight;
    for (int j = 0; j < 6; ++j) {
      if (at[j] < 0) continue;
      mean[at[j]] += share * g[j];
      for (int k = 0; k < 6; ++k) {
        if (at[k] >= 0) out->hessian(at[j], at[k]) += share * h(j, k);
      }
    }
  }
  out->gradient += mean;
  out->hessian.selfadjointView<Eigen::Lower>().rankUpdate(mean, -1.0 / eta);
}

// sum of prices + sum over users of eta ln sum exp(psi / eta) - mu sum ln x.
double BoxDual::Smoothed(const Eigen::VectorXd& x, double eta, double mu, Derivatives* out) {
  double value = x.head(prices_).sum() - mu * x.array().log().sum();
  if (out != nullptr) {
    out->gradient = -mu * x.cwiseInverse();
    out->gradient.head(prices_).array() += 1.0;
    out->hessian = (mu * x.array().square().inverse()).matrix().asDiagonal();
  }
  std::vector<DeadlineReply> replies;
  for (std::size_t n = 0; n < active_.size(); ++n) {
    double best = -kInfinity, sum = 0.0;
    replies.clear();
    for (const int column : active_[n]) {
      replies.push_back(ReplyOf(x, column, false));
      best = std::max(best, psi(column));
    }
    for (const int column : active_[n]) {
      double& weight = weight_[static_cast<std::size_t>(column)];
      weight = std::exp((psi(column) - best) / eta);
      sum += weight;
    }
    for (const int column : active_[n]) weight_[static_cast<std::size_t>(column)] /= sum;
    value += best + eta * std::log(sum);
    if (out != nullptr) AddUser(n, replies, eta, out);
  }
  return value;
}

// It keeps both sums of weights, where there are any.
Eigen::VectorXd BoxDual::NewtonStep(const Derivatives& at) const {
  const Eigen::LDLT<Eigen::MatrixXd> factor(at.hessian);
  const Eigen::VectorXd free = factor.solve(at.gradient);
  if (!deadlines_) return -free;
  Eigen::MatrixXd sums = Eigen::MatrixXd::Zero(variables_, 2);
  for (int i = 0; i < variables_ - prices_; ++i) sums(prices_ + i, i % 2) = 1.0;
  const Eigen::MatrixXd by_sum = factor.solve(sums);
  const Eigen::Matrix2d schur = sums.transpose() * by_sum;
  const Eigen::Vector2d hold = schur.inverse() * (sums.transpose() * free);
  return by_sum * hold - free;
}

// False where no step was found. Where replies end at the edge of what floating point resolves,
// their curvatures need not be those of a convex function: then the diagonal is raised until the
// step descends.
bool BoxDual::Step(double eta, double mu, double* decrement) {
  constexpr int kHalvingsMax = 25;
  constexpr double kToBoundary = 0.9;
  *decrement = kInfinity;
  Derivatives at;
  const double value = Smoothed(x_, eta, mu, &at);
  if (!std::isfinite(value)) return false;
  const Eigen::VectorXd diagonal = at.hessian.diagonal();
  for (const double damping : {1e-9, 1e-6, 1e-3, 1.0}) {
    at.hessian.diagonal() = diagonal + damping * diagonal.cwiseAbs();
    const Eigen::VectorXd step = NewtonStep(at);
    const double promised = -at.gradient.dot(step);
    if (!step.allFinite() || !(promised > 0.0)) continue;
    double length = 1.0;
    for (int i = 0; i < variables_; ++i) {
      if (step[i] < 0.0) length = std::min(length, -kToBoundary * x_[i] / step[i]);
    }
    for (int i = 0; i < kHalvingsMax; ++i, length *= 0.5) {
      const Eigen::VectorXd trial = x_ + length * step;
      if (Smoothed(trial, eta, mu, nullptr) > value - 1e-3 * length * promised) continue;
      x_ = trial;
      *decrement = promised;
      return true;
    }
  }
  return false;
}

// Newton's steps at one smoothing. Rows that were far below their user's best where the steps began
// may be the best where they end: then once more, with these among them.
BoxBound BoxDual::Descend(double eta, double* decrement, bool* moved) {
  constexpr int kStepsMax = 12, kLooksMax = 6;
  constexpr double kCentred = 0.1;
  for (std::vector<int>& active : active_) active.clear();
  LookAtAll(x_, eta);
  for (int look = 0;; ++look) {
    const Eigen::VectorXd start = x_;
    for (int step = 0; step < kStepsMax; ++step) {
      if (!Step(eta, kBarrier * eta, decrement)) break;
      *moved = true;
      if (*decrement <= kCentred * eta * static_cast<double>(problem_.users())) break;
    }
    const BoxBound there = LookAtAll(x_, eta);
    if (!grown_ || look == kLooksMax) return there;
    if (Smoothed(x_, eta, kBarrier * eta, nullptr) >
        Smoothed(start, eta, kBarrier * eta, nullptr)) {
      x_ = start;
    }
  }
}

BoxBound BoxDual::Minimise(double y,
                           const DeadlineBox& box,
                           const RowsOfUsers& rows,
                           double enough,
                           const BoxEffort& effort,
                           BoxPrices* at) {
  constexpr double kReduction = 0.2;
  y_ = y;
  box_ = &box;
  rows_ = &rows;
  active_.assign(rows.size(), {});
  Read(*at);
  const double users = static_cast<double>(problem_.users());
  BoxBound best = LookAtAll(x_, kInfinity);
  *at = Written();
  const double mean_score =
      std::clamp((best.cost + best.value) / users,
                 1e-6 * problem_.score_scale,
                 problem_.score_scale * std::log1p(3.0 * problem_.score_gain));
  double eta = effort.smoothing_first * mean_score;
  const double last = effort.smoothing_last * mean_score;
  // At a minimum no price is below the barrier's weight, for no more of a resource than all can go
  // unused; from far below Newton's method only doubles it.
  x_.head(prices_) = x_.head(prices_).cwiseMax(kBarrier * eta);
  while (!(best.value <= enough)) {
    double decrement = 0.0, choices = 0.0;
    bool moved = false;
    const BoxBound there = Descend(eta, &decrement, &moved);
    if (there.value < best.value) {
      best = there;
      *at = Written();
    }
    for (const std::vector<int>& active : active_) {
      choices += std::log(static_cast<double>(active.size()));
    }
    const double smoothed = Smoothed(x_, eta, 0.0, nullptr);
    const double least = smoothed - 2.0 * decrement - eta * (choices + kBarrier * variables_);
    if (least > enough && least >= effort.open_share * best.value) break;
    if (eta <= last || (!moved && eta < 1e-3 * mean_score)) break;
    eta = std::max(last, kReduction * eta);
  }
  // Near a kink the best point, which may be of an earlier call, is at one side of it: what users
  // are divided between is told by the last smooth minimum.
  Smoothed(x_, eta, 0.0, nullptr);
  const std::vector<double> shares = weight_;
  Read(*at);
  LookAtAll(x_, eta);
  weight_ = shares;
  return best;
}

}  // namespace dashf::solvers::internal
