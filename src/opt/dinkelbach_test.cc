#include "opt/dinkelbach.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "base/rng.h"

namespace dashf::opt {
namespace {

// max (2x + 1) / (x^2 + 1) on [0, 2] is the golden ratio, at x = 1 / phi; for q > 0 the inner
// maximiser is min(1 / q, 2).
Ratio GoldenRatioProblem(double q) {
  const double x = q > 0.0 ? std::min(1.0 / q, 2.0) : 2.0;
  return {2 * x + 1, x * x + 1};
}

TEST(Dinkelbach, ReachesTheGoldenRatio) {
  const DinkelbachResult result = MaximizeRatio(
      [](double q, double) { return GoldenRatioProblem(q); }, 0.0, {.tolerance = 1e-12});
  EXPECT_EQ(result.termination, Termination::kConverged);
  // q* - q <= F(q) / D(x*), and F(q) stops at 1e-12 N.
  EXPECT_NEAR(result.q, std::numbers::phi, 3e-12);
  EXPECT_LE(result.iterations, 8);  // Superlinear; bisection needs about 40.
}

TEST(Dinkelbach, AscendsMonotonically) {
  std::vector<double> tried;
  MaximizeRatio(
      [&](double q, double) {
        tried.push_back(q);
        return GoldenRatioProblem(q);
      },
      0.0,
      {});
  EXPECT_TRUE(std::is_sorted(tried.begin(), tried.end()));
}

// Over finitely many points the optimum is the largest single ratio.
TEST(Dinkelbach, FindsTheBestOfFinitelyManyRatios) {
  Rng rng(1);
  for (int instance = 0; instance < 100; ++instance) {
    std::vector<Ratio> points(50);
    double best = -std::numeric_limits<double>::infinity();
    for (Ratio& point : points) {
      point = {rng.Uniform(-1, 1), rng.Uniform(0.1, 2)};
      best = std::max(best, point.numerator / point.denominator);
    }
    const auto solve = [&](double q, double) {
      return *std::max_element(points.begin(), points.end(), [q](const Ratio& a, const Ratio& b) {
        return a.numerator - q * a.denominator < b.numerator - q * b.denominator;
      });
    };
    EXPECT_NEAR(MaximizeRatio(solve, -100.0, {}).q, best, 1e-8);
  }
}

TEST(Dinkelbach, NeverEndsBelowItsStartWhenTheInnerAnswerIsPoor) {
  const DinkelbachResult result = MaximizeRatio(
      [](double, double) {
        return Ratio{1.0, 1.0};
      },
      3.0,
      {});
  EXPECT_EQ(result.q, 3.0);
}

TEST(Dinkelbach, StopsAtItsLimitsAndAtNumbersThatAreNone) {
  const auto golden = [](double q, double) { return GoldenRatioProblem(q); };
  EXPECT_EQ(MaximizeRatio(golden, 0.0, {.iterations = 2}).termination,
            Termination::kIterationLimit);
  EXPECT_EQ(MaximizeRatio(golden, 0.0, {.elapsed_s = 0.0}).termination, Termination::kTimeLimit);
  const auto broken = [](double, double) { return Ratio{std::nan(""), 1.0}; };
  EXPECT_EQ(MaximizeRatio(broken, 0.0, {}).termination, Termination::kNumericalError);
  const auto free = [](double, double) { return Ratio{1.0, 0.0}; };  // A ratio without bound.
  const DinkelbachResult result = MaximizeRatio(free, 2.0, {});
  EXPECT_EQ(result.termination, Termination::kNumericalError);
  EXPECT_EQ(result.q, 2.0);
}

}  // namespace
}  // namespace dashf::opt
