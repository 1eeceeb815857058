#include "opt/fractional.h"

#include <gmock/gmock.h>

#include <cmath>
#include <functional>

#include "base/rng.h"

namespace dashf::opt {
namespace {

TEST(FractionalTechnique, TouchesTheRatioAtTheTightWeightAndLiesAboveItElsewhere) {
  Rng rng(1);
  for (int i = 0; i < 10000; ++i) {
    const double a = std::exp(rng.Uniform(-10, 10)), b = std::exp(rng.Uniform(-10, 10));
    const double tight = TightWeight(a, b);
    EXPECT_NEAR(MajorizedRatio(a, b, tight) / (a / b), 1.0, 1e-14);
    // With z = s / (2AB) the majorant is A/B (s + 1/s) / 2.
    const double s = std::exp(rng.Uniform(-3, 3));
    EXPECT_NEAR(
        MajorizedRatio(a, b, s * tight) / (a / b), 0.5 * (s + 1.0 / s), 1e-12 * (s + 1 / s));
  }
}

// A = 1 + x^2 + y^2 (convex), B = ln(2 + x + y) (concave).
Jet2 A(double x, double y) {
  return {1 + x * x + y * y, 2 * x, 2 * y, 2, 0, 2};
}
Jet2 B(double x, double y) {
  const double u = 2 + x + y, d = 1 / u, dd = -1 / (u * u);
  return {std::log(u), d, d, dd, dd, dd};
}

TEST(FractionalTechnique, HasTheRatiosGradientAndAConvexHessianWhereItTouches) {
  Rng rng(2);
  for (int i = 0; i < 1000; ++i) {
    const double x = rng.Uniform(0, 3), y = rng.Uniform(0, 3), h = 1e-5;
    const auto ratio = [](double u, double v) { return A(u, v).value / B(u, v).value; };
    const double z = TightWeight(A(x, y).value, B(x, y).value);
    const Jet2 majorant = MajorizedRatio(A(x, y), B(x, y), z);
    // Central differences: error h^2 in the third derivative, which is below 100 here.
    EXPECT_NEAR(majorant.dx, (ratio(x + h, y) - ratio(x - h, y)) / (2 * h), 1e-7);
    EXPECT_NEAR(majorant.dy, (ratio(x, y + h) - ratio(x, y - h)) / (2 * h), 1e-7);
    EXPECT_GT(majorant.dxx, 0.0);
    EXPECT_GE(majorant.dxx * majorant.dyy - majorant.dxy * majorant.dxy, 0.0);
    // And the Hessian is the majorant's own.
    const auto majorized = [&](double u) {
      return MajorizedRatio(A(u, y).value, B(u, y).value, z);
    };
    const double second = (majorized(x + 1e-4) - 2 * majorized(x) + majorized(x - 1e-4)) / 1e-8;
    EXPECT_NEAR(majorant.dxx, second, 1e-4 * (1 + std::abs(second)));
  }
}

double GoldenSection(const std::function<double(double)>& f, double low, double high) {
  const double shrink = 0.6180339887498949;
  for (int i = 0; i < 100; ++i) {
    const double left = high - shrink * (high - low), right = low + shrink * (high - low);
    (f(left) < f(right) ? high : low) = f(left) < f(right) ? right : left;
  }
  return 0.5 * (low + high);
}

// Energy of sending: p / log(1 + g p) + a price on delay d / log(1 + g p) - c sqrt(p) as the
// concave gain that keeps the ratio inside a sum.
TEST(FractionalTechnique, AlternationDecreasesMonotonicallyToAStationaryPoint) {
  Rng rng(3);
  for (int i = 0; i < 200; ++i) {
    const double g = std::exp(rng.Uniform(-1, 4)), d = rng.Uniform(0.1, 2), c = rng.Uniform(0, 1);
    const auto rest = [&](double p) { return d / std::log1p(g * p) - c * std::sqrt(p); };
    const auto objective = [&](double p) { return p / std::log1p(g * p) + rest(p); };
    double p = rng.Uniform(0.1, 10), value = objective(p);
    for (int k = 0; k < 200; ++k) {
      const double z = TightWeight(p, std::log1p(g * p));
      p = GoldenSection(
          [&](double x) { return MajorizedRatio(x, std::log1p(g * x), z) + rest(x); }, 1e-3, 20.0);
      EXPECT_LE(objective(p), value + 1e-12);
      value = objective(p);
    }
    if (p < 0.002 || p > 19.9) continue;  // At the box.
    EXPECT_NEAR((objective(p + 1e-5) - objective(p - 1e-5)) / 2e-5, 0.0, 1e-4);
  }
}

}  // namespace
}  // namespace dashf::opt
