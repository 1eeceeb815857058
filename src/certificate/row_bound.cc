#include "certificate/row_bound.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "certificate/power_bound.h"
#include "certificate/rounding.h"

namespace dashf::certificate {
namespace {

constexpr int kBoxesMax = 3000;
constexpr int kMarchMax = 20000;  // Boxes, of which hardly any row takes a hundred.
constexpr int kStackMax = 160;
constexpr double kFirstStep = 0.01;  // Relative, of z; longer where the row loses by a margin.
constexpr double kStepMin = 1e-6;
constexpr double kShortStep = 0.02;  // Relative, of z.
constexpr int kEndSteps = 40;
// ln(1 + snr) of the download up to which the objective is nearly flat along b z = const.
constexpr double kWeakSignal = 1.0;

// NaN proves nothing.
double OrInfinity(double x) {
  return x == x ? x : kInfinity;
}
double PositivePart(double x) {
  return x <= 0.0 ? 0.0 : OrInfinity(x);
}

// z exp(z) - expm1(z), for z > 0: the integral of t exp(t), between z^2 / 2 + z^3 / 3 and z^2 / 2 +
// z^3 / 3 exp(z). Where z is small the difference cancels and the ends are near.
Interval Chi(Interval z, Interval exp_z, Interval expm1_z) {
  const Interval chi = z * exp_z - expm1_z, square = z * z, third = square * z / 3.0;
  return {std::max(chi.lo, (square / 2.0 + third).lo),
          std::min(chi.hi, (square / 2.0 + third * exp_z).hi)};
}

// The energy of sending is jointly convex in (b, T) and depends on bT alone, so its tangent at
// (b0, T0) with b0 T0 = U / z is (e / eta) (U / z (expm1 z + 2 chi) - chi (T0 b + b0 T)). The power
// limit U / T <= r(b, p_max) enters with a multiplier sigma >= 0 and r's tangent plane, and
// omega T + sigma U / T >= 2 sqrt(omega sigma U) removes T, omega = wu - e b0 chi / eta >= 0.
Minorant UploadMinorant(const RowProblem& row, double b, double z) {
  if (row.upload_nat == 0.0) return {};
  const Interval eta = row.snr_hz_per_w;
  const Interval energy = Interval(row.energy_weight_per_j) * row.upload_nat / eta;
  const double wu = row.user_weight_per_s;
  if (wu == 0.0 || !(b > 0.0) || !(z > 0.0)) return {energy.lo, 0.0};
  const Interval exp_z = Exp(z);
  const Interval expm1_z = Expm1(z);
  const Interval chi = Chi(z, exp_z, expm1_z);
  const Interval energy_price = Interval(row.energy_weight_per_j) * chi / eta;  // e chi / eta.
  const double omega = (Interval(wu) - energy_price * b).lo;
  const bool power_binds = omega > 0.0;
  if (!power_binds) {
    b = Down(wu / energy_price.hi);
    if (!(b > 0.0)) return {energy.lo, 0.0};
  }
  const Interval t0 = Interval(row.upload_nat) / (Interval(z) * b);
  Interval constant = energy / z * (expm1_z + Interval(2.0) * chi);
  Interval slope = -(energy_price * t0);
  if (power_binds) {
    const double sigma = omega * t0.lo * t0.lo / row.upload_nat;
    const Interval snr = eta * row.user_power_max / b;
    const Interval per_power = snr / (Interval(1.0) + snr);  // r_p p_max / b.
    const Interval per_hz = Log1p(snr) - per_power;
    const double gained = SqrtDown(Down(Down(omega * sigma) * row.upload_nat));
    constant = constant + Interval(Down(2.0 * gained)) - Interval(sigma) * per_power * b;
    slope = slope - Interval(sigma) * per_hz;
  }
  return {constant.lo, slope.lo};
}

// An upper bound of max over [low, high] of kappa b - tau / b, tau >= 0, low >= 0.
double PeakOverBandwidth(double kappa, double tau, double low, double high) {
  if (!(kappa == kappa && tau == tau)) return kInfinity;
  const auto at = [&](double b) { return Up(Up(kappa * b) - (tau > 0.0 ? Down(tau / b) : 0.0)); };
  if (kappa >= 0.0 || tau >= Up(-kappa * Up(high * high))) return at(high);
  if (low > 0.0 && tau <= Down(-kappa * Down(low * low))) return at(low);
  return Up(-2.0 * SqrtDown(std::max(0.0, Down(tau * -kappa))));
}

struct Box {
  double z_low = 0.0;
  double z_high = 0.0;
  double b_low = 0.0;
  double b_high = 0.0;
};

struct BoxBound {
  double proven = kInfinity;
  double at_centre = kInfinity;  // The same without freedom in b, unrounded: what z alone costs.

