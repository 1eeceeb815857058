#include "train/loss_watch.h"

#include <gtest/gtest.h>

#include <limits>

namespace dashf::train {
namespace {

TEST(LossWatch, EqualLossesAreSmoothedToThemselvesFromTheFirstOn) {
  LossWatch watch(4.0);
  for (int i = 0; i < 5; ++i) {
    watch.Add(3.0);
    EXPECT_NEAR(watch.smoothed(), 3.0, 1e-12);
  }
}

// After n losses a then m losses b, the corrected mean is (b (1 - q^m) + a q^m (1 - q^n)) / (1 -
// q^(n + m)), q = 0.9.
TEST(LossWatch, LossesThatStayHighExplodeWhenTheirMeanPassesTheFactor) {
  LossWatch watch(4.0);
  for (int i = 0; i < 20; ++i) watch.Add(2.0);
  const double share_at_4_of_8 = (8.0 - 2.0) / (20.0 - 2.0);  // Of the new losses, 20 each.
  double old = 1.0;
  for (int i = 1; i <= 10; ++i) {
    watch.Add(20.0);
    old *= 0.9;
    const double whole = 1.0 - old * 0.12157665459056929;  // 0.9^20
    EXPECT_EQ(watch.Exploded(), (1.0 - old) / whole > share_at_4_of_8) << i;
  }
  EXPECT_TRUE(watch.Exploded());
  EXPECT_FALSE(watch.at_best());
}

TEST(LossWatch, OneOutlierIsNoExplosion) {
  LossWatch watch(4.0);
  for (int i = 0; i < 20; ++i) watch.Add(2.0);
  watch.Add(40.0);
  EXPECT_FALSE(watch.Exploded());
}

TEST(LossWatch, WhatIsLearntByHeartMayVaryBelowOneNatTimesTheFactor) {
  LossWatch watch(4.0);
  for (int i = 0; i < 50; ++i) watch.Add(0.001);
  for (int i = 0; i < 50; ++i) watch.Add(3.9);
  EXPECT_FALSE(watch.Exploded());
  for (int i = 0; i < 50; ++i) watch.Add(4.2);
  EXPECT_TRUE(watch.Exploded());
}

TEST(LossWatch, AnInfiniteFactorNeverCallsAnExplosion) {
  LossWatch watch(std::numeric_limits<double>::infinity());
  watch.Add(1.0);
  for (int i = 0; i < 50; ++i) watch.Add(1e30);
  EXPECT_FALSE(watch.Exploded());
}

}  // namespace
}  // namespace dashf::train
