#include "solvers/explanation.h"

#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "problem/evaluation.h"
#include "solvers/method.h"
#include "solvers/resource_step.h"
#include "solvers/testing.h"

namespace dashf::solvers {
namespace {

std::vector<int> Everybody(const Scenario& scenario) {
  std::vector<int> users(scenario.users.size());
  std::iota(users.begin(), users.end(), 0);
  return users;
}

// The SCR of an association with the best resources, by a Dinkelbach run of its own.
double BestScr(const Scenario& scenario, const Association& association) {
  return MaximizeScrForAssociation(MakeScrProblem(scenario).value(), association).scr;
}

class Explained : public ::testing::TestWithParam<DelayMode> {
 protected:
  void SetUp() override {
    scenario_ = testing::RandomScenario(
        {.users = 5, .servers = 2, .layers = 4, .delay = GetParam()}, Rng(7));
    const auto solved = FindMethod("dashf")->solve(scenario_, {});
    ASSERT_TRUE(solved) << solved.error().Text();
    association_ = AssociationOf(solved->plan);
    plan_ = MaximizeScrForAssociation(MakeScrProblem(scenario_).value(), association_).plan;
    scr_ = Evaluate(scenario_, plan_).scr;
    const auto explained = Explain(scenario_, plan_, Everybody(scenario_));
    ASSERT_TRUE(explained) << explained.error().Text();
    explanation_ = *explained;
  }

  Scenario scenario_;
  Association association_;
  Plan plan_;
  double scr_ = 0.0;
  Explanation explanation_;
};

TEST_P(Explained, AWellAllocatedPlanLeavesNothingUnused) {
  EXPECT_NEAR(explanation_.unused_scr, 0.0, 1e-7);
}

TEST_P(Explained, ACapacitysValueIsTheChangeOfTheOptimumOfTheLargerScenario) {
  ASSERT_FALSE(explanation_.capacities.empty());
  for (const CapacityValue& value : explanation_.capacities) {
    Scenario larger = scenario_;
    Server& server = larger.servers[static_cast<std::size_t>(value.server)];
    (value.resource == SharedResource::kBandwidth ? server.bandwidth_hz
     : value.resource == SharedResource::kPower   ? server.tx_power_w_max
                                                  : server.compute.clock_hz_max) *= 1.01;
    const double change = BestScr(larger, association_) / scr_ - 1.0;
    EXPECT_NEAR(value.scr_change_per_percent, change, 0.03 * std::abs(change) + 1e-7);
    EXPECT_LE(value.used_share, 1.0 + 1e-9);
  }
}

TEST_P(Explained, AnAlternativesChangeIsThatOfTheChangedAssociation) {
  for (const UserReason& reason : explanation_.users) {
    for (const auto& alternative : {reason.other_split, reason.other_server}) {
      ASSERT_TRUE(alternative);
      Association changed = association_;
      changed[static_cast<std::size_t>(reason.user)] = alternative->choice;
      const double change = BestScr(scenario_, changed) / scr_ - 1.0;
      EXPECT_LE(alternative->scr_change, change + 1e-7);  // One Dinkelbach step of several.
      EXPECT_NEAR(alternative->scr_change, change, 0.1 * std::abs(change) + 1e-7)
          << scenario_.users[static_cast<std::size_t>(reason.user)].id;
      EXPECT_EQ(alternative->scr_change > 1e-6, change > 1e-6);
    }
    EXPECT_EQ(reason.other_split->choice.server, reason.choice.server);
    EXPECT_NE(reason.other_server->choice.server, reason.choice.server);
  }
}

INSTANTIATE_TEST_SUITE_P(BothModes,
                         Explained,
                         ::testing::Values(DelayMode::kSum, DelayMode::kMakespan),
                         [](const auto& mode) {
                           return mode.param == DelayMode::kSum ? "Sum" : "Makespan";
                         });

TEST(Explain, AFullServerIsNoAlternativeAndABrokenPlanHasNoExplanation) {
  Scenario scenario = testing::RandomScenario({.users = 4, .servers = 2}, Rng(3));
  for (Server& server : scenario.servers) server.slots = 2;
  const auto solved = FindMethod("dashf")->solve(scenario, {});
  ASSERT_TRUE(solved);
  const auto explained = Explain(scenario, solved->plan, Everybody(scenario));
  ASSERT_TRUE(explained);
  for (const UserReason& reason : explained->users) EXPECT_FALSE(reason.other_server);
  Plan broken = solved->plan;
  broken[0].bandwidth_hz *= 10.0;
  const auto refused = Explain(scenario, broken, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kInfeasible);
}

}  // namespace
}  // namespace dashf::solvers
