#include "train/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace dashf::train {
namespace {

std::vector<double> Shares(const LearningRateSchedule& schedule, int steps) {
  std::vector<double> shares;
  for (int step = 1; step <= steps; ++step) shares.push_back(schedule.Share(step, steps));
  return shares;
}

void ExpectNear(const std::vector<double>& got, const std::vector<double>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-15) << i;
}

TEST(Schedule, ConstantStaysAtItsPeak) {
  ExpectNear(Shares({}, 3), {1.0, 1.0, 1.0});
}

TEST(Schedule, LinearFallsByEqualPartsAndWouldReachZeroAfterTheLastStep) {
  ExpectNear(Shares({.shape = ScheduleShape::kLinear}, 5), {1.0, 0.8, 0.6, 0.4, 0.2});
}

TEST(Schedule, CosineFallsAsTheCosineOfEqualAngles) {
  ExpectNear(Shares({.shape = ScheduleShape::kCosine}, 6),
             {1.0,
              0.5 + std::sqrt(3.0) / 4.0,  // 30 degrees
              0.75,
              0.5,
              0.25,
              0.5 - std::sqrt(3.0) / 4.0});
}

TEST(Schedule, WarmUpRisesByEqualPartsToThePeakAndTheRestFallsFromIt) {
  ExpectNear(Shares({.shape = ScheduleShape::kLinear, .warmup = 4}, 8),
             {0.25, 0.5, 0.75, 1.0, 1.0, 0.75, 0.5, 0.25});
  ExpectNear(Shares({.shape = ScheduleShape::kConstant, .warmup = 2}, 4), {0.5, 1.0, 1.0, 1.0});
}

TEST(Schedule, WarmUpBelowOneIsAShareOfTheStepsRoundedUp) {
  EXPECT_EQ((LearningRateSchedule{.warmup = 0.1}.WarmupSteps(41)), 5);
  EXPECT_EQ((LearningRateSchedule{.warmup = 0.1}.WarmupSteps(40)), 4);
  EXPECT_EQ((LearningRateSchedule{.warmup = 1}.WarmupSteps(41)), 1);
}

TEST(Schedule, WarmUpThatIsLongerThanTheTrainingNeverReachesAFall) {
  ExpectNear(Shares({.shape = ScheduleShape::kCosine, .warmup = 9}, 2), {0.5, 1.0});
}

}  // namespace
}  // namespace dashf::train
