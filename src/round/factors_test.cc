#include "round/factors.h"

#include <gtest/gtest.h>

#include <cmath>

namespace dashf {
namespace {

TEST(Factor, IsTheGeometricMeanOfTheFirstPhases) {
  Factor factor;
  EXPECT_EQ(factor.Mean(), 1.0);
  EXPECT_EQ(factor.Spread(), 1.0);
  for (const double ratio : {1.0, 2.0, 4.0}) factor.Hear(ratio);
  EXPECT_NEAR(factor.Mean(), 2.0, 1e-12);
  // Of ln 1, ln 2 and ln 4 the population's deviation is ln 2 sqrt(2/3).
  EXPECT_NEAR(std::log(factor.Spread()), std::log(2.0) * std::sqrt(2.0 / 3.0), 1e-12);
  EXPECT_EQ(factor.phases, 3U);
}

TEST(Factor, FollowsADeviceThatHasBecomeSlower) {
  Factor factor;
  for (int i = 0; i < 100; ++i) factor.Hear(1.0);
  for (int i = 0; i < 3 * static_cast<int>(kFactorMemory); ++i) factor.Hear(3.0);
  EXPECT_NEAR(factor.Mean(), 3.0, 0.15);
  EXPECT_EQ(factor.phases, 100U + 3 * kFactorMemory);
}

TEST(Factor, IsBoundedWhateverIsMeasured) {
  Factor factor;
  factor.Hear(1e300);
  EXPECT_NEAR(factor.Mean(), kFactorMax, 1e-6 * kFactorMax);
  EXPECT_EQ(factor.Spread(), 1.0);
  for (const double ratio : {1e300, 1e-300}) {
    for (Factor one; one.phases < 20;) {
      one.Hear(ratio);
      EXPECT_GE(one.Mean(), 1.0 / kFactorMax);
      EXPECT_LE(one.Mean(), kFactorMax);
    }
  }
  for (int i = 0; i < 20; ++i) factor.Hear(i % 2 == 0 ? 1e-300 : 1e300);
  EXPECT_LE(factor.Spread(), kFactorMax * kFactorMax);
}

}  // namespace
}  // namespace dashf
