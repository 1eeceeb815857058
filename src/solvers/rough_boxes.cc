#include "solvers/rough_boxes.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace dashf::solvers::internal {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kAllColumns = std::numeric_limits<std::size_t>::max();

Eigen::Vector2d Clamped(const Eigen::Vector2d& phases_s, DeadlineBox box) {
  Eigen::Vector2d inside;
  for (int i = 0; i < 2; ++i) {
    const PhaseRange range = RangeOf(&box, i);
    inside[i] = std::clamp(phases_s[i], *range.min_s, *range.max_s);
  }
  return inside;
}

// ln of a side's ends' ratio; what begins at 0 is taken to begin at a fifth of its end.
double LengthOf(DeadlineBox box, int phase) {
  constexpr double kFromZero = 0.2;
  const PhaseRange range = RangeOf(&box, phase);
  return std::log(*range.max_s / std::max(*range.min_s, kFromZero * *range.max_s));
}

}  // namespace

RoughBoxes::RoughBoxes(const ScrProblem& problem,
                       const Columns& columns,
                       const DeadlineEffort& effort,
                       int threads,
                       double time_limit_s)
    : problem_(problem),
      search_(problem, effort, time_limit_s),
      users_(problem, columns, threads) {}

// Prices and weights at the point's deadlines, which no box that holds them can beat.
void RoughBoxes::Search(DeadlinePoint* point) {
  constexpr double kWorthwhile = 0.1;  // Of the gap that stays: what splitting may still bring.
  const double value = search_.SearchPrices(y_, &users_, point);
  if (value == -kInfinity) return;
  const double floor_y = YOf(value);
  y_ = std::max(y_, floor_y + kWorthwhile * (floor_y - target_y_));
  known_.push_back(*point);
}

const DeadlinePoint& RoughBoxes::Nearest(const DeadlineBox& box) const {
  const auto distance = [&](const DeadlinePoint& point) {
    const Eigen::Vector2d inside = Clamped(point.phases_s, box);
    return (inside.array() / point.phases_s.array()).log().abs().sum();
  };
  return *std::min_element(
      known_.begin(), known_.end(), [&](const DeadlinePoint& a, const DeadlinePoint& b) {
        return distance(a) < distance(b);
      });
}

// Gives the box the point's prices and weights; the dual. A sum of weights other than w_t is never
// better: a user's phase lasts at least the box's lower end, where what it carries more is what the
// barrier costs less, and at most its upper one.
double RoughBoxes::ValueAt(const DeadlinePoint& point, DeadlineBox* box) {
  constexpr double kBelow = 1.0 - 1e-11;  // Leaves room for rounding.
  BoxPrices given{point.at.price, point.weight_per_s};
  for (std::vector<double>& weights : given.weight_per_s) {
    const double total = kBelow * problem_.delay_weight_per_s, sum = SumOf(weights);
    for (double& weight : weights) {
      weight = sum > 0.0 ? weight * (total / sum) : total / static_cast<double>(weights.size());
    }
  }
  Give(problem_, given, box);
  if (!users_.EnterBox(*box)) return -kInfinity;
  return users_.Refresh({y_, point.at.price}, kInfinity, kAllColumns, false).value;
}

// [end, infinity) of one phase, with the other's whole range: where the barrier alone costs more
// than plans can earn, at the prices for the plan's deadlines, or at the latest where all users
// together could score no more with every resource their own.
DeadlineBox RoughBoxes::EverythingBeyond(int phase) {
  constexpr double kFirst = 2.0, kFurther = 1.05;
  constexpr int kStepsMax = 5;
  const double w_t = problem_.delay_weight_per_s;
  const double last = LastBarrierS(problem_, y_);
  DeadlineBox box;
  double& end = *RangeOf(&box, phase).min_s;
  end = std::min(last, kFirst * known_.front().phases_s[phase]);
  for (int i = 0; i < kStepsMax && end < last && search_.TimeLeftS() > 0.0; ++i) {
    const double value = ValueAt(known_.front(), &box);
    if (value <= 0.0) return box;
    end = std::min(last, kFurther * (end + value / (y_ * w_t)));
  }
  end = last;
  GiveNothing(problem_, &box);
  return box;
}

