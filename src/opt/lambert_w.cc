#include "opt/lambert_w.h"

#include <cmath>
#include <numbers>

#include "base/check.h"

namespace dashf::opt {
namespace {

constexpr double kSeriesBelow = 0.5;
constexpr double kLogFormAbove = 1e6;

// For large delta: w + ln w = ln z, whose Newton steps neither overflow nor lose digits.
double InverseInLogForm(double delta) {
  const double log_z = std::log(delta - 1.0) - 1.0;
  double w = log_z - std::log(log_z);
  for (int i = 0; i < 4; ++i) w -= (w + std::log(w) - log_z) * w / (1.0 + w);
  return 1.0 + w;
}

}  // namespace

double BranchDistance(double v) {
  if (v >= kSeriesBelow) return std::exp(v) * (v - 1.0) + 1.0;
  // sum over n >= 2 of v^n (n - 1) / n!; sixteen terms leave 0.5^16 / 16! < 1e-17.
  double term = v, sum = 0.0;
  for (int n = 2; n <= 16; ++n) {
    term *= v / n;
    sum += term * (n - 1);
  }
  return sum;
}

double InverseBranchDistance(double delta) {
  DASHF_CHECK(delta >= 0.0 && std::isfinite(delta));
  if (delta == 0.0) return 0.0;
  if (delta > kLogFormAbove) return InverseInLogForm(delta);
  // Near the branch point v = r - r^2 / 3 + 11 r^3 / 72 with r = sqrt(2 delta); farther out the
  // guess of Iacono and Boyd (Adv. Comput. Math. 43, 2017).
  double v;
  if (delta < 1.0) {
    const double r = std::sqrt(2.0 * delta);
    v = r * (1.0 - r * (1.0 / 3.0 - r * 11.0 / 72.0));
  } else {
    const double log_1z = std::log1p((delta - 1.0) / std::numbers::e);
    v = 1.0 + log_1z * (1.0 - std::log1p(log_1z) / (2.0 + log_1z));
  }
  // Halley: with g = BranchDistance, g' = v e^v and g'' / g' = (v + 1) / v.
  for (int i = 0; i < 6; ++i) {
    const double newton = (BranchDistance(v) - delta) / (v * std::exp(v));
    const double step = newton / (1.0 - 0.5 * newton * (v + 1.0) / v);
    v -= step;
    if (std::abs(step) <= 1e-16 * v) break;
  }
  return v;
}

double LambertW0(double z) {
  const double delta = std::numbers::e * z + 1.0;
  if (delta <= 0.0) {
    DASHF_CHECK(delta > -1e-12);
    return -1.0;
  }
  const double w = InverseBranchDistance(delta) - 1.0;
  // Around w = 0 the subtraction above costs digits; one Newton step on w e^w = z returns them.
  const double e_w = std::exp(w);
  return w > -0.5 && delta < kLogFormAbove ? w - (w * e_w - z) / (e_w * (1.0 + w)) : w;
}

}  // namespace dashf::opt
