#include "certificate/row_problem.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace dashf::certificate {
namespace {

constexpr double kZMin = 1e-7;
constexpr double kZMax = 80.0;
constexpr double kFlat = 3e-6;  // A peak: the error in value is of the order of its square.

// Of numbers >= 0; exp and log are several times as fast as expm1 and log1p.
double Expm1(double x) {
  return x > 1.0 ? std::exp(x) - 1.0 : std::expm1(x);
}
double Log1p(double x) {
  return x > 1.0 ? std::log(1.0 + x) : std::log1p(x);
}

// (z - 1) exp(z) + 1, increasing from 0, without cancellation.
double Chi(double z, double exp_z) {
  if (z < 0.03) {  // The sum of (k - 1) z^k / k!.
    const double rest = 1.0 / 30.0 + z * (1.0 / 144.0 + z * (1.0 / 840.0 + z / 5760.0));
    return z * z * (0.5 + z * (1.0 / 3.0 + z * (0.125 + z * rest)));
  }
  return z > 1.0 ? (z - 1.0) * exp_z + 1.0 : z * exp_z - std::expm1(z);
}

// ln(1 + x) - x / (1 + x), without cancellation.
double LogExcess(double x) {
  if (x < 1e-3) return x * x * (0.5 - x * (2.0 / 3.0 - x * 0.75));
  return Log1p(x) - x / (1.0 + x);
}

// -C_up'(b) b^2, which varies slowly with b, and its derivative along ln b.
struct UploadCurve {
  double k = 0.0;
  double k_slope = 0.0;
  double cost = 0.0;
};

UploadCurve UploadAt(const RowProblem& row, double b, double accuracy, double* z) {
  if (row.upload_nat == 0.0) return {};
  if (row.user_weight_per_s == 0.0) {  // As slowly as it likes: the energy's limit for T = inf.
    *z = kZMin;
    return {0.0, 0.0, row.energy_weight_per_j * row.upload_nat / row.snr_hz_per_w};
  }
  const double snr = row.snr_hz_per_w * row.user_power_max / b;
  const double z_max = Log1p(snr);
  const double chi_max = Chi(z_max, 1.0 + snr);
  const double wu = row.user_weight_per_s;
  const double e = row.energy_weight_per_j;
  const double chi = e > 0.0 ? wu * row.snr_hz_per_w / (e * b) : chi_max;
  if (chi >= chi_max) {
    *z = z_max;
    const double k =
        (wu + e * row.user_power_max) * row.upload_nat / (z_max * z_max) * LogExcess(snr);
    return {k, 0.0, (wu + e * row.user_power_max) * row.upload_nat / (b * z_max)};
  }
  // Newton from the right on a convex increasing function: monotone.
  double u = std::min(z_max, *z > 0.0 ? *z : z_max);
  for (int i = 0; i < 60 && chi > 0.0; ++i) {
    const double exp_u = std::exp(u);
    const double step = (Chi(u, exp_u) - chi) / (u * exp_u);
    u = std::clamp(u - step, 0.3 * u, z_max);
    if (std::abs(step) <= accuracy * u) break;
  }
  *z = std::max(u, kZMin);
  const double k = wu * row.upload_nat / *z;
  const double exp_z = std::exp(*z);
  const double energy =
      e * row.upload_nat * (*z > 1.0 ? exp_z - 1.0 : std::expm1(*z)) / (row.snr_hz_per_w * *z);
  return {k, k * chi / (*z * *z * exp_z), wu * row.upload_nat / (b * *z) + energy};
}

struct Choice {
  double amount = 0.0;
  double slope = 0.0;  // By the value per unit.
};

// A row at one z, or at one power: what is left is concave in b and s.
struct Slice {
  double exp_z = 1.0;
  double rho = 0.0;  // q / b
  double tau = 0.0;  // At one z the download costs tau / b.
  // At one power it costs send_cost / (b ln(1 + signal_hz / b)).
  double send_cost = 0.0;
  double signal_hz = 0.0;
  double share_per_hz = 0.0;
  double share_of_power = 0.0;  // At one power.
  double price_per_hz = 0.0;
  double low = 0.0;  // Of b.
  double high = 0.0;
  bool power_binds = false;  // The server's power is what makes `high`.
};

// Of the download, what UploadCurve::k is of the upload.
double DownloadSlope(const Slice& slice, double b) {
  if (slice.send_cost == 0.0) return slice.tau;
  const double x = slice.signal_hz / b, z = Log1p(x);
  return slice.send_cost * LogExcess(x) / (z * z);
}

// Maximises value b - C_up(b) less the download's cost over the slice's bandwidths.
Choice BestBandwidth(const RowProblem& row,
                     const Slice& slice,
                     double value,
                     double start,
                     double accuracy,
                     double* z) {
  const double low = slice.low, high = slice.high;
  double ignored = *z;
  if (!(value < 0.0) ||
      value + (DownloadSlope(slice, high) + UploadAt(row, high, accuracy, &ignored).k) /
                  (high * high) >=
          0.0) {
    UploadAt(row, high, accuracy, z);
    return {high, 0.0};
  }
  if (slice.tau == 0.0 && slice.send_cost == 0.0 && row.upload_nat == 0.0) return {low, 0.0};
  double b = std::clamp(start > 0.0 ? start : high, std::max(low, 1e-9 * high), high);
  double left = low;
  double right = high;
  UploadCurve curve;
  double numerator = 0.0;
  for (int i = 0; i < 60; ++i) {
    curve = UploadAt(row, b, accuracy, z);
    numerator = DownloadSlope(slice, b) + curve.k;
    if (!(numerator > 0.0)) return {low, 0.0};
    const double ratio = numerator / (-value * b * b);
    (ratio > 1.0 ? left : right) = b;
    if (std::abs(ratio - 1.0) <= accuracy) break;
    double next = std::abs(ratio - 1.0) > 0.3
                      ? b * std::sqrt(ratio)
                      : b * (1.0 + (ratio - 1.0) / (2.0 - curve.k_slope / numerator));
    next = std::clamp(next, left, right);
    if (next == b || !(next > 0.0)) break;
    const bool settled = std::abs(next - b) <= 0.1 * accuracy * b;
    b = next;
    if (settled) break;
  }
  if (b <= low && low > 0.0) return {low, 0.0};
  const double curvature = (2.0 * numerator - curve.k_slope) / (b * b * b);
  return {b, curvature > 0.0 ? 1.0 / curvature : 0.0};
}

// Maximises value s - h1 / s - h2 s^2 over [0, high].
Choice ChooseClock(const RowProblem& row, double value, double start, double accuracy) {
  const double high = row.clock_max;
  const double h1 = row.server_delay_cost;
  const double h2 = row.server_energy_cost;
  if (value + h1 / (high * high) - 2.0 * h2 * high >= 0.0) return {high, 0.0};
  if (h1 == 0.0) {
    if (!(value > 0.0)) return {0.0, 0.0};
    return {value / (2.0 * h2), 1.0 / (2.0 * h2)};
  }
  double s = start > 0.0 ? std::min(start, high) : high;
  for (int i = 0; i < 100; ++i) {
    const double derivative = value + h1 / (s * s) - 2.0 * h2 * s;
    const double second = -2.0 * h1 / (s * s * s) - 2.0 * h2;
    const double next = std::clamp(s - derivative / second, 0.3 * s, high);
    const bool settled = std::abs(next - s) <= accuracy * s;
    s = next;
    if (settled) break;
  }
  return {s, 1.0 / (2.0 * h1 / (s * s * s) + 2.0 * h2)};
}

Slice SliceAt(const RowProblem& row, double z, double low, double high) {
  Slice slice{.low = low, .high = high};
  if (row.downloads()) {
    slice.exp_z = std::exp(z);
    slice.rho = Expm1(z) / row.snr_hz_per_w;
    slice.tau = row.server_weight_per_s * row.download_nat / z;
  }
  slice.share_per_hz = row.share_per_hz + row.share_per_w * slice.rho;
  slice.price_per_hz = row.bandwidth_price + row.power_price * slice.rho;
  slice.power_binds = slice.rho * high > row.power_max;
  if (slice.power_binds) slice.high = row.power_max / slice.rho;
  slice.low = std::min(low, slice.high);
  return slice;
}

Slice SliceAtPower(const RowProblem& row, double power_w, double low, double high) {
  return {
      .send_cost = (row.server_weight_per_s + row.energy_weight_per_j * power_w) * row.download_nat,
      .signal_hz = row.snr_hz_per_w * power_w,
      .share_per_hz = row.share_per_hz,
      .share_of_power = row.share_per_w * power_w,
      .price_per_hz = row.bandwidth_price,
      .low = low,
      .high = high};
}

// The best b and s once the score is linear with slope theta.
struct Grant {
  Choice b;
  Choice s;
  double share = 0.0;
};

Grant GrantAt(
    const RowProblem& row, const Slice& slice, double theta, double accuracy, Point* point) {
  Grant grant;
  grant.b = BestBandwidth(row,
                          slice,
                          theta * slice.share_per_hz - slice.price_per_hz,
                          point->bandwidth_hz,
                          accuracy,
                          &point->upload_z);
  grant.s =
      ChooseClock(row, theta * row.share_per_clock - row.clock_price, point->clock_hz, accuracy);
  grant.share = slice.share_of_power + slice.share_per_hz * grant.b.amount +
                row.share_per_clock * grant.s.amount;
  point->bandwidth_hz = grant.b.amount;
  point->clock_hz = grant.s.amount;
  return grant;
}

// Sets b and s: the root of theta - S'(u(theta)), which increases with theta, by Newton's method
// within a bracket. Where u jumps (nothing is strictly concave) the root lies within the jump.
void SolveSlice(const RowProblem& row, const Slice& slice, double accuracy, Point* point) {
  const double slope_max = row.score_scale * row.score_gain;
  const double share_max =
      slice.share_of_power + slice.share_per_hz * slice.high + row.share_per_clock * row.clock_max;
  double left = slope_max / (1.0 + row.score_gain * share_max);
  double right = slope_max;
  double theta = std::clamp(slope_max / (1.0 + row.score_gain * point->share), left, right);
  std::optional<Grant> at_left;
  std::optional<Grant> at_right;
  for (int i = 0; i < 60; ++i) {
    const Grant grant = GrantAt(row, slice, theta, accuracy, point);
    const double slope = slope_max / (1.0 + row.score_gain * grant.share);
    const double residual = theta - slope;
    if (std::abs(residual) <= accuracy * theta) return;
    (residual < 0.0 ? left : right) = theta;
    (residual < 0.0 ? at_left : at_right) = grant;
    if (right - left <= 1e-15 * right) break;
    const double growth = slice.share_per_hz * slice.share_per_hz * grant.b.slope +
                          row.share_per_clock * row.share_per_clock * grant.s.slope;
    const double curvature = slope * row.score_gain / (1.0 + row.score_gain * grant.share);
    theta -= residual / (1.0 + curvature * growth);
    // At a jump Newton creeps: halve now and then.
    if (!(theta > left && theta < right) || i % 8 == 7) theta = 0.5 * (left + right);
  }
  if (!at_left || !at_right || !(at_right->share > at_left->share * (1.0 + 1e-9))) return;
  const double wanted = (slope_max / theta - 1.0) / row.score_gain;
  const double t =
      std::clamp((wanted - at_left->share) / (at_right->share - at_left->share), 0.0, 1.0);
  point->bandwidth_hz = std::lerp(at_left->b.amount, at_right->b.amount, t);
  point->clock_hz = std::lerp(at_left->s.amount, at_right->s.amount, t);
}

// Sets all of a point that does not concern the download, and `value` to what that leaves.
UploadCurve SolveButDownload(const RowProblem& row,
                             const Slice& slice,
                             double accuracy,
                             Point* point) {
  SolveSlice(row, slice, accuracy, point);
  const double b = point->bandwidth_hz, s = point->clock_hz;
  point->share = slice.share_of_power + slice.share_per_hz * b + row.share_per_clock * s;
  point->power_multiplier = 0.0;
  point->slope = 0.0;
  // b = 0 is chosen only where no delay weighs: the energy's limit remains.
  UploadCurve upload{0.0, 0.0, row.energy_weight_per_j * row.upload_nat / row.snr_hz_per_w};
  if (b > 0.0) upload = UploadAt(row, b, accuracy, &point->upload_z);
  point->value = row.score_scale * Log1p(row.score_gain * point->share) - slice.price_per_hz * b -
                 row.clock_price * s - upload.cost - row.fixed_cost;
  if (s > 0.0) point->value -= row.server_delay_cost / s + row.server_energy_cost * s * s;
  return upload;
}

}  // namespace