// The better of the nearest point's prices and the plan's, where the box has none as good.
void RoughBoxes::Evaluate(Open* open) {
  const auto look = [&](const DeadlinePoint& point) {
    DeadlineBox box = open->box;
    const double bound_y = YOf(ValueAt(point, &box));
    if (bound_y < open->bound_y) *open = {std::move(box), bound_y};
  };
  const DeadlinePoint& nearest = Nearest(open->box);
  look(nearest);
  if (open->bound_y > y_ && &nearest != &known_.front()) look(known_.front());
}

// Where the box is nearest to the plan's deadlines its bound is greatest: prices for there. Not
// where they are known or there is no time, nor in a long box, which a cut does more for.
void RoughBoxes::SearchWithin(Open* open) {
  const double kShort = std::log(1.25);
  const Eigen::Vector2d at = Clamped(known_.front().phases_s, open->box);
  if (std::max(LengthOf(open->box, 0), LengthOf(open->box, 1)) > kShort) return;
  DeadlinePoint point = Nearest(open->box);
  if (point.phases_s == at || search_.TimeLeftS() <= 0.0) return;
  point.phases_s = at;
  Search(&point);
  Evaluate(open);
}

// Narrow towards the plan's deadlines, where boxes are hard; more so before them, where servers
// that are nearly sold out would be asked for more.
double RoughBoxes::CutOf(const DeadlineBox& box, int phase) const {
  constexpr double kWide = 1.5, kLittleEarlier = 0.97;  // One end of a side over the other.
  DeadlineBox ends = box;
  const double min = *RangeOf(&ends, phase).min_s, max = *RangeOf(&ends, phase).max_s;
  const double plan = known_.front().phases_s[phase], middle = std::sqrt(min * max);
  if (plan <= min) return std::min(kWide * min, middle);
  if (plan > max) return std::max(max / kWide, middle);
  return plan == max ? std::max(kLittleEarlier * max, middle) : plan;
}

bool RoughBoxes::Split(const Open& open, std::deque<Open>* into) const {
  constexpr double kThin = 0.01;
  const int phase = LengthOf(open.box, 0) >= LengthOf(open.box, 1) ? 0 : 1;
  if (LengthOf(open.box, phase) <= kThin) return false;
  const double cut = CutOf(open.box, phase);
  for (const bool upper : {false, true}) {
    Open half = open;
    const PhaseRange range = RangeOf(&half.box, phase);
    *(upper ? range.min_s : range.max_s) = cut;
    into->push_back(std::move(half));
  }
  return true;
}

Certificate RoughBoxes::Bound(const DeadlinePoint& start, double target_y) {
  constexpr std::size_t kBoxesMax = 60;
  y_ = target_y_ = target_y;
  const DeadlineBox at_start = search_.BoxOf(start);
  users_.EnterBox(at_start);
  cost_ = users_.Refresh({y_, start.at.price}, kInfinity, kAllColumns, false).cost;
  known_.clear();
  DeadlinePoint plan = start;
  Search(&plan);
  if (known_.empty()) known_ = {plan};
  std::vector<DeadlineBox> done = {EverythingBeyond(0), EverythingBeyond(1)};
  std::deque<Open> open(1);
  open.front().bound_y = kInfinity;
  for (int i = 0; i < 2; ++i) {
    *RangeOf(&open.front().box, i).max_s = *RangeOf(&done[static_cast<std::size_t>(i)], i).min_s;
  }
  std::vector<Open> closed;
  while (!open.empty()) {
    Open next = std::move(open.front());
    open.pop_front();
    // When the time is up a box keeps the prices of the one it was cut from, whose bound is its
    // own.
    const bool in_time = search_.TimeLeftS() > 0.0;
    if (in_time || next.bound_y == kInfinity) Evaluate(&next);
    if (in_time && next.bound_y > y_) SearchWithin(&next);
    const bool may_split = in_time && open.size() + closed.size() < kBoxesMax;
    if (next.bound_y > y_ && may_split && Split(next, &open)) continue;
    closed.push_back(std::move(next));
  }
  std::stable_sort(closed.begin(), closed.end(), [](const Open& a, const Open& b) {
    return a.bound_y > b.bound_y;
  });
  Certificate certificate{.scr_upper = std::max(y_, closed.front().bound_y), .boxes = {}};
  for (Open& box : closed) certificate.boxes.push_back(std::move(box.box));
  for (DeadlineBox& box : done) certificate.boxes.push_back(std::move(box));
  return certificate;
}

}  // namespace dashf::solvers::internal
