#include "certificate/row_problem.h"

#include <algorithm>
#include <cmath>

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

// (z - 1) exp(z) + 1, increasing from 0.
double Chi(double z, double exp_z) {
  return z > 1.0 ? (z - 1.0) * exp_z + 1.0 : z * exp_z - std::expm1(z);
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
  const double chi_max = z_max * (1.0 + snr) - snr;
  const double wu = row.user_weight_per_s;
  const double e = row.energy_weight_per_j;
  const double chi = e > 0.0 ? wu * row.snr_hz_per_w / (e * b) : chi_max;
  if (chi >= chi_max) {
    *z = z_max;
    const double k = (wu + e * row.user_power_max) * row.upload_nat / (z_max * z_max) *
                     (z_max - snr / (1.0 + snr));
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

// Maximises value b - tau / b - C_up(b) over [low, high].
Choice BestBandwidth(const RowProblem& row,
                     double value,
                     double tau,
                     double low,
                     double high,
                     double start,
                     double accuracy,
                     double* z) {
  double ignored = *z;
  if (!(value < 0.0) ||
      value + (tau + UploadAt(row, high, accuracy, &ignored).k) / (high * high) >= 0.0) {
    UploadAt(row, high, accuracy, z);
    return {high, 0.0};
  }
  if (tau == 0.0 && row.upload_nat == 0.0) return {low, 0.0};
  double b = std::clamp(start > 0.0 ? start : high, std::max(low, 1e-9 * high), high);
  double left = low;
  double right = high;
  UploadCurve curve;
  for (int i = 0; i < 60; ++i) {
    curve = UploadAt(row, b, accuracy, z);
    const double numerator = tau + curve.k;
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
  const double curvature = (2.0 * (tau + curve.k) - curve.k_slope) / (b * b * b);
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

}  // namespace

double BestClock(const RowProblem& row, double theta, double start) {
  return ChooseClock(row, theta * row.share_per_clock - row.clock_price, start, 1e-15).amount;
}

Point SolveAt(const RowProblem& row,
              double z,
              double bandwidth_low,
              double bandwidth_high,
              const Point& near,
              double accuracy) {
  const double exp_z = row.downloads() ? std::exp(z) : 1.0;
  const double rho = row.downloads() ? Expm1(z) / row.snr_hz_per_w : 0.0;
  const double tau = row.downloads() ? row.server_weight_per_s * row.download_nat / z : 0.0;
  const double share = row.share_per_hz + row.share_per_w * rho;
  const double price = row.bandwidth_price + row.power_price * rho;
  double high = bandwidth_high;
  const bool power_binds = rho * high > row.power_max;
  if (power_binds) high = row.power_max / rho;
  const double low = std::min(bandwidth_low, high);
  const double slope_max = row.score_scale * row.score_gain;

  struct Trial {
    Choice b, s;
    double share = 0.0;
  };
  Point point = near;
  const auto choose = [&](double theta) {
    Trial trial;
    trial.b = BestBandwidth(
        row, theta * share - price, tau, low, high, point.bandwidth_hz, accuracy, &point.upload_z);
    trial.s =
        ChooseClock(row, theta * row.share_per_clock - row.clock_price, point.clock_hz, accuracy);
    trial.share = share * trial.b.amount + row.share_per_clock * trial.s.amount;
    point.bandwidth_hz = trial.b.amount;
    point.clock_hz = trial.s.amount;
    return trial;
  };
  // theta - S'(u(theta)) increases with theta: Newton within a bracket.
  const double share_max = share * high + row.share_per_clock * row.clock_max;
  double left = slope_max / (1.0 + row.score_gain * share_max);
  double right = slope_max;
  double theta = std::clamp(slope_max / (1.0 + row.score_gain * near.share), left, right);
  Trial at_left;
  Trial at_right;
  bool has_left = false;
  bool has_right = false;
  Trial trial;
  for (int i = 0; i < 60; ++i) {
    trial = choose(theta);
    const double slope = slope_max / (1.0 + row.score_gain * trial.share);
    const double residual = theta - slope;
    if (std::abs(residual) <= accuracy * theta) break;
    if (residual < 0.0) {
      left = theta;
      at_left = trial;
      has_left = true;
    } else {
      right = theta;
      at_right = trial;
      has_right = true;
    }
    if (right - left <= 1e-15 * right) break;
    const double growth =
        share * share * trial.b.slope + row.share_per_clock * row.share_per_clock * trial.s.slope;
    const double curvature = slope * row.score_gain / (1.0 + row.score_gain * trial.share);
    double next = theta - residual / (1.0 + curvature * growth);
    if (growth == 0.0 && trial.share == 0.0 && residual == 0.0) break;
    if (!(next > left && next < right)) next = 0.5 * (left + right);
    // Where u jumps Newton creeps: halve now and then.
    if (i % 8 == 7) next = 0.5 * (left + right);
    theta = next;
  }
  double b = trial.b.amount;
  double s = trial.s.amount;
  if (has_left && has_right && at_right.share - at_left.share > 1e-9 * at_right.share &&
      right - left <= 1e-12 * right) {
    const double wanted = (slope_max / theta - 1.0) / row.score_gain;
    const double t =
        std::clamp((wanted - at_left.share) / (at_right.share - at_left.share), 0.0, 1.0);
    b = at_left.b.amount + t * (at_right.b.amount - at_left.b.amount);
    s = at_left.s.amount + t * (at_right.s.amount - at_left.s.amount);
  }
  point.z = z;
  point.bandwidth_hz = b;
  point.clock_hz = s;
  point.share = share * b + row.share_per_clock * s;
  // b = 0 is chosen only where no delay weighs: the energy's limit remains.
  UploadCurve upload{0.0, 0.0, row.energy_weight_per_j * row.upload_nat / row.snr_hz_per_w};
  if (b > 0.0) upload = UploadAt(row, b, accuracy, &point.upload_z);
  point.value = row.score_scale * Log1p(row.score_gain * point.share) - price * b -
                row.clock_price * s - upload.cost - row.fixed_cost;
  if (s > 0.0) point.value -= row.server_delay_cost / s + row.server_energy_cost * s * s;
  point.power_multiplier = 0.0;
  point.slope = 0.0;
  if (!row.downloads()) return point;
  theta = slope_max / (1.0 + row.score_gain * point.share);
  const double delay_cost = tau > 0.0 ? tau / b : 0.0;
  if (power_binds && b >= high) {
    const double pull = theta * share - price + (tau + upload.k) / (b * b);
    point.power_multiplier = std::max(0.0, pull / rho);
  }
  const double e = row.energy_weight_per_j;
  point.value -= delay_cost + e * row.download_nat * rho / z;
  const double power_value = theta * row.share_per_w - row.power_price - point.power_multiplier;
  point.slope = (power_value * exp_z * b - e * row.download_nat * Chi(z, exp_z) / (z * z)) * z /
                    row.snr_hz_per_w +
                delay_cost;
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
