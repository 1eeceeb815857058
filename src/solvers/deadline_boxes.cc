#include "solvers/deadline_boxes.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/parallel.h"
#include "base/termination.h"

namespace dashf::solvers::internal {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kAllColumns = std::numeric_limits<std::size_t>::max();
constexpr std::size_t kBatch = 4;  // Boxes looked at side by side, whatever the threads.

}  // namespace

DeadlineBoxes::DeadlineBoxes(const ScrProblem& problem,
                             const Columns& columns,
                             const DeadlineEffort& effort,
                             int threads,
                             double time_limit_s)
    : problem_(problem),
      columns_(columns),
      threads_(threads),
      search_(problem, effort, time_limit_s),
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

void DeadlineBoxes::Climb(DeadlinePoint* point) {
  search_.Climb(pool_.front().get(), point);
}

const std::vector<float>& DeadlineBoxes::PsiAt(const DeadlinePoint& point) {
  PricedUsers& users = *pool_.front();
  const DeadlineBox box = search_.BoxOf(point);
  if (users.EnterBox(box)) users.Refresh(point.at, kInfinity, kAllColumns, false);
  return users.psi();
}

// The dual of a box that was given its prices and weights.
double DeadlineBoxes::ValueOf(const BoxPrices& candidate,
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
  const double last = LastBarrierS(problem_, y_);
  DeadlineBox box;
  double& end = *RangeOf(&box, phase).min_s;
  DeadlinePoint point = start;
  double next = std::max(start.phases_s[phase], 1e-3 * phase_scale_s_[phase]);
  for (int i = 0; i < kStepsMax && next > 0.0 && kLonger * next < last && search_.TimeLeftS() > 0.0;
       ++i) {
    end = next *= kLonger;
    point.phases_s[phase] = next;
    search_.SearchPrices(y_, pool_.front().get(), &point);
    const BoxPrices found{point.at.price, point.weight_per_s};
    Give(problem_, found, &box);
    if (ValueOf(found, box, pool_.front().get()) <= 0.0) return box;
  }
  end = last;
  GiveNothing(problem_, &box);
  return box;
}

// Those that every user can keep, and the peak where it is inside; the one of largest value first.
std::vector<const DeadlineCorner*> DeadlineBoxes::CornersOf(const Node& node) const {
  std::vector<const DeadlineCorner*> corners;
  const Eigen::Vector2d& early = node.corner.front()->point.phases_s;
  const Eigen::Vector2d& late = node.corner.back()->point.phases_s;
  const Eigen::Vector2d& peak = peak_.point.phases_s;
  if ((peak - early).minCoeff() >= 0.0 && (late - peak).minCoeff() >= 0.0) {
    corners.push_back(&peak_);
  }
  for (const CornerPtr& corner : node.corner) {
    if (corner->value > -kInfinity) corners.push_back(corner.get());
  }
  std::stable_sort(
      corners.begin(), corners.end(), [](const DeadlineCorner* a, const DeadlineCorner* b) {
        return a->value > b->value;
      });
  return corners;
}

// Gives the box the best of: its best corner's prices and weights, a mixture, and what it has from
// the box that it is a half of.
void DeadlineBoxes::Evaluate(PricedUsers* users, Node* node) const {
  if (node->corner.back()->value == -kInfinity) {  // No plan can be in it.
    const DeadlinePoint& any = peak_.point;
    if (node->box.servers.empty()) Give(problem_, {any.at.price, any.weight_per_s}, &node->box);
    node->bound_y = 0.0;
    return;
  }
  const std::vector<const DeadlineCorner*> corners = CornersOf(*node);
  const DeadlinePoint& best = corners.front()->point;
  std::array<Eigen::Vector2d, kCorners> ends_s;
  for (std::size_t k = 0; k < kCorners; ++k) ends_s[k] = node->corner[k]->point.phases_s;
  for (const bool mixed : {false, true}) {
    const BoxPrices candidate = mixed ? Mixture(problem_, y_, corners, ends_s)
                                      : BoxPrices{best.at.price, best.weight_per_s};
    DeadlineBox box = node->box;
    Give(problem_, candidate, &box);
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
  *RangeOf(&halves[0].box, phase).max_s = cut;
  *RangeOf(&halves[1].box, phase).min_s = cut;
  return halves;
}

// Finds the corners that no other box has had.
void DeadlineBoxes::SearchCorners(std::vector<Node>* nodes) {
  std::vector<DeadlineCorner> wanted;  // At first with the prices to start from.
  for (Node& node : *nodes) {
    const std::array<CornerPtr, kCorners> of_whole = node.corner;
    for (std::size_t k = 0; k < kCorners; ++k) {
      const Eigen::Vector2d at(
          k % 2 == 0 ? node.box.user_phase_s_min : node.box.user_phase_s_max,
          k / 2 == 0 ? node.box.server_phase_s_min : node.box.server_phase_s_max);
      const auto [entry, is_new] = corners_.try_emplace({at[0], at[1]});
      if (!is_new) continue;
      const DeadlineCorner* start = &peak_;
      for (const std::size_t from : {kCorners - 1, k}) {
        if (of_whole[from] && of_whole[from]->value > -kInfinity) start = of_whole[from].get();
      }
      wanted.push_back(*start);
      wanted.back().point.phases_s = at;
    }
  }
  for (std::size_t first = 0; first < wanted.size(); first += kBatch) {
    ParallelFor(std::min(kBatch, wanted.size() - first), threads_, [&](std::size_t i) {
      DeadlineCorner& corner = wanted[first + i];
      corner.value = search_.SearchPrices(y_, pool_[i].get(), &corner.point);
    });
  }
  for (DeadlineCorner& corner : wanted) {
    floor_y_ = std::max(floor_y_, YOf(corner.value));
    const Eigen::Vector2d at = corner.point.phases_s;
    corners_[{at[0], at[1]}] = std::make_shared<const DeadlineCorner>(std::move(corner));
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
  const BoxPrices candidate{start.at.price, start.weight_per_s};
  Give(problem_, candidate, &certificate.boxes.front());
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
  const DeadlineBox at_start = search_.BoxOf(start);
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
  while (nodes.size() < boxes_max && search_.TimeLeftS() > 0.0) {
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