  bool WantsSplitInB(const Point& centre) const {
    return !(proven - at_centre <= at_centre - centre.value);
  }
};

// b <= power_max / rho(z) too.
double BandwidthReach(const RowProblem& row, double z_low, double b_high) {
  if (!(z_low > 0.0)) return b_high;
  return std::min(b_high, ((Interval(row.power_max) * row.snr_hz_per_w) / Expm1(z_low)).hi);
}

// For z <= z_low or z >= z_high, or any interval that has no finite ends: each term by itself.
double FirstOrderBound(const RowProblem& row, const Linearisation& lin, const Box& box) {
  const double reach = BandwidthReach(row, box.z_low, box.b_high);
  const Interval eta = row.snr_hz_per_w;
  double power = row.power_max;
  if (std::isfinite(box.z_high)) {
    power = std::min(power, (Expm1(box.z_high) / eta * reach).hi);
  }
  const double power_gain = Up(PositivePart(lin.power_value) * power);
  const double nat_delay_cost = Down(row.server_weight_per_s * row.download_nat);
  double bandwidth_gain = 0.0;
  if (std::isfinite(box.z_high)) {
    bandwidth_gain =
        PeakOverBandwidth(lin.bandwidth_value, Down(nat_delay_cost / box.z_high), box.b_low, reach);
  } else {
    const Interval rate = Interval(reach) * Log1p(eta * row.power_max / reach);
    bandwidth_gain = Up(PeakOverBandwidth(lin.bandwidth_value, 0.0, box.b_low, reach) -
                        Down(nat_delay_cost / rate.hi));
  }
  const Interval growth = box.z_low > 0.0 ? Expm1(box.z_low) / box.z_low : Interval(1.0);
  const Interval energy = Interval(row.energy_weight_per_j) * row.download_nat * growth / eta;
  return OrInfinity(Up(Up(lin.constant + Up(power_gain + bandwidth_gain)) - energy.lo));
}

// Minorants of C_up that each hold everywhere, each to be used on a piece of the bandwidths. One
// alone is a line, which leaves a user whose bandwidth is hardly worth its price free to take all
// of it.
class UploadCover {
 public:
  UploadCover(const RowProblem& row, double centre_hz, double z) {
    constexpr std::array<double, kPieces> kRatio = {0.1, 0.3, 0.55, 0.8, 1.0, 1.25, 1.8, 3.5, 10.0};
    for (std::size_t i = 0; i < kPieces; ++i) {
      const double b = centre_hz * kRatio[i];
      z = BestUploadZ(row, b, z);
      minorant_[i] = UploadMinorant(row, b, z);
      if (i > 0) begin_[i] = centre_hz * std::sqrt(kRatio[i - 1] * kRatio[i]);
    }
  }

  // An upper bound of max over [low, high] of kappa b - tau / b - C_up(b).
  double Peak(double kappa, double tau, double low, double high) const {
    double peak = -kInfinity;
    for (std::size_t i = 0; i < kPieces; ++i) {
      const double from = std::max(low, begin_[i]);
      const double to = i + 1 < kPieces ? std::min(high, begin_[i + 1]) : high;
      if (from > to) continue;
      const Minorant& upload = minorant_[i];
      const double without = PeakOverBandwidth(Up(kappa - upload.slope), tau, from, to);
      peak = std::max(peak, OrInfinity(Up(without - upload.constant)));
    }
    return peak;
  }

