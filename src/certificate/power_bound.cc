#include "certificate/power_bound.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "certificate/rounding.h"

namespace dashf::certificate {
namespace {

constexpr int kBoxesMax = 3000;

double PositivePart(double x) {
  return x <= 0.0 ? 0.0 : x == x ? x : kInfinity;
}

struct Box {
  double q_low = 0.0, q_high = 0.0;
  double b_low = 0.0, b_high = 0.0;
};

// amount / r(b, q) >= constant - per_hz b - per_w q for all b, q > 0, r = b ln(1 + eta q / b): r is
// concave and homogeneous, so its tangent plane at any z0 = ln(1 + snr), z0 - (1 - exp(-z0)) per Hz
// and eta exp(-z0) per W, bounds it from above, and 1 / r >= 2 / R - r / R^2 for any R > 0.
struct Plane {
  double constant = 0.0, per_hz = 0.0, per_w = 0.0;
};

Plane SendingCost(const RowProblem& row, double amount, double b, double q) {
  if (amount == 0.0) return {};
  const double snr = row.snr_hz_per_w * q / b;
  const double z = std::log1p(snr), rate = b * z;
  if (!(rate > 0.0 && std::isfinite(rate))) return {-kInfinity, 0.0, 0.0};
  const Interval kept = Exp(-z);
  // What cancels in z - (1 - exp(-z)) where z is small is of second order: z^2 / 2 is above it.
  const double per_hz = std::min((Interval(z) - Interval(1.0) + kept).hi, Up(0.5 * Up(z * z)));
  const Interval weight = Interval(amount) / (Interval(rate) * rate);
  return {(Interval(2.0) * amount / rate).lo,
          Up(weight.hi * PositivePart(per_hz)),
          (weight * row.snr_hz_per_w * kept).hi};
}

class PowerSearch {
 public:
  PowerSearch(const RowProblem& row, double tolerance, double* incumbent)
      : row_(row),
        tolerance_(tolerance),
        incumbent_(incumbent),
        delay_(std::max(0.0, Down(row.server_weight_per_s * row.download_nat))),
        energy_(std::max(0.0, Down(row.energy_weight_per_j * row.download_nat))) {}

  double Run(const Point& start) {
    const double rho = std::expm1(start.z) / row_.snr_hz_per_w;
    const double peak = std::min(rho * start.bandwidth_hz, row_.power_max);
    if (!(peak > 0.0)) return kInfinity;
    Point near = start;
    const double end = LeftEnd(peak, &near);
    near = start;
    Push({end, peak, 0.0, row_.bandwidth_max});
    if (peak < row_.power_max) Push({peak, row_.power_max, 0.0, row_.bandwidth_max});
    while (!stack_.empty()) {
      const Box box = stack_.back();
      stack_.pop_back();
      Work(box, &near);
      if (boxes_ >= kBoxesMax) break;
    }
    return stack_.empty() ? proven_ : kInfinity;
  }

 private:
  double Target() const { return *incumbent_ + tolerance_; }
  void Push(const Box& box) { stack_.push_back(box); }
  Point Solve(double q, const Box& box, const Point& near) {
    const Point point = SolveAtPower(row_, q, box.b_low, box.b_high, near, kRough);
    if (point.value > *incumbent_) *incumbent_ = point.value;
    return point;
  }

  // A power below which each term by itself bounds the objective: the rate is at most eta q.
  double LeftEnd(double peak, Point* near) {
    constexpr int kStepsMax = 40;
    const Box all{0.0, peak, 0.0, row_.bandwidth_max};
    double q = 0.5 * peak, bound = kInfinity;
    for (int i = 0; i < kStepsMax; ++i, q *= 0.25) {
      *near = Solve(q, all, *near);
      const Linearisation lin = LineariseAt(row_, *near);
      const double gain = Up(Up(PositivePart(lin.bandwidth_value) * row_.bandwidth_max) +
                             Up(PositivePart(lin.power_value) * q));
      const Interval eta = row_.snr_hz_per_w;
      const double cost = Down((Interval(delay_) / (eta * q)).lo + (Interval(energy_) / eta).lo);
      bound = Up(Up(lin.constant + gain) - cost);
      if (bound <= Target()) break;
    }
    proven_ = bound == bound ? bound : kInfinity;
    return std::min(q, 0.5 * peak);
  }

  // At any one b the objective is concave in q but for the energy q / r, which lies above its chord
  // between the ends; at either end all is below a plane.
  void Work(const Box& box, Point* near) {
    ++boxes_;
    const double q = std::sqrt(box.q_low * box.q_high);
    *near = Solve(q, box, *near);
    const double b = std::max(near->bandwidth_hz, 1e-12 * row_.bandwidth_max);
    const Linearisation lin = LineariseAt(row_, *near);
    const Plane delay = SendingCost(row_, delay_, b, q);
    double proven = -kInfinity, at_centre = -kInfinity;
    for (const double end : {box.q_low, box.q_high}) {
      const Plane energy = SendingCost(row_, Down(energy_ * end), b, end);
      const double per_hz = Up(lin.bandwidth_value + Up(delay.per_hz + energy.per_hz));
      const double per_w = Up(lin.power_value + Up(delay.per_w + energy.per_w));
      const double constant = Up(lin.constant - Down(delay.constant + energy.constant));
      const double without = Up(constant + Up(per_w * end));
      const double best = per_hz > 0.0 ? box.b_high : box.b_low;
      const double most = Up(without + Up(per_hz * best));
      proven = std::max(proven, most == most ? most : kInfinity);
      at_centre = std::max(at_centre, without + per_hz * near->bandwidth_hz);
    }
    if (proven <= Target()) {
      proven_ = std::max(proven_, proven);
      return;
    }
    Split(box, *near, !(proven - at_centre <= at_centre - near->value), proven);
  }

  void Split(const Box& box, const Point& centre, bool in_b, double proven) {
    Box first = box, second = box;
    const double inner = 0.1 * (box.b_high - box.b_low);
    double b = centre.bandwidth_hz;
    if (!(b > box.b_low + inner && b < box.b_high - inner)) b = 0.5 * (box.b_low + box.b_high);
    const double q = std::sqrt(box.q_low * box.q_high);
    in_b = in_b && b > box.b_low && b < box.b_high;
    if (in_b) {
      first.b_high = second.b_low = b;
    } else if (q > box.q_low * (1.0 + 1e-12) && q < box.q_high) {
      first.q_high = second.q_low = q;
    } else {
      proven_ = std::max(proven_, proven);
      return;
    }
    Push(first);
    Push(second);
  }

  const RowProblem& row_;
  const double tolerance_;
  double* const incumbent_;
  const double delay_, energy_;  // Times 1 / rate; the energy's times q.
  double proven_ = -kInfinity;
  std::vector<Box> stack_;
  int boxes_ = 0;
};

}  // namespace

double BoundRowOverPower(const RowProblem& row,
                         const Point& start,
                         double tolerance,
                         double* incumbent) {
  return PowerSearch(row, tolerance, incumbent).Run(start);
}

}  // namespace dashf::certificate
