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

std::vector<double>& WeightsOf(DeadlineBox* box, int phase) {
  return phase == 0 ? box->user_phase_weight_per_s : box->server_phase_weight_per_s;
}

double SumOf(const std::vector<double>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), 0.0);
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
void DeadlineBoxes::Uphill(
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

void DeadlineBoxes::Climb(DeadlinePoint* point) {
  constexpr int kStepsMax = 10, kRounds = 2;
  constexpr double kLowest = 0.8;
  PricedUsers* const users = pool_.front().get();
  const double y_min = kLowest * point->at.y;
  if (!SearchPoint(0.3, y_min, kFarBelow, users, point)) return;
  if (!(problem_.delay_weight_per_s > 0.0)) return;
  for (int i = 0; i < 2 * kRounds; ++i) Uphill(y_min, kStepsMax, 1 - i % 2, users, point);
}

// The prices that bound the plans that keep these deadlines, from those of `start`, at y_.
DeadlineBoxes::Corner DeadlineBoxes::SearchCorner(const Eigen::Vector2d& phases_s,
                                                  const Corner& start,
                                                  PricedUsers* users) const {
  Corner corner{start.point, -kInfinity};
  DeadlinePoint& point = corner.point;
  point.phases_s = phases_s;
  point.at.y = y_;
  const DeadlineBox box = BoxOf(point);
  if (!users->EnterBox(box)) return corner;
  point.at = SearchPrices(problem_,
                          point.at,
                          {.smoothing_first = 0.02,
                           .smoothing_last = 1e-4,
                           .warm = true,
                           .y_max = y_,
                           .y_min = y_,
                           .far_below = kFarBelow,
                           .time_limit_s = TimeLeftS()},
                          users);
  ReadWeights(*users, &point);
  corner.value = users->Refresh(point.at, kInfinity, kAllColumns, false).value;
  return corner;
}

void DeadlineBoxes::Give(const Candidate& candidate, DeadlineBox* box) const {
  box->servers.clear();
  for (std::size_t m = 0; m < candidate.price.size(); ++m) {
    const Eigen::Vector4d& price = candidate.price[m];
    box->servers.push_back({.bandwidth_per_hz = price[0] / problem_.server_bandwidth_hz[m],
                            .power_per_w = price[1] / problem_.server_tx_power_w_max[m],
                            .clock_per_hz = price[2] / problem_.server_clock_hz_max[m],
                            .slot = price[3] > 0.0 ? price[3] / problem_.server_slots[m] : 0.0});
  }
  // An infinite end asks for a sum below w_t.
  constexpr double kBelow = 1.0 - 1e-11;
  for (int i = 0; i < 2; ++i) {
    std::vector<double>& weights = WeightsOf(box, i);
    weights = candidate.weight_per_s[static_cast<std::size_t>(i)];
    const double total = kBelow * problem_.delay_weight_per_s;
    if (!std::isfinite(*RangeOf(box, i).max) && SumOf(weights) > total) CapTo(total, &weights);
  }
}

// The dual of a box that was given its prices and weights.
double DeadlineBoxes::ValueOf(const Candidate& candidate,
                              const DeadlineBox& box,
                              PricedUsers* users) const {
  if (!users->EnterBox(box)) return -kInfinity;
  return users->Refresh({y_, candidate.price}, kInfinity, kAllColumns, false).value;
}

// [end, infinity) of one phase, with the other's whole range, so far out that its barrier alone
// costs more than plans can earn. At the latest that is where all users together could score no
// more with every resource their own, which needs no prices.
DeadlineBox DeadlineBoxes::EverythingBeyond(int phase, const DeadlinePoint& start) const {
  constexpr double kLonger = 1.5;
  constexpr int kStepsMax = 12;
  const double users = static_cast<double>(problem_.users());
  const double score = users * problem_.score_scale * std::log1p(3.0 * problem_.score_gain);
  const double last = 1.001 * score / (y_ * problem_.delay_weight_per_s);
  DeadlineBox box;
  double& end = *RangeOf(&box, phase).min;
  Corner corner{start, 0.0};
  double next = std::max(start.phases_s[phase], 1e-3 * phase_scale_s_[phase]);
  for (int i = 0; i < kStepsMax && next > 0.0 && kLonger * next < last && TimeLeftS() > 0.0; ++i) {
    end = next *= kLonger;
    corner.point.phases_s[phase] = next;
    corner = SearchCorner(corner.point.phases_s, corner, pool_.front().get());
    const Candidate found{corner.point.at.price, corner.point.weight_per_s};
    Give(found, &box);
    if (ValueOf(found, box, pool_.front().get()) <= 0.0) return box;
  }
  const std::vector<double> none(static_cast<std::size_t>(problem_.users()), 0.0);
  end = last;
  Give({ServerVector(problem_.server_slots.size(), Eigen::Vector4d::Zero()), {none, none}}, &box);
  return box;
}

// A corner's bound, continued over the box by its multipliers: what its prices and weights make of
// another corner as long as everyone stays with its row.
double DeadlineBoxes::TangentAt(const Corner& corner, const Eigen::Vector2d& phases_s) const {
  double value = corner.value;
  for (int i = 0; i < 2; ++i) {
    const double sum = SumOf(corner.point.weight_per_s[static_cast<std::size_t>(i)]);
    value += y_ * (sum - problem_.delay_weight_per_s) * (phases_s[i] - corner.point.phases_s[i]);
  }
  return value;
}

// Those that every user can keep, and the peak where it is inside; the one of largest value first.
std::vector<const DeadlineBoxes::Corner*> DeadlineBoxes::CornersOf(const Node& node) const {
  std::vector<const Corner*> corners;
  const Eigen::Vector2d& early = node.corner.front()->point.phases_s;
  const Eigen::Vector2d& late = node.corner.back()->point.phases_s;
  const Eigen::Vector2d& peak = peak_.point.phases_s;
  if ((peak - early).minCoeff() >= 0.0 && (late - peak).minCoeff() >= 0.0) {
    corners.push_back(&peak_);
  }
  for (const CornerPtr& corner : node.corner) {
    if (corner->value > -kInfinity) corners.push_back(corner.get());
  }
  std::stable_sort(corners.begin(), corners.end(), [](const Corner* a, const Corner* b) {
    return a->value > b->value;
  });
  return corners;
}

// On a ridge between two corners the multipliers of one ask for later deadlines, those of the other
// for earlier ones. The dual is convex in prices and weights, so a mixture of both bounds the box
// by a mixture of their tangents: the one that is least at its worst corner.
DeadlineBoxes::Candidate DeadlineBoxes::Mixture(const Node& node) const {
  using Values = std::array<double, kCorners>;
  const std::vector<const Corner*> corners = CornersOf(node);
  std::vector<Values> tangents;
  for (const Corner* corner : corners) {
    tangents.emplace_back();
    for (std::size_t k = 0; k < kCorners; ++k) {
      tangents.back()[k] = TangentAt(*corner, node.corner[k]->point.phases_s);
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
  Candidate mixture{one.at.price, one.weight_per_s};
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

// Gives the box the best of: its best corner's prices and weights, a mixture, and what it has from
// the box that it is a half of.
void DeadlineBoxes::Evaluate(PricedUsers* users, Node* node) const {
  if (node->corner.back()->value == -kInfinity) {  // No plan can be in it.
    const DeadlinePoint& any = peak_.point;
    if (node->box.servers.empty()) Give({any.at.price, any.weight_per_s}, &node->box);
    node->bound_y = 0.0;
    return;
  }
  for (const bool mixed : {false, true}) {
    const DeadlinePoint& best = CornersOf(*node).front()->point;
    const Candidate candidate =
        mixed ? Mixture(*node) : Candidate{best.at.price, best.weight_per_s};
    DeadlineBox box = node->box;
    Give(candidate, &box);
    const double bound_y = YOf(ValueOf(candidate, box, users));
    if (bound_y < node->bound_y) {
      node->bound_y = bound_y;
      node->box = std::move(box);
    }
    if (node->bound_y <= y_) return;
  }
}

// At the middle of the longer side: a second costs the same in both phases. None if it is too thin.
std::vector<DeadlineBoxes::Node> DeadlineBoxes::Split(const Node& node) const {
  constexpr double kThin = 1e-7;
  const Eigen::Vector2d& late = node.corner.back()->point.phases_s;
  const Eigen::Vector2d length = late - node.corner.front()->point.phases_s;
  const int phase = length[0] >= length[1] ? 0 : 1;
  if (length[phase] <= kThin * late[phase]) return {};
  std::vector<Node> halves(2, node);
  const double cut = late[phase] - 0.5 * length[phase];
  *RangeOf(&halves[0].box, phase).max = cut;
  *RangeOf(&halves[1].box, phase).min = cut;
  return halves;
}

// Finds the corners that no other box has had.
void DeadlineBoxes::SearchCorners(std::vector<Node>* nodes) {
  std::vector<Corner> wanted;  // At first with the prices to start from.
  for (Node& node : *nodes) {
    const std::array<CornerPtr, kCorners> of_whole = node.corner;
    for (std::size_t k = 0; k < kCorners; ++k) {
      const Eigen::Vector2d at(
          k % 2 == 0 ? node.box.user_phase_s_min : node.box.user_phase_s_max,
          k / 2 == 0 ? node.box.server_phase_s_min : node.box.server_phase_s_max);
      const auto [entry, is_new] = corners_.try_emplace({at[0], at[1]});
      if (!is_new) continue;
      const Corner* start = &peak_;
      for (const std::size_t from : {kCorners - 1, k}) {
        if (of_whole[from] && of_whole[from]->value > -kInfinity) start = of_whole[from].get();
      }
      wanted.push_back(*start);
      wanted.back().point.phases_s = at;
    }
  }
  for (std::size_t first = 0; first < wanted.size(); first += kBatch) {
    ParallelFor(std::min(kBatch, wanted.size() - first), threads_, [&](std::size_t i) {
      Corner& corner = wanted[first + i];
      corner = SearchCorner(corner.point.phases_s, corner, pool_[i].get());
    });
  }
  for (Corner& corner : wanted) {
    floor_y_ = std::max(floor_y_, YOf(corner.value));
    const Eigen::Vector2d at = corner.point.phases_s;
    corners_[{at[0], at[1]}] = std::make_shared<const Corner>(std::move(corner));
  }
  for (Node& node : *nodes) {
    const DeadlineBox& box = node.box;
    node.corner = {corners_[{box.user_phase_s_min, box.server_phase_s_min}],
                   corners_[{box.user_phase_s_max, box.server_phase_s_min}],
                   corners_[{box.user_phase_s_min, box.server_phase_s_max}],
                   corners_[{box.user_phase_s_max, box.server_phase_s_max}]};
  }
}

// The halves of the boxes of largest bound.
std::vector<DeadlineBoxes::Node> DeadlineBoxes::SplitWorst(std::vector<Node>* nodes) {
  std::vector<Node> halves;
  while (halves.size() < kBatch && !nodes->empty() && nodes->front().bound_y > y_) {
    std::vector<Node> split = Split(nodes->front());
    if (split.empty()) {  // Its deadlines are a point's.
      floor_y_ = std::max(floor_y_, nodes->front().bound_y);
      break;
    }
    std::pop_heap(nodes->begin(), nodes->end(), Lower{});
    nodes->pop_back();
    for (Node& half : split) halves.push_back(std::move(half));
  }
  SearchCorners(&halves);
  ParallelFor(
      halves.size(), threads_, [&](std::size_t i) { Evaluate(pool_[i].get(), &halves[i]); });
  return halves;
}

// Where delay costs nothing there is one box.
Certificate DeadlineBoxes::WithoutDeadlines(const DeadlinePoint& start) {
  Certificate certificate{.scr_upper = y_, .boxes = {DeadlineBox{}}};
  const Candidate candidate{start.at.price, start.weight_per_s};
  Give(candidate, &certificate.boxes.front());
  const double value = ValueOf(candidate, certificate.boxes.front(), pool_.front().get());
  certificate.scr_upper = std::max(y_, YOf(value));
  return certificate;
}

Certificate DeadlineBoxes::Bound(const DeadlinePoint& start, double target_y) {
  constexpr double kWorkMax = 1e6, kBoxesMin = 8.0, kBoxesMax = 600.0;
  constexpr double kWorthwhile = 0.1;  // Of the gap that stays: what splitting may still bring.
  const auto boxes_max = static_cast<std::size_t>(
      std::clamp(kWorkMax / static_cast<double>(columns_.size()), kBoxesMin, kBoxesMax));
  y_ = target_y;
  floor_y_ = start.at.y;
  corners_.clear();
  const auto raise_target = [&] {
    y_ = std::max(y_, floor_y_ + kWorthwhile * (floor_y_ - target_y));
  };
  raise_target();
  const DeadlineBox at_start = BoxOf(start);
  pool_.front()->EnterBox(at_start);
  const DualSums sums = pool_.front()->Refresh({y_, start.at.price}, kInfinity, kAllColumns, false);
  peak_ = {start, sums.value};
  cost_ = sums.cost;
  if (!(problem_.delay_weight_per_s > 0.0)) return WithoutDeadlines(start);
  Certificate certificate{.scr_upper = y_,
                          .boxes = {EverythingBeyond(0, start), EverythingBeyond(1, start)}};
  std::vector<Node> nodes(1);
  nodes.front().bound_y = kInfinity;
  nodes.front().box.user_phase_s_max = certificate.boxes[0].user_phase_s_min;
  nodes.front().box.server_phase_s_max = certificate.boxes[1].server_phase_s_min;
  SearchCorners(&nodes);
  Evaluate(pool_.front().get(), &nodes.front());
  while (nodes.size() < boxes_max && TimeLeftS() > 0.0) {
    raise_target();
    std::vector<Node> halves = SplitWorst(&nodes);
    if (halves.empty() && !(floor_y_ > y_)) break;
    for (Node& half : halves) {
      nodes.push_back(std::move(half));
      std::push_heap(nodes.begin(), nodes.end(), Lower{});
    }
  }
  std::sort_heap(nodes.begin(), nodes.end(), Lower{});
  certificate.scr_upper = std::max(y_, nodes.back().bound_y);
  std::vector<DeadlineBox> boxes;
  while (!nodes.empty()) {
    boxes.push_back(std::move(nodes.back().box));
    nodes.pop_back();
  }
  std::swap(boxes, certificate.boxes);
  certificate.boxes.insert(certificate.boxes.end(), boxes.begin(), boxes.end());
  return certificate;
}

}  // namespace dashf::solvers::internal
