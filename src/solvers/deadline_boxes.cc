#include "solvers/deadline_boxes.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>

#include "base/parallel.h"
#include "base/termination.h"

namespace dashf::solvers::internal {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kAllColumns = std::numeric_limits<std::size_t>::max();
constexpr double kFarBelow = 0.05;  // Of the cost: points that are out of the question.
constexpr std::size_t kBatch = 4;   // Boxes looked at side by side, whatever the threads.

// A box's ends along one of its two phases.
struct Range {
  double *min, *max;
};

Range RangeOf(DeadlineBox* box, int phase) {
  return phase == 0 ? Range{&box->user_phase_s_min, &box->user_phase_s_max}
                    : Range{&box->server_phase_s_min, &box->server_phase_s_max};
}

double Clamped(const DeadlineBox& box, int phase, double time_s) {
  return phase == 0 ? std::clamp(time_s, box.user_phase_s_min, box.user_phase_s_max)
                    : std::clamp(time_s, box.server_phase_s_min, box.server_phase_s_max);
}

std::vector<double>& WeightsOf(DeadlineBox* box, int phase) {
  return phase == 0 ? box->user_phase_weight_per_s : box->server_phase_weight_per_s;
}

double SumOf(const std::vector<double>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), 0.0);
}

// Nothing to be gained by splitting it further.
bool Thin(const DeadlineBox& box) {
  constexpr double kThin = 1e-7;
  const auto thin = [](double min, double max) {
    return std::isfinite(max) && max - min <= kThin * max;
  };
  return thin(box.user_phase_s_min, box.user_phase_s_max) &&
         thin(box.server_phase_s_min, box.server_phase_s_max);
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

DeadlineBoxes::DeadlineBoxes(const ScrProblem& problem,
                             const Columns& columns,
                             int threads,
                             double time_limit_s)
    : problem_(problem),
      columns_(columns),
      threads_(threads),
      time_limit_s_(time_limit_s),
      phase_scale_s_(Eigen::Vector2d::Zero()) {
  for (std::size_t i = 0; i < kBatch; ++i) {
    pool_.push_back(std::make_unique<PricedUsers>(problem, columns, i == 0 ? threads : 1));
  }
  for (std::size_t c = 0; c < columns.size(); ++c) {
    const Eigen::Vector2d least = LeastPhases(problem,
                                              static_cast<std::size_t>(columns.user[c]),
                                              static_cast<std::size_t>(columns.link[c]),
                                              static_cast<std::size_t>(columns.split[c]));
    phase_scale_s_ = phase_scale_s_.cwiseMax(least);
  }
}

DeadlineBox DeadlineBoxes::BoxOf(const DeadlinePoint& point) const {
  DeadlineBox box;
  if (problem_.delay_weight_per_s > 0.0) {  // Else nobody minds how long it takes.
    box.user_phase_s_min = box.user_phase_s_max = point.phases_s[0];
    box.server_phase_s_min = box.server_phase_s_max = point.phases_s[1];
  }
  return box;
}

const std::vector<float>& DeadlineBoxes::PsiAt(const DeadlinePoint& point) {
  PricedUsers& users = *pool_.front();
  const DeadlineBox box = BoxOf(point);
  if (users.EnterBox(box)) users.Refresh(point.at, kInfinity, kAllColumns, false);
  return users.psi();
}

bool DeadlineBoxes::SearchPoint(double smoothing,
                                double y_min,
                                double far_below,
                                PricedUsers* users,
                                DeadlinePoint* point) const {
  const DeadlineBox box = BoxOf(*point);
  if (!users->EnterBox(box)) return false;
  point->at = SearchPrices(problem_,
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
double DeadlineBoxes::Slope(const DeadlinePoint& point, int phase) const {
  constexpr double kLeast = 1e-9;
  const double sum = SumOf(point.weight_per_s[static_cast<std::size_t>(phase)]);
  return std::log(std::max(sum / problem_.delay_weight_per_s, kLeast));
}

// Along one phase to where the slope changes its sign. The dual has kinks where a user's fastest
// row just meets a deadline: there the weights are what a mixture of both sides' makes of w_t.
void DeadlineBoxes::Uphill(const DeadlineBox& within,
                           double y_min,
                           int steps_max,
                           int phase,
                           PricedUsers* users,
                           DeadlinePoint* point) const {
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
    next.phases_s[phase] = Clamped(within, phase, next.phases_s[phase] * std::exp(room));
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

void DeadlineBoxes::Climb(DeadlinePoint* point) {
  constexpr int kStepsMax = 10, kRounds = 2;
  constexpr double kLowest = 0.8;
  PricedUsers* const users = pool_.front().get();
  const double y_min = kLowest * point->at.y;
  if (!SearchPoint(0.3, y_min, kFarBelow, users, point)) return;
  if (!(problem_.delay_weight_per_s > 0.0)) return;
  for (int i = 0; i < 2 * kRounds; ++i) Uphill({}, y_min, kStepsMax, 1 - i % 2, users, point);
}

// The point's multipliers, at most w_t in sum: then the box loses at most its sides' lengths times
// w_t to the point's deadlines moved to its upper corner. Less than w_t only where the point lies
// at the lower end, at which what is left is charged.
void DeadlineBoxes::SetWeights(Node* node) const {
  constexpr double kBelow = 1.0 - 1e-11;
  const double total = kBelow * problem_.delay_weight_per_s;
  for (int i = 0; i < 2; ++i) {
    std::vector<double>& weights = WeightsOf(&node->box, i);
    weights = node->point.weight_per_s[static_cast<std::size_t>(i)];
    const double sum = SumOf(weights);
    if (sum > total) {
      CapTo(total, &weights);
    } else if (node->point.phases_s[i] > *RangeOf(&node->box, i).min && sum > 0.0) {
      for (double& weight : weights) weight *= total / sum;
    }
  }
}

void DeadlineBoxes::SetPrices(Node* node) const {
  node->box.servers.clear();
  for (std::size_t m = 0; m < node->point.at.price.size(); ++m) {
    const Eigen::Vector4d& price = node->point.at.price[m];
    node->box.servers.push_back(
        {.bandwidth_per_hz = price[0] / problem_.server_bandwidth_hz[m],
         .power_per_w = price[1] / problem_.server_tx_power_w_max[m],
         .clock_per_hz = price[2] / problem_.server_clock_hz_max[m],
         .slot = price[3] > 0.0 ? price[3] / problem_.server_slots[m] : 0.0});
  }
}

// The box's dual at target_y with the point's prices and weights, which become the node's.
DualSums DeadlineBoxes::Look(double target_y, PricedUsers* users, Node* node) const {
  SetWeights(node);
  SetPrices(node);
  users->EnterBox(node->box);
  return users->Refresh({target_y, node->point.at.price}, kInfinity, kAllColumns, false);
}

void DeadlineBoxes::Evaluate(double target_y, PricedUsers* users, Node* node) const {
  constexpr int kStepsMax = 4, kPutOffMax = 12;
  DeadlinePoint& point = node->point;
  DeadlineBox& box = node->box;
  const DeadlineBox inherited = box;
  const double inherited_y = node->bound_y;
  node->point_y = 0.0;
  const Eigen::Vector2d before = point.phases_s;
  for (int i = 0; i < 2; ++i) point.phases_s[i] = Clamped(box, i, point.phases_s[i]);
  node->bound_y = 0.0;
  if (!users->EnterBox(box)) {
    SetWeights(node);
    SetPrices(node);
    return;
  }
  node->bound_y = target_y;
  if (Look(target_y, users, node).value <= 0.0) return;
  // Deadlines that some user cannot keep are put off.
  bool kept = point.phases_s == before;
  if (kept) node->point_y = point.at.y;
  for (int i = 0;
       i < kPutOffMax && !kept && !(kept = SearchPoint(0.02, target_y, kFarBelow, users, &point));
       ++i) {
    for (int phase = 0; phase < 2; ++phase) {
      const double longer = std::max(2.0 * point.phases_s[phase], 1e-3 * phase_scale_s_[phase]);
      point.phases_s[phase] = Clamped(box, phase, longer);
    }
  }
  if (kept && point.phases_s != before && point.at.y > target_y &&
      problem_.delay_weight_per_s > 0.0) {
    for (int i = 0; i < 2; ++i) Uphill(box, target_y, kStepsMax, i, users, &point);
    node->point_y = point.at.y;
  }
  if (kept) {
    const auto proves = [&] {
      const DualSums dual = Look(target_y, users, node);
      node->bound_y = target_y * (1.0 + std::max(0.0, dual.value / dual.cost));
      return dual.value <= 0.0;
    };
    if (proves()) return;
    if (point.at.y <= target_y) {
      SearchPoint(0.005, target_y, kInfinity, users, &point);
      if (proves()) return;
    }
    if (node->bound_y < inherited_y) return;
  }
  // What proved the whole proves its half.
  box = inherited;
  node->bound_y = inherited_y;
}

// At the middle of the longer side.
std::vector<DeadlineBoxes::Node> DeadlineBoxes::Split(const Node& node) const {
  constexpr double kBeyond = 1.3;
  double length[2] = {}, cut[2] = {};
  Node whole = node;
  for (int i = 0; i < 2; ++i) {
    const Range range = RangeOf(&whole.box, i);
    const double at = std::max(node.point.phases_s[i], 1e-3 * phase_scale_s_[i]);
    if (std::isfinite(*range.max)) {
      length[i] = *range.max - *range.min;
      cut[i] = *range.min + 0.5 * length[i];
    } else {
      cut[i] = std::max(kBeyond * at, 2.0 * *range.min);
      length[i] = phase_scale_s_[i] > 0.0 ? 3.0 * cut[i] : 0.0;
    }
  }
  const int phase = length[0] >= length[1] ? 0 : 1;
  std::vector<Node> halves(2, node);
  *RangeOf(&halves[0].box, phase).max = cut[phase];
  *RangeOf(&halves[1].box, phase).min = cut[phase];
  return halves;
}

Certificate DeadlineBoxes::Bound(const DeadlinePoint& start, double target_y) {
  constexpr double kRowsMax = 4e5, kBoxesMin = 8.0, kBoxesMax = 400.0;
  const auto boxes_max = static_cast<std::size_t>(
      std::clamp(kRowsMax / static_cast<double>(columns_.size()), kBoxesMin, kBoxesMax));
  constexpr double kWorthwhile = 0.1;  // Of the gap that stays: what splitting may still bring.
  std::vector<Node> nodes(1);
  nodes.front().point = start;
  nodes.front().bound_y = kInfinity;
  Evaluate(target_y, pool_.front().get(), &nodes.front());
  double floor_y = nodes.front().point_y;
  const auto worse = [](const Node& a, const Node& b) { return a.bound_y < b.bound_y; };
  while (problem_.delay_weight_per_s > 0.0 && nodes.size() < boxes_max && TimeLeftS() > 0.0) {
    const double enough = std::max(target_y, floor_y + kWorthwhile * (floor_y - target_y));
    std::vector<Node> batch;
    while (batch.size() < kBatch && !nodes.empty() && nodes.front().bound_y > enough) {
      std::pop_heap(nodes.begin(), nodes.end(), worse);
      if (Thin(nodes.back().box)) {
        floor_y = std::max(floor_y, nodes.back().bound_y);
        std::push_heap(nodes.begin(), nodes.end(), worse);
        break;
      }
      for (Node& half : Split(nodes.back())) batch.push_back(std::move(half));
      nodes.pop_back();
    }
    if (batch.empty()) break;
    ParallelFor(batch.size(), threads_, [&](std::size_t i) {
      Evaluate(target_y, pool_[i].get(), &batch[i]);
    });
    for (Node& node : batch) {
      floor_y = std::max(floor_y, node.point_y);
      nodes.push_back(std::move(node));
      std::push_heap(nodes.begin(), nodes.end(), worse);
    }
  }
  std::sort(nodes.begin(), nodes.end(), [](const Node& a, const Node& b) {
    return a.bound_y > b.bound_y;
  });
  Certificate certificate{.scr_upper = std::max(target_y, nodes.front().bound_y), .boxes = {}};
  for (Node& node : nodes) certificate.boxes.push_back(std::move(node.box));
  return certificate;
}

}  // namespace dashf::solvers::internal
