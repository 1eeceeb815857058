#include "solvers/box_prices.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace dashf::solvers::internal {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<double>& WeightsOf(DeadlineBox* box, int phase) {
  return phase == 0 ? box->user_phase_weight_per_s : box->server_phase_weight_per_s;
}

// Lowers the largest to a common value so that the sum, which is greater, becomes `total`.
void CapTo(double total, std::vector<double>* numbers) {
  std::vector<double> order = *numbers;
  std::sort(order.begin(), order.end());
  double below = 0.0, cap = total;
  for (std::size_t i = 0; i < order.size(); ++i) {
    cap = (total - below) / static_cast<double>(order.size() - i);
    if (cap <= order[i]) break;
    below += order[i];
  }
  for (double& number : *numbers) number = std::min(number, cap);
}

// A corner's bound, continued over the box by its multipliers: what its prices and weights make of
// another corner as long as everyone stays with its row.
double TangentAt(const ScrProblem& problem,
                 double y,
                 const DeadlineCorner& corner,
                 const Eigen::Vector2d& phases_s) {
  double value = corner.value;
  for (int i = 0; i < 2; ++i) {
    const double sum = SumOf(corner.point.weight_per_s[static_cast<std::size_t>(i)]);
    value += y * (sum - problem.delay_weight_per_s) * (phases_s[i] - corner.point.phases_s[i]);
  }
  return value;
}

}  // namespace

PhaseRange RangeOf(DeadlineBox* box, int phase) {
  return phase == 0 ? PhaseRange{&box->user_phase_s_min, &box->user_phase_s_max}
                    : PhaseRange{&box->server_phase_s_min, &box->server_phase_s_max};
}

void Give(const ScrProblem& problem, const BoxPrices& prices, DeadlineBox* box) {
  box->servers.clear();
  for (std::size_t m = 0; m < prices.price.size(); ++m) {
    const Eigen::Vector4d& price = prices.price[m];
    box->servers.push_back({.bandwidth_per_hz = price[0] / problem.server_bandwidth_hz[m],
                            .power_per_w = price[1] / problem.server_tx_power_w_max[m],
                            .clock_per_hz = price[2] / problem.server_clock_hz_max[m],
                            .slot = price[3] > 0.0 ? price[3] / problem.server_slots[m] : 0.0});
  }
  // An infinite end asks for a sum below w_t.
  constexpr double kBelow = 1.0 - 1e-11;
  for (int i = 0; i < 2; ++i) {
    std::vector<double>& weights = WeightsOf(box, i);
    weights = prices.weight_per_s[static_cast<std::size_t>(i)];
    const double total = kBelow * problem.delay_weight_per_s;
    if (!std::isfinite(*RangeOf(box, i).max_s) && SumOf(weights) > total) CapTo(total, &weights);
  }
}

double LastBarrierS(const ScrProblem& problem, double y) {
  const double users = static_cast<double>(problem.users());
  const double score = users * problem.score_scale * std::log1p(3.0 * problem.score_gain);
  return 1.001 * score / (y * problem.delay_weight_per_s);
}

void GiveNothing(const ScrProblem& problem, DeadlineBox* box) {
  const std::vector<double> none(static_cast<std::size_t>(problem.users()), 0.0);
  const ServerVector free(problem.server_slots.size(), Eigen::Vector4d::Zero());
  Give(problem, {free, {none, none}}, box);
}

BoxPrices Mixture(const ScrProblem& problem,
                  double y,
                  const std::vector<const DeadlineCorner*>& corners,
                  const std::array<Eigen::Vector2d, kCorners>& ends_s) {
  using Values = std::array<double, kCorners>;
  std::vector<Values> tangents;
  for (const DeadlineCorner* corner : corners) {
    tangents.emplace_back();
    for (std::size_t k = 0; k < kCorners; ++k) {
      tangents.back()[k] = TangentAt(problem, y, *corner, ends_s[k]);
    }
  }
  double least = kInfinity, share = 1.0;
  std::pair<std::size_t, std::size_t> of;
  const auto look = [&](std::size_t a, std::size_t b, double t) {
    double most = -kInfinity;
    for (std::size_t k = 0; k < kCorners; ++k) {
      most = std::max(most, t * tangents[a][k] + (1.0 - t) * tangents[b][k]);
    }
    if (!(most < least)) return;
    least = most;
    share = t;
    of = {a, b};
  };
  for (std::size_t a = 0; a < corners.size(); ++a) {
    look(a, a, 1.0);
    for (std::size_t b = 0; b < a; ++b) {
      for (std::size_t k = 0; k < kCorners; ++k) {  // Where two of the lines cross.
        for (std::size_t l = 0; l < k; ++l) {
          const double at_a = tangents[a][k] - tangents[a][l];
          const double at_b = tangents[b][k] - tangents[b][l];
          if (at_a * at_b < 0.0) look(a, b, at_b / (at_b - at_a));
        }
      }
    }
  }
  const DeadlinePoint& one = corners[of.first]->point;
  const DeadlinePoint& other = corners[of.second]->point;
  BoxPrices mixture{one.at.price, one.weight_per_s};
  for (std::size_t m = 0; m < mixture.price.size(); ++m) {
    mixture.price[m] = share * one.at.price[m] + (1.0 - share) * other.at.price[m];
  }
  for (std::size_t i = 0; i < 2; ++i) {
    for (std::size_t n = 0; n < mixture.weight_per_s[i].size(); ++n) {
      mixture.weight_per_s[i][n] =
          share * one.weight_per_s[i][n] + (1.0 - share) * other.weight_per_s[i][n];
    }
  }
  return mixture;
}

}  // namespace dashf::solvers::internal
