#include "solvers/cheap_plans.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "problem/evaluation.h"
#include "solvers/baselines.h"
#include "solvers/prices.h"
#include "solvers/testing.h"

namespace dashf::solvers::internal {
namespace {

constexpr SolveFunction kBaselines[] = {SolveGreedy, SolveRandom, SolveAssociationOnly};

Scenario Crowd(DelayMode delay, bool tight) {
  Scenario scenario = testing::RandomScenario({.users = 90, .servers = 6, .delay = delay}, Rng(2));
  if (!tight) return scenario;
  for (Server& server : scenario.servers) server.slots = 15;
  return scenario;
}

TEST(CheapPlans, RiseToTheBestOfTheBaselines) {
  for (const DelayMode delay : {DelayMode::kSum, DelayMode::kMakespan}) {
    for (const bool tight : {false, true}) {
      const Scenario scenario = Crowd(delay, tight);
      const auto problem = MakeScrProblem(scenario);
      ASSERT_TRUE(problem.has_value());
      std::vector<double> scrs = {0.0};
      const auto keep = [&](Plan plan, std::string_view name) {
        const Evaluation evaluation = Evaluate(scenario, plan);
        EXPECT_TRUE(evaluation.feasible) << name;
        EXPECT_GT(evaluation.scr, scrs.back()) << name;
        scrs.push_back(evaluation.scr);
      };
      const double forever_s = std::numeric_limits<double>::infinity();
      FindCheapPlans(scenario, *problem, {.on_iteration = {}}, 0.0, keep);
      EXPECT_EQ(scrs.size(), 1);
      FindCheapPlans(scenario, *problem, {.on_iteration = {}}, forever_s, keep);
      for (const SolveFunction solve : kBaselines) {
        const auto solved = solve(scenario, {.on_iteration = {}});
        ASSERT_TRUE(solved.has_value());
        EXPECT_GE(scrs.back(), Evaluate(scenario, solved->plan).scr * (1.0 - 1e-12));
      }
    }
  }
}

TEST(CheapPlans, HaveATenthOfALimitThatIsLongEnoughForTheSearch) {
  EXPECT_DOUBLE_EQ(CheapBudgetS(10.0, 1000, 1), 1.0);
  EXPECT_DOUBLE_EQ(CheapBudgetS(1.0, 1000000, 2), 0.6);
  EXPECT_EQ(CheapBudgetS(std::numeric_limits<double>::infinity(), 1000, 1),
            std::numeric_limits<double>::infinity());
}

// Whatever the limit allows, the search says what it starts from and does not end below that. With
// time for them all it is above every baseline, though it stops at a gap of one half.
TEST(CheapPlans, AreNeverAboveWhatTheSearchEndsWith) {
  for (const DelayMode delay : {DelayMode::kSum, DelayMode::kMakespan}) {
    const Scenario scenario = Crowd(delay, true);
    for (const double limit_s : {0.01, 0.05, 0.1, 0.3, 1.0, 1e4}) {
      const auto found =
          SolvePrices(scenario, {.time_limit_s = limit_s, .gap_target = 0.5, .on_iteration = {}});
      ASSERT_TRUE(found.has_value());
      const Evaluation evaluation = Evaluate(scenario, found->plan);
      EXPECT_TRUE(evaluation.feasible);
      for (const IterationRecord& record : found->history) {
        EXPECT_GE(evaluation.scr, record.scr * (1.0 - 1e-12)) << limit_s << " " << record.step;
      }
      if (limit_s < 1e3) continue;
      for (const SolveFunction solve : kBaselines) {
        const auto baseline = solve(scenario, {.on_iteration = {}});
        EXPECT_GE(evaluation.scr, Evaluate(scenario, baseline->plan).scr * (1.0 - 1e-12));
      }
    }
  }
}

}  // namespace
}  // namespace dashf::solvers::internal