 private:
  static constexpr std::size_t kPieces = 9;
  std::array<Minorant, kPieces> minorant_;
  std::array<double, kPieces> begin_{};
};

// With x = 1 / z: the download's delay cost is linear in x, its energy convex, rho convex. Between
// the ends of an interval the objective at any b is below the chord of its values there with the
// energy (and, where more power costs, rho) replaced by a tangent.
class Chord {
 public:
  Chord(const RowProblem& row, const Box& box)
      : b_low_(box.b_low), reach_(BandwidthReach(row, box.z_low, box.b_high)) {
    const Interval eta = row.snr_hz_per_w;
    const double z_mid = 2.0 * box.z_low * box.z_high / (box.z_low + box.z_high);
    const Interval exp_mid = Exp(z_mid);
    const Interval expm1_mid = Expm1(z_mid);
    const Interval chi = Chi(z_mid, exp_mid, expm1_mid);
    const Interval energy = Interval(row.energy_weight_per_j) * row.download_nat / eta;
    const double nat_delay_cost = Down(row.server_weight_per_s * row.download_nat);
    for (std::size_t i = 0; i < 2; ++i) {
      const double z = i == 0 ? box.z_low : box.z_high;
      const Interval x = Interval(1.0) / z;
      End& end = end_[i];
      end.energy = (energy * (exp_mid - chi * x)).lo;
      end.tau = std::max(0.0, Down(nat_delay_cost * x.lo));
      end.rho = Expm1(z) / eta;
      end.rho_tangent =
          (expm1_mid + Interval(z_mid) * exp_mid * (Interval(1.0) - Interval(z_mid) * x)) / eta;
    }
  }

  BoxBound Bound(const Linearisation& lin, double centre_hz) const {
    if (reach_ < b_low_) return {-kInfinity, -kInfinity};
    const double b = std::clamp(centre_hz, b_low_, reach_);
    BoxBound bound{-kInfinity, -kInfinity};
    for (const End& end : end_) {
      const double kappa = end.Kappa(lin);
      const double peak = Up(lin.constant + PeakOverBandwidth(kappa, end.tau, b_low_, reach_));
      bound.proven = std::max(bound.proven, OrInfinity(Up(peak - end.energy)));
      bound.at_centre =
          std::max(bound.at_centre, lin.constant + kappa * b - end.tau / b - end.energy);
    }
    return bound;
  }

  // The same with the cover in place of the linearisation's own minorant.
  double Bound(const Linearisation& lin, const UploadCover& cover) const {
    double proven = -kInfinity;
    if (reach_ < b_low_) return proven;
    const double constant = Up(lin.constant + lin.upload.constant);
    for (const End& end : end_) {
      const double kappa = Up(end.Kappa(lin) + lin.upload.slope);
      const double peak = cover.Peak(kappa, end.tau, b_low_, reach_);
      proven = std::max(proven, OrInfinity(Up(Up(constant + peak) - end.energy)));
    }
    return proven;
  }

 private:
  struct End {
    double energy = 0.0, tau = 0.0;
    Interval rho, rho_tangent;

    double Kappa(const Linearisation& lin) const {
      const Interval power_per_hz = lin.power_value >= 0.0 ? rho : rho_tangent;
      return (Interval(lin.bandwidth_value) + Interval(lin.power_value) * power_per_hz).hi;
    }
  };
  const double b_low_, reach_;
  std::array<End, 2> end_;
};

class Search {
 public:
  Search(const RowProblem& row, double tolerance, double* incumbent)
      : row_(row), tolerance_(tolerance), incumbent_(incumbent) {}

  double Run(const Point& start) {
    Note(start);
    if (!row_.downloads()) {
      Push({0.0, 0.0, 0.0, row_.bandwidth_max});
      Work(start);
      return proven_;
    }
    // Everything at once, then the two open ends.
    const double whole = Open(start, 0.0, kInfinity);
    if (whole <= Target()) return whole;
    const double z_low = LeftEnd(start);
    const double z_high = RightEnd(start);
    March(start, z_high);
    March(start, z_low);
    return proven_;
  }

 private:
  double Target() const { return *incumbent_ + tolerance_; }
  bool Loses(const Point& peak) const {
    constexpr double kMargin = 1e-5;
    return Target() - peak.value > kMargin * row_.score_scale;
  }
  // Of the points that bounds near `near` are taken at: as exact as what the row loses by asks.
  double Accuracy(const Point& near) const {
    constexpr double kOfMargin = 0.03;
    return std::clamp(kOfMargin * (Target() - near.value) / row_.score_scale, kExact, kOfMargin);
  }
  void Note(const Point& point) {
    if (point.value > *incumbent_) *incumbent_ = point.value;
  }
  void Push(const Box& box) { stack_[static_cast<std::size_t>(size_++)] = box; }

