#include "solvers/lagrangian.h"

#include <Eigen/Cholesky>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "opt/block_arrow.h"
#include "solvers/resource_terms.h"

namespace dashf::solvers::internal {
namespace {

constexpr double kWeightFloor = 1e-6;  // Of w_t: a free phase would never end.

// -psi's argument: the user's own barrier terms, the price of its shares, and shares <= 1.
double PricedValue(const UserTerms& terms,
                   const Eigen::Vector3d& price,
                   const Point& x,
                   double mu) {
  double value = Value(terms, x, Barriers::Zero(), mu) + price.dot(x.head<3>());
  for (int i = 0; i < 3; ++i) {
    if (!(x[i] < 1.0)) return std::numeric_limits<double>::infinity();
    value -= mu * std::log1p(-x[i]);
  }
  return value;
}

// Newton's method at one mu; x moves.
void CentreReply(const UserTerms& terms, const Eigen::Vector3d& price, double mu, Point* x) {
  constexpr int kStepsMax = 40;
  const bool used[3] = {terms.uses_bandwidth, terms.uses_power, terms.uses_clock};
  opt::ArrowSystem border;  // Sum mode's terms leave the border alone.
  opt::ArrowBlock block{};
  double value = PricedValue(terms, price, *x, mu);
  for (int step = 0; step < kStepsMax; ++step) {
    AddDerivatives(terms, *x, Barriers::Zero(), mu, &block, &border);
    for (int i = 0; i < 3; ++i) {
      if (!used[i]) continue;
      const double slack = 1.0 - (*x)[i];
      block.gradient[i] += price[i] + mu / slack;
      block.hessian(i, i) += mu / (slack * slack);
    }
    const Eigen::Vector4d change = -block.hessian.llt().solve(block.gradient);
    const double decrement = -block.gradient.dot(change);
    if (!(decrement > 0.1 * mu)) return;
    double length = 1.0;
    for (int i = 0; i < 3; ++i) {
      if (change[i] < 0.0) length = std::min(length, -0.99 * (*x)[i] / change[i]);
      if (change[i] > 0.0) length = std::min(length, 0.99 * (1.0 - (*x)[i]) / change[i]);
    }
    double moved = PricedValue(terms, price, *x + length * change, mu);
    for (int halvings = 0; !(moved <= value - 1e-4 * length * decrement); ++halvings) {
      if (halvings == 40) return;
      length *= 0.5;
      moved = PricedValue(terms, price, *x + length * change, mu);
    }
    *x += length * change;
    value = moved;
  }
}

// The largest value found from three starts along q, the one direction that is not concave.
double BestReply(const UserTerms& terms, const Eigen::Vector3d& price, bool thorough, Point* x) {
  constexpr double kLast = 1e-8;
  const Eigen::Vector3d used(terms.uses_bandwidth, terms.uses_power, terms.uses_clock);
  const double scale = terms.score_scale * std::log1p(3.0 * terms.score_gain);
  double best = std::numeric_limits<double>::infinity();
  for (const double power : {0.3, 0.01, 0.95}) {
    Point at = Point::Zero();
    at.head<3>() = Eigen::Vector3d(0.3, power, 0.3).cwiseProduct(used);
    double mu = 0.1 * scale;
    for (; mu > kLast * scale; mu *= 0.1) CentreReply(terms, price, mu, &at);
    // Off by the duality gap of six logarithms at most, where the reply is concave.
    const double value = PricedValue(terms, price, at, 0.0) - 60.0 * mu;
    if (value < best) {
      best = value;
      *x = at;
    }
    if (!thorough || !terms.uses_power) break;
  }
  return -best;
}

DualValue EvaluateDual(const ScrProblem& problem, double y, const Prices& prices, bool thorough) {
  DualValue dual;
  for (const Eigen::Vector3d& price : prices.share) dual.bound += price.sum();
  dual.replies.resize(problem.tx_power_w_max.size());
  for (std::size_t n = 0; n < dual.replies.size(); ++n) {
    const int user = static_cast<int>(n);
    const TimePrices weight{prices.user_phase_per_s[n], prices.server_phase_per_s[n]};
    for (int link = problem.link_begin[n]; link < problem.link_begin[n + 1]; ++link) {
      for (int split = problem.split_begin[n]; split < problem.split_begin[n + 1]; ++split) {
        Reply reply;
        reply.choice = {problem.link_server[static_cast<std::size_t>(link)],
                        problem.split_layers[static_cast<std::size_t>(split)]};
        const UserTerms terms = MakeUserTerms(problem, user, reply.choice, y, weight, false);
        Point x = Point::Zero();
        const auto m = static_cast<std::size_t>(reply.choice.server);
        reply.psi = BestReply(terms, prices.share[m], thorough, &x);
        reply.share = x.head<3>();
        const UserTotals totals = TotalsOf(
            problem, user, DecideAtPrices(problem, user, reply.choice, x, weight.user_phase_per_s));
        reply.user_phase_s = totals.user_phase_s;
        reply.server_phase_s = totals.server_phase_s;
        dual.replies[n].push_back(reply);
      }
    }
    std::sort(dual.replies[n].begin(), dual.replies[n].end(), [](const Reply& a, const Reply& b) {
      return a.psi > b.psi;
    });
    dual.bound += dual.replies[n].front().psi;
  }
  return dual;
}

// What one more of each server's resources, in shares, is worth to the plan's keenest user.
std::vector<Eigen::Vector3d> MarginalValues(const ScrProblem& problem, double y, const Plan& plan) {
  std::vector<Eigen::Vector3d> price(problem.server_slots.size(), Eigen::Vector3d::Zero());
  const double w_t = problem.delay == DelayMode::kSum
                         ? problem.delay_weight_per_s
                         : problem.delay_weight_per_s / problem.users();
  for (std::size_t n = 0; n < plan.size(); ++n) {
    const auto m = static_cast<std::size_t>(plan[n].server);
    const struct {
      double Decision::*resource;
      double capacity;
    } shared[] = {{&Decision::bandwidth_hz, problem.server_bandwidth_hz[m]},
                  {&Decision::server_tx_power_w, problem.server_tx_power_w_max[m]},
                  {&Decision::server_clock_hz, problem.server_clock_hz_max[m]}};
    for (int i = 0; i < 3; ++i) {
      const double granted = plan[n].*shared[i].resource;
      if (!(granted > 0.0)) continue;
      const auto worth = [&](double factor) {
        Decision moved = plan[n];
        moved.*shared[i].resource *= factor;
        const UserTotals totals = TotalsOf(problem, static_cast<int>(n), moved);
        return totals.score - y * (w_t * (totals.user_phase_s + totals.server_phase_s) +
                                   problem.energy_weight_per_j * totals.energy_j);
      };
      const double slope = (worth(1.0 + 1e-5) - worth(1.0 - 1e-5)) / (2e-5 * granted);
      price[m][i] = std::max(price[m][i], slope * shared[i].capacity);
    }
  }
  return price;
}

// Euclidean projection onto { w >= floor, sum w = total } (Held, Wolfe and Crowder 1974), by
// bisection on the shift.
void ProjectOntoSimplex(double total, double floor, std::vector<double>* weights) {
  double low = -total, high = total;
  for (const double w : *weights) {
    low = std::min(low, w - total);
    high = std::max(high, w);
  }
  for (int i = 0; i < 100; ++i) {
    const double shift = 0.5 * (low + high);
    double sum = 0.0;
    for (const double w : *weights) sum += std::max(floor, w - shift);
    (sum > total ? low : high) = shift;
  }
  for (double& w : *weights) w = std::max(floor, w - high);
}

// One step against the subgradient at the best replies: capacity left over, and delays.
void Step(
    const ScrProblem& problem, double y, double target, const DualValue& dual, Prices* prices) {
  const bool makespan = problem.delay == DelayMode::kMakespan;
  const double w_t = problem.delay_weight_per_s;
  std::vector<Eigen::Vector3d> left(prices->share.size(), Eigen::Vector3d::Ones());
  for (const auto& replies : dual.replies) {
    left[static_cast<std::size_t>(replies.front().choice.server)] -= replies.front().share;
  }
  double norm2 = 0.0, scale = 0.0;
  for (std::size_t m = 0; m < left.size(); ++m) {
    for (int i = 0; i < 3; ++i) {
      if (left[m][i] > 0.0 && prices->share[m][i] == 0.0) left[m][i] = 0.0;  // Leaves the cone.
      scale += prices->share[m][i];
    }
    norm2 += left[m].squaredNorm();
  }
  // Weights are moved in units of score, like prices: alpha = (w_t / scale) a.
  const double unit = scale > 0.0 ? w_t / scale : w_t;
  double mean_u = 0.0, mean_s = 0.0;  // On the simplex only differences from the mean count.
  const double users = static_cast<double>(dual.replies.size());
  for (const auto& replies : dual.replies) {
    mean_u += replies.front().user_phase_s / users;
    mean_s += replies.front().server_phase_s / users;
  }
  if (makespan) {
    for (const auto& replies : dual.replies) {
      norm2 += std::pow(y * unit * (replies.front().user_phase_s - mean_u), 2) +
               std::pow(y * unit * (replies.front().server_phase_s - mean_s), 2);
    }
  }
  if (!(norm2 > 0.0)) return;
  const double length = (dual.bound - target) / norm2;
  for (std::size_t m = 0; m < left.size(); ++m) {
    prices->share[m] = (prices->share[m] - length * left[m]).cwiseMax(0.0);
  }
  if (!makespan) return;
  for (std::size_t n = 0; n < dual.replies.size(); ++n) {
    const Reply& reply = dual.replies[n].front();
    prices->user_phase_per_s[n] += length * y * unit * unit * (reply.user_phase_s - mean_u);
    prices->server_phase_per_s[n] += length * y * unit * unit * (reply.server_phase_s - mean_s);
  }
  const double floor = kWeightFloor * w_t / users;
  ProjectOntoSimplex(w_t, floor, &prices->user_phase_per_s);
  ProjectOntoSimplex(w_t, floor, &prices->server_phase_per_s);
}

}  // namespace

DualValue OptimizePrices(const ScrProblem& problem, double y, const Plan& at, int steps) {
  const std::size_t users = problem.tx_power_w_max.size();
  const double w_t = EffectiveDelayWeight(problem);
  const double weight = problem.delay == DelayMode::kSum ? w_t : w_t / static_cast<double>(users);
  Prices prices{MarginalValues(problem, y, at),
                std::vector<double>(users, weight),
                std::vector<double>(users, weight)};
  Prices best = prices;
  double bound = std::numeric_limits<double>::infinity(), greed = 1.0;
  int idle = 0;
  for (int step = 0; step < steps; ++step) {
    const DualValue dual = EvaluateDual(problem, y, prices, false);
    if (dual.bound < bound) {
      bound = dual.bound;
      best = prices;
      idle = 0;
    } else if (++idle == 10) {  // The target was too low: aim nearer, from the best prices.
      greed *= 0.5;
      idle = 0;
      prices = best;
      continue;
    }
    Step(problem, y, (1.0 - greed) * dual.bound, dual, &prices);
  }
  return EvaluateDual(problem, y, best, true);
}

}  // namespace dashf::solvers::internal
