#include "runtime/learnt_factors.h"

#include <gtest/gtest.h>

namespace dashf::runtime {
namespace {

constexpr double kTolerance = 1e-12;

Factor Heard(double ratio) {
  Factor factor;
  factor.Hear(ratio);
  return factor;
}

Scenario TwoUsers() {
  const Compute compute{1e9, 4.0, 1e-27, 0.0};
  Scenario scenario;
  scenario.users = {{"u0", "", {}, 1.0, compute, 1.0, 0}, {"u1", "", {}, 1.0, compute, 1.0, 0}};
  scenario.servers = {{"s0", "", {}, 1.0, 1.0, {}, compute}};
  scenario.profiles = {{"p", {0.0, 1.0}, {1.0, 0.0}, {8.0, 6.0}, {4.0, 2.0}, {0.0, 1.0}}};
  return scenario;
}

TEST(TakeFactors, ASlowDeviceDoesLessInACycleAndASlowLinkHasMoreToCarry) {
  fleet::State state;
  state.users["u0"].factors = {Heard(2.0), Heard(3.0), Heard(0.5)};
  state.users["u1"];
  state.servers["s0"].factors.compute = Heard(4.0);
  Scenario scenario = TwoUsers();
  const LearntFactors learnt = TakeFactors(state, &scenario);
  EXPECT_NEAR(scenario.users[0].compute.flop_per_cycle, 2.0, kTolerance);
  EXPECT_EQ(scenario.users[1].compute.flop_per_cycle, 4.0);
  EXPECT_NEAR(scenario.servers[0].compute.flop_per_cycle, 1.0, kTolerance);
  const SplitProfile& own = scenario.ProfileOf(scenario.users[0]);
  EXPECT_NEAR(own.upload_bit[1], 18.0, 1e-9);
  EXPECT_NEAR(own.download_bit[0], 2.0, kTolerance);
  EXPECT_EQ(own.local_flop, scenario.profiles[0].local_flop);
  EXPECT_EQ(scenario.ProfileOf(scenario.users[1]).upload_bit, scenario.profiles[0].upload_bit);
  const PhaseFactors assumed = learnt.For("u0", "s0");
  EXPECT_NEAR(assumed.local, 2.0, kTolerance);
  EXPECT_NEAR(assumed.upload, 3.0, kTolerance);
  EXPECT_NEAR(assumed.server, 4.0, kTolerance);
  EXPECT_NEAR(assumed.download, 0.5, kTolerance);
  EXPECT_EQ(learnt.For("u1", "s1").local, 1.0);
  EXPECT_EQ(learnt.For("u1", "s1").server, 1.0);
}

TEST(TakeFactors, OfAFleetThatHasShownNothingAreTheScenario) {
  Scenario scenario = TwoUsers();
  const LearntFactors learnt = TakeFactors(fleet::State{}, &scenario);
  EXPECT_TRUE(learnt.users.empty());
  EXPECT_EQ(scenario.profiles.size(), 1U);
  EXPECT_EQ(scenario.users[0].compute.flop_per_cycle, 4.0);
}

}  // namespace
}  // namespace dashf::runtime