  // A multiplier of the power limit only helps where the limit is near.
  double Open(Point near, double z_low, double z_high) const {
    near.power_multiplier = 0.0;
    return FirstOrderBound(row_, LineariseAt(row_, near), {z_low, z_high, 0.0, row_.bandwidth_max});
  }
  double LeftEnd(const Point& start) {
    double z = 0.5 * start.z;
    double bound = kInfinity;
    Point near = start;
    for (int i = 0; i < kEndSteps; ++i, z *= 0.25) {
      near = SolveAt(row_, z, 0.0, row_.bandwidth_max, near, Accuracy(near));
      Note(near);
      bound = Open(near, 0.0, z);
      if (bound <= Target()) break;
    }
    proven_ = std::max(proven_, bound);
    return std::min(z, 0.5 * start.z);
  }
  double RightEnd(const Point& start) {
    double z = std::max(1.2 * start.z, 0.05);
    double bound = kInfinity;
    Point near = start;
    for (int i = 0; i < kEndSteps; ++i, z *= 1.4) {
      near = SolveAt(row_, z, 0.0, row_.bandwidth_max, near, Accuracy(near));
      Note(near);
      bound = Open(near, z, kInfinity);
      if (bound <= Target()) break;
    }
    proven_ = std::max(proven_, bound);
    return z;
  }

  // From the peak to an end, in steps as long as the errors' second order lets them be: what a box
  // of this length lost tells how long it may be.
  void March(const Point& start, double end) {
    Point near = start;
    const double margin = (Target() - start.value) / row_.score_scale;
    double step = std::clamp(std::sqrt(margin), kFirstStep, 0.5);
    // Where the row loses by a margin the cover does, in short steps at worst.
    const double short_step = Loses(start) ? kShortStep : kInfinity;
    // By the number of boxes, and where numbers are no more numbers by the step, this ends.
    for (double z = start.z; z != end;) {
      const double next =
          end > z ? std::min(end, z * (1.0 + step)) : std::max(end, z / (1.0 + step));
      const Box box{std::min(z, next), std::max(z, next), 0.0, row_.bandwidth_max};
      const BoxBound bound = Bound(box, step >= short_step, &near);
      const double lost = std::max(bound.proven - near.value, 0.1 * tolerance_);
      const double scale = 0.8 * std::sqrt((Target() - near.value) / lost);
      if (bound.proven <= Target() && boxes_ < kMarchMax) {
        proven_ = std::max(proven_, bound.proven);
        z = next;
        step *= std::clamp(scale, 1.0, 3.0);
      } else if ((bound.WantsSplitInB(near) && step < short_step) || !(step >= kStepMin) ||
                 boxes_ >= kBoxesMax) {
        // The rest is no matter of steps along z.
        Push({std::min(z, end), std::max(z, end), 0.0, row_.bandwidth_max});
        return Work(near);
      } else {
        step *= std::clamp(scale, 0.05, 0.6);
      }
    }
  }

  void Work(const Point& start) {
    Point near = start;
    while (size_ > 0) {
      const Box box = stack_[static_cast<std::size_t>(--size_)];
      const BoxBound bound = Bound(box, false, &near);
      const bool may_split = boxes_ < kBoxesMax && size_ + 2 <= kStackMax;
      if (bound.proven <= Target() || !may_split || !Split(box, near, bound)) {
        proven_ = std::max(proven_, bound.proven);
      }
    }
  }

  // Moves `near` to the best point at the box's middle and bounds the box from there. The cover is
  // for boxes that are not to be split along b.
  BoxBound Bound(const Box& box, bool covered, Point* near) {
    ++boxes_;
    const double z = row_.downloads() ? std::sqrt(box.z_low * box.z_high) : 0.0;
    const double accuracy = row_.downloads() ? std::max(kRough, Accuracy(*near)) : kExact;
    *near = SolveAt(row_, z, box.b_low, box.b_high, *near, accuracy);
    Note(*near);
    const Linearisation lin = LineariseAt(row_, *near);
    if (row_.downloads()) {
      const Chord chord(row_, box);
      const double centre_hz = near->bandwidth_hz;
      BoxBound bound = chord.Bound(lin, centre_hz);
      covered = covered && row_.upload_nat > 0.0 && centre_hz > 0.0;
      if (!covered || bound.proven <= Target()) return bound;
      if (!cover_) cover_.emplace(row_, centre_hz, near->upload_z);
      bound.proven = std::min(bound.proven, chord.Bound(lin, *cover_));
      return bound;
    }
    const double peak = PeakOverBandwidth(lin.bandwidth_value, 0.0, box.b_low, box.b_high);
    return {OrInfinity(Up(lin.constant + peak)), near->value};
  }

