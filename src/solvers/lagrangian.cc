#include "solvers/lagrangian.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "solvers/reply.h"
#include "solvers/resource_terms.h"

namespace dashf::solvers::internal {
namespace {

constexpr double kWeightFloor = 1e-6;  // Of w_t: a free phase would never end.

DualValue EvaluateDual(const ScrProblem& problem, double y, const Prices& prices, bool thorough) {
  DualValue dual;
  for (const Eigen::Vector3d& price : prices.share) dual.bound += price.sum();
  dual.replies.resize(problem.tx_power_w_max.size());
  for (std::size_t n = 0; n < dual.replies.size(); ++n) {
    const int user = static_cast<int>(n);
    const TimePrices weight{prices.user_phase_per_s[n], prices.server_phase_per_s[n]};
    for (int link = problem.link_begin[n]; link < problem.link_begin[n + 1]; ++link) {
      for (int split = problem.split_begin[n]; split < problem.split_begin[n + 1]; ++split) {
        RowReply reply;
        reply.choice = {problem.link_server[static_cast<std::size_t>(link)],
                        problem.split_layers[static_cast<std::size_t>(split)]};
        const UserTerms terms = MakeUserTerms(problem, user, reply.choice, y, weight, false);
        const auto m = static_cast<std::size_t>(reply.choice.server);
        const Eigen::Vector3d start = Eigen::Vector3d::Constant(0.3);
        const Reply best = thorough ? SolveReplyFromSeveralStarts(terms, prices.share[m], start)
                                    : SolveReply(terms, prices.share[m], start);
        reply.psi = best.psi;
        reply.share = best.share;
        Point x = Point::Zero();
        x.head<3>() = best.share;
        const UserTotals totals = TotalsOf(
            problem, user, DecideAtPrices(problem, user, reply.choice, x, weight.user_phase_per_s));
        reply.user_phase_s = totals.user_phase_s;
        reply.server_phase_s = totals.server_phase_s;
        dual.replies[n].push_back(reply);
      }
    }
    std::sort(dual.replies[n].begin(),
              dual.replies[n].end(),
              [](const RowReply& a, const RowReply& b) { return a.psi > b.psi; });
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
    const RowReply& reply = dual.replies[n].front();
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
