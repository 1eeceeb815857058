#include "opt/lambert_w.h"

#include <gmock/gmock.h>

#include <cmath>
#include <numbers>

#include "base/rng.h"

namespace dashf::opt {
namespace {

TEST(LambertW, TakesItsKnownValues) {
  EXPECT_DOUBLE_EQ(LambertW0(0.0), 0.0);
  EXPECT_DOUBLE_EQ(LambertW0(std::numbers::e), 1.0);
  EXPECT_NEAR(LambertW0(1.0), 0.56714329040978387300, 1e-16);  // The omega constant (OEIS A030178).
  EXPECT_NEAR(LambertW0(-std::exp(-1.0)), -1.0, 1e-7);  // sqrt of the argument's own rounding.
  EXPECT_DOUBLE_EQ(LambertW0(2.0 * std::exp(2.0)), 2.0);
}

// w e^w = z has relative condition 1 / (1 + w) <= 1 for z > 0.
TEST(LambertW, InvertsItsDefinitionOverThirtyDecades) {
  for (double exponent = -15.0; exponent <= 15.0; exponent += 0.37) {
    const double z = std::pow(10.0, exponent), w = LambertW0(z);
    EXPECT_NEAR(w * std::exp(w) / z, 1.0, 1e-13) << z;
  }
}

TEST(LambertW, KeepsItsDigitsNextToTheBranchPoint) {
  Rng rng(1);
  for (int i = 0; i < 10000; ++i) {
    const double v = std::pow(10.0, rng.Uniform(-12.0, 1.5));
    EXPECT_NEAR(InverseBranchDistance(BranchDistance(v)) / v, 1.0, 1e-13) << v;
  }
  // BranchDistance(v) = v^2 / 2 + v^3 / 3 + O(v^4).
  EXPECT_NEAR(BranchDistance(1e-8) / 0.5e-16, 1.0, 1e-8);
}

TEST(LambertW, StaysFiniteForHugeArguments) {
  const double v = InverseBranchDistance(1e300);
  EXPECT_NEAR(v + std::log(v - 1.0), 300.0 * std::numbers::ln10, 1e-10);
}

}  // namespace
}  // namespace dashf::opt