  // Along whichever of z and b costs the bound more; false where the box is a point.
  bool Split(const Box& box, const Point& centre, const BoxBound& bound) {
    Box first = box;
    Box second = box;
    if (!row_.downloads() || bound.WantsSplitInB(centre)) {
      const double high = BandwidthReach(row_, box.z_low, box.b_high);
      const double inner = 0.1 * (high - box.b_low);
      double b = centre.bandwidth_hz;
      if (!(b > box.b_low + inner && b < high - inner)) b = 0.5 * (box.b_low + high);
      first.b_high = b;
      second.b_low = b;
      second.b_high = high;
      if (!(b > box.b_low && b < high)) return false;
    } else {
      if (!(centre.z > box.z_low * (1.0 + 1e-12) && centre.z < box.z_high)) return false;
      first.z_high = centre.z;
      second.z_low = centre.z;
    }
    Push(first);
    Push(second);
    return true;
  }

  const RowProblem& row_;
  double tolerance_;
  double* incumbent_;
  std::optional<UploadCover> cover_;
  double proven_ = -kInfinity;
  std::array<Box, kStackMax + 4> stack_;
  int size_ = 0;
  int boxes_ = 0;
};

}  // namespace

double ServerGain(const RowProblem& row, double theta, double clock_hz) {
  if (row.server_delay_cost == 0.0 && row.server_energy_cost == 0.0 && row.share_per_clock == 0.0) {
    return 0.0;
  }
  const Interval h1 = row.server_delay_cost;
  const Interval h2 = row.server_energy_cost;
  const Interval s = clock_hz;
  const Interval value = Interval(theta) * row.share_per_clock - Interval(row.clock_price);
  if (!(clock_hz > 0.0)) return PositivePart(Up(value.hi * row.clock_max));  // Costs are >= 0.
  const Interval slope = h1 / (s * s) - Interval(2.0) * h2 * s + value;
  const double over_range = PositivePart(Up(slope.hi * row.clock_max));
  const Interval at_zero = h2 * s * s - Interval(2.0) * h1 / s;
  return Up(over_range + at_zero.hi);
}

Linearisation LineariseAt(const RowProblem& row, const Point& point) {
  const Interval gain = row.score_gain;
  const Interval share = point.share;
  const Interval theta = Interval(row.score_scale) * gain / (Interval(1.0) + gain * share);
  const Interval score = Interval(row.score_scale) * Log1p(gain * share);
  const Minorant upload = UploadMinorant(row, point.bandwidth_hz, point.upload_z);
  const double multiplier = point.power_multiplier;
  Linearisation lin{.upload = upload};
  lin.bandwidth_value = (Interval(theta.hi) * row.share_per_hz - Interval(row.bandwidth_price) -
                         Interval(upload.slope))
                            .hi;
  lin.power_value =
      (Interval(theta.hi) * row.share_per_w - Interval(row.power_price) - Interval(multiplier)).hi;
  const double server = ServerGain(row, theta.hi, BestClock(row, theta.hi, point.clock_hz));
  const Interval constant = score - theta * share + Interval(server) - Interval(upload.constant) -
                            Interval(row.fixed_cost) + Interval(multiplier) * row.power_max;
  lin.constant = constant.hi;
  return lin;
}

double BoundRow(const RowProblem& row, const Point& start, double tolerance, double* incumbent) {
  if (!row.downloads() || start.z > kWeakSignal)
    return Search(row, tolerance, incumbent).Run(start);
  const double over_power = BoundRowOverPower(row, start, tolerance, incumbent);
  if (over_power <= *incumbent + tolerance) return over_power;
  return std::min(over_power, Search(row, tolerance, incumbent).Run(start));
}

}  // namespace dashf::certificate