double BestClock(const RowProblem& row, double theta, double start) {
  return ChooseClock(row, theta * row.share_per_clock - row.clock_price, start, 1e-15).amount;
}

double BestUploadZ(const RowProblem& row, double bandwidth_hz, double start) {
  double z = start;
  UploadAt(row, bandwidth_hz, kRough, &z);
  return row.upload_nat > 0.0 ? z : 0.0;
}

Point SolveAt(const RowProblem& row,
              double z,
              double bandwidth_low,
              double bandwidth_high,
              const Point& near,
              double accuracy) {
  const Slice slice = SliceAt(row, z, bandwidth_low, bandwidth_high);
  Point point = near;
  const UploadCurve upload = SolveButDownload(row, slice, accuracy, &point);
  const double b = point.bandwidth_hz;
  point.z = z;
  if (!row.downloads()) return point;
  const double delay_cost = slice.tau > 0.0 ? slice.tau / b : 0.0;
  const double energy = row.energy_weight_per_j * row.download_nat;
  point.value -= delay_cost + energy * slice.rho / z;
  const double theta = row.score_scale * row.score_gain / (1.0 + row.score_gain * point.share);
  if (slice.power_binds && b >= slice.high) {
    const double pull =
        theta * slice.share_per_hz - slice.price_per_hz + (slice.tau + upload.k) / (b * b);
    point.power_multiplier = std::max(0.0, pull / slice.rho);
  }
  const double power_value = theta * row.share_per_w - row.power_price - point.power_multiplier;
  point.slope = (power_value * slice.exp_z * b - energy * Chi(z, slice.exp_z) / (z * z)) * z /
                    row.snr_hz_per_w +
                delay_cost;
  return point;
}

