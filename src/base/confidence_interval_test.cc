#include "base/confidence_interval.h"

#include <gmock/gmock.h>

#include <cmath>
#include <numbers>
#include <vector>

#include "base/rng.h"

namespace dashf {
namespace {

// With one degree of freedom Student's distribution is Cauchy's: t = tan(pi c / 2). Of 1 and 4,
// s = 3 / sqrt 2 and s / sqrt n = 1.5.
TEST(ConfidenceInterval, OfTwoValuesFollowsCauchysQuantile) {
  const ConfidenceInterval interval = MeanInterval(std::vector{1.0, 4.0}, 0.9);
  EXPECT_DOUBLE_EQ(interval.mean, 2.5);
  EXPECT_NEAR(interval.half_width, 1.5 * std::tan(std::numbers::pi * 0.45), 1e-12);
}

// With two degrees of freedom t = c sqrt(2 / (1 - c^2)). Of 1, 2, 6, s^2 = 7.
TEST(ConfidenceInterval, OfThreeValuesFollowsTheClosedForm) {
  const ConfidenceInterval interval = MeanInterval(std::vector{1.0, 2.0, 6.0}, 0.95);
  const double t = 0.95 * std::sqrt(2.0 / (1.0 - 0.95 * 0.95));
  EXPECT_DOUBLE_EQ(interval.mean, 3.0);
  EXPECT_NEAR(interval.half_width, t * std::sqrt(7.0 / 3.0), 1e-12);
  EXPECT_FALSE(interval.AboveZero());
}

TEST(ConfidenceInterval, OfOneValueIsTheWholeLine) {
  EXPECT_TRUE(std::isinf(MeanInterval(std::vector{1.0}, 0.95).half_width));
}

// 4,000 samples of five normal values around 1: the share that holds 1 has a standard deviation of
// sqrt(0.95 x 0.05 / 4000) = 0.34 %.
TEST(ConfidenceInterval, HoldsTheTrueMeanAsOftenAsItSays) {
  Rng rng(7);
  int holds = 0;
  for (int sample = 0; sample < 4000; ++sample) {
    std::vector<double> values;
    for (int i = 0; i < 5; ++i) values.push_back(1.0 + rng.Normal());
    const ConfidenceInterval interval = MeanInterval(values, 0.95);
    if (std::abs(interval.mean - 1.0) <= interval.half_width) ++holds;
  }
  EXPECT_NEAR(holds / 4000.0, 0.95, 0.014);
}

}  // namespace
}  // namespace dashf
