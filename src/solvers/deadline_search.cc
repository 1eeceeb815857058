#include "solvers/deadline_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>

#include "solvers/price_search.h"

namespace dashf::solvers::internal {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kAllColumns = std::numeric_limits<std::size_t>::max();
constexpr double kFarBelow = 0.05;  // Of the cost: points that are out of the question.

// The users' multipliers at the last sweep, averaged over their columns.
void ReadWeights(const PricedUsers& users, DeadlinePoint* point) {
  for (std::vector<double>& weights : point->weight_per_s) weights.clear();
  for (const ReplyChunk& chunk : users.chunks()) {
    for (std::size_t u = 0; u + 1 < chunk.begin.size(); ++u) {
      Eigen::Vector2d mean = Eigen::Vector2d::Zero();
      for (int c = chunk.begin[u]; c < chunk.begin[u + 1]; ++c) {
        const auto i = static_cast<std::size_t>(c);
        mean += chunk.weight[i] * chunk.phase_weight_per_s[i];
      }
      point->weight_per_s[0].push_back(mean[0]);
      point->weight_per_s[1].push_back(mean[1]);
    }
  }
}

}  // namespace

double SumOf(const std::vector<double>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), 0.0);
}

DeadlineBox DeadlineSearch::BoxOf(const DeadlinePoint& point) const {
  DeadlineBox box;
  if (problem_.delay_weight_per_s > 0.0) {  // Else nobody minds how long it takes.
    box.user_phase_s_min = box.user_phase_s_max = point.phases_s[0];
    box.server_phase_s_min = box.server_phase_s_max = point.phases_s[1];
  }
  return box;
}

bool DeadlineSearch::SearchPoint(double smoothing,
                                 double y_min,
                                 double far_below,
                                 PricedUsers* users,
                                 DeadlinePoint* point) const {
  const DeadlineBox box = BoxOf(*point);
  if (!users->EnterBox(box)) return false;
  point->at = internal::SearchPrices(problem_,
                                     point->at,
                                     {.smoothing_first = smoothing,
                                      .smoothing_last = 1e-4,
                                      .y_min = y_min,
                                      .far_below = far_below,
                                      .time_limit_s = TimeLeftS()},
                                     users);
  ReadWeights(*users, point);
  return true;
}

// ln of the users' weights over w_t: above 0 where a later deadline allows more.
double DeadlineSearch::Slope(const DeadlinePoint& point, int phase) const {
  constexpr double kLeast = 1e-9;
  const double sum = SumOf(point.weight_per_s[static_cast<std::size_t>(phase)]);
  return std::log(std::max(sum / problem_.delay_weight_per_s, kLeast));
}

// Along one phase to where the slope changes its sign. The dual has kinks where a user's fastest
// row just meets a deadline: there the weights are what a mixture of both sides' makes of w_t.
void DeadlineSearch::Uphill(
    double y_min, int steps_max, int phase, PricedUsers* users, DeadlinePoint* point) const {
  constexpr double kFirst = 0.04, kFlat = 0.05, kNear = 0.003, kFall = 2e-3, kShrink = 0.3;
  const auto i = static_cast<std::size_t>(phase);
  const double up = Slope(*point, phase) > 0.0 ? 1.0 : -1.0;
  double length = kFirst;
  std::optional<DeadlinePoint> beyond;
  for (int step = 0; step < steps_max; ++step) {
    if (std::abs(Slope(*point, phase)) <= kFlat || TimeLeftS() <= 0.0) break;
    const double room =
        beyond ? 0.5 * std::log(beyond->phases_s[phase] / point->phases_s[phase]) : up * length;
    if (beyond && std::abs(room) <= kNear) break;
    DeadlinePoint next = *point;
    next.phases_s[phase] *= std::exp(room);
    if (next.phases_s == point->phases_s) return;
    const bool kept = SearchPoint(0.02, y_min, kFarBelow, users, &next);
    if (kept && up * Slope(next, phase) <= 0.0 && next.at.y > y_min) {
      beyond = std::move(next);
    } else if (kept && next.at.y >= (1.0 - kFall) * point->at.y) {
      *point = std::move(next);
      length *= 2.0;
    } else if (beyond) {
      break;
    } else {
      length *= kShrink;
    }
  }
  if (!beyond) return;
  const double sum = SumOf(point->weight_per_s[i]), other = SumOf(beyond->weight_per_s[i]);
  const double share = std::clamp((problem_.delay_weight_per_s - other) / (sum - other), 0.0, 1.0);
  for (std::size_t n = 0; n < point->weight_per_s[i].size(); ++n) {
    double& weight = point->weight_per_s[i][n];
    weight = share * weight + (1.0 - share) * beyond->weight_per_s[i][n];
  }
}

void DeadlineSearch::Climb(PricedUsers* users, DeadlinePoint* point) const {
  constexpr int kStepsMax = 10, kRounds = 2;
  constexpr double kLowest = 0.8;
  const double y_min = kLowest * point->at.y;
  if (!SearchPoint(0.3, y_min, kFarBelow, users, point)) return;
  if (!(problem_.delay_weight_per_s > 0.0)) return;
  for (int i = 0; i < 2 * kRounds; ++i) Uphill(y_min, kStepsMax, 1 - i % 2, users, point);
}

double DeadlineSearch::SearchPrices(double y, PricedUsers* users, DeadlinePoint* point) const {
  point->at.y = y;
  const DeadlineBox box = BoxOf(*point);
  if (!users->EnterBox(box)) return -kInfinity;
  point->at = internal::SearchPrices(problem_,
                                     point->at,
                                     {.smoothing_first = effort_.smoothing_first,
                                      .smoothing_last = effort_.smoothing_last,
                                      .warm = true,
                                      .first_window = effort_.window,
                                      .y_max = y,
                                      .y_min = y,
                                      .far_below = effort_.far_below,
                                      .time_limit_s = TimeLeftS()},
                                     users);
  ReadWeights(*users, point);
  return users->Refresh(point->at, kInfinity, kAllColumns, false).value;
}

}  // namespace dashf::solvers::internal