Point SolveAtPower(const RowProblem& row,
                   double power_w,
                   double bandwidth_low,
                   double bandwidth_high,
                   const Point& near,
                   double accuracy) {
  const Slice slice = SliceAtPower(row, power_w, bandwidth_low, bandwidth_high);
  Point point = near;
  SolveButDownload(row, slice, accuracy, &point);
  const double b = point.bandwidth_hz;
  point.z = Log1p(slice.signal_hz / b);
  point.value -= row.power_price * power_w;
  if (slice.send_cost > 0.0) point.value -= slice.send_cost / (b * point.z);
  return point;
}

Point Climb(const RowProblem& row, const Point& near) {
  if (!row.downloads()) return SolveAt(row, 0.0, 0.0, row.bandwidth_max, near, kExact);
  const auto at = [&row](double t, const Point& from) {
    return SolveAt(row, std::exp(t), 0.0, row.bandwidth_max, from, kRough);
  };
  const double t_min = std::log(kZMin);
  const double t_max = std::log(kZMax);
  const double natural = std::log1p(row.snr_hz_per_w * row.power_max / row.bandwidth_max);
  double t = std::clamp(std::log(near.z > 0.0 ? near.z : natural), t_min, t_max);
  Point best = at(t, near);
  const double flat = kFlat * row.score_scale;
  if (std::abs(best.slope) <= flat) return best;
  Point left = best;
  Point right = best;
  double t_left = t;
  double t_right = t;
  // A bracket with the slope upwards at its left end and downwards at its right.
  for (double step = 0.05; left.slope <= 0.0 && t_left > t_min; step *= 2.0) {
    t_right = t_left;
    right = left;
    t_left = std::max(t_min, t_left - step);
    left = at(t_left, left);
  }
  for (double step = 0.05; right.slope > 0.0 && t_right < t_max; step *= 2.0) {
    t_left = t_right;
    left = right;
    t_right = std::min(t_max, t_right + step);
    right = at(t_right, right);
  }
  if (left.value > best.value) best = left;
  if (right.value > best.value) best = right;
  if (!(left.slope > 0.0 && right.slope <= 0.0)) return best;
  double slope_left = left.slope;
  double slope_right = right.slope;
  int side = 0;
  for (int i = 0; i < 40 && t_right - t_left > 1e-9; ++i) {
    t = t_left + (t_right - t_left) * slope_left / (slope_left - slope_right);
    if (!(t > t_left && t < t_right) || i % 10 == 9) t = 0.5 * (t_left + t_right);
    const Point trial = at(t, best);
    if (trial.value > best.value) best = trial;
    if (std::abs(trial.slope) <= flat) break;
    if (trial.slope > 0.0) {
      t_left = t;
      slope_left = trial.slope;
      if (side == 1) slope_right *= 0.5;
      side = 1;
    } else {
      t_right = t;
      slope_right = trial.slope;
      if (side == -1) slope_left *= 0.5;
      side = -1;
    }
  }
  return best;
}

}  // namespace dashf::certificate
