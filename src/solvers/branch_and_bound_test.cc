#include "solvers/branch_and_bound.h"

#include <gtest/gtest.h>

#include "solvers/exhaustive.h"
#include "solvers/priced_users.h"
#include "solvers/resource_step.h"
#include "solvers/testing.h"

namespace dashf::solvers::internal {
namespace {

struct World {
  Scenario scenario;
  ScrProblem problem;
  Columns columns;
};

World RandomWorld(std::uint64_t seed, DelayMode delay = DelayMode::kMakespan) {
  World world;
  world.scenario = testing::RandomScenario(
      {.users = 4, .servers = 2, .layers = 3, .delay = delay, .all_local_allowed = seed % 2 == 0},
      Rng(seed));
  if (seed % 3 == 0) world.scenario.servers.back().slots = 2;
  world.problem = *MakeScrProblem(world.scenario);
  world.columns = MakeColumns(world.problem, false);
  return world;
}

RowsOfUsers AllRows(const Columns& columns) {
  RowsOfUsers rows(columns.begin.size() - 1);
  for (std::size_t c = 0; c < columns.size(); ++c) {
    rows[static_cast<std::size_t>(columns.user[c])].push_back(static_cast<int>(c));
  }
  return rows;
}

// A box around the plan's phases, and y at its ratio.
struct Around {
  Plan plan;
  PlanTotals totals;
  DeadlineBox box;
  BoxPrices start;
};

Around AroundAPlan(const World& world) {
  const ScrProblem& problem = world.problem;
  Around around;
  around.plan = SolveExhaustive(world.scenario, {.on_iteration = {}})->plan;
  around.totals = TotalsOf(problem, around.plan);
  double user_s = 0.0, server_s = 0.0;
  for (int n = 0; n < problem.users(); ++n) {
    const UserTotals totals = TotalsOf(problem, n, around.plan[static_cast<std::size_t>(n)]);
    user_s = std::max(user_s, totals.user_phase_s);
    server_s = std::max(server_s, totals.server_phase_s);
  }
  around.box.user_phase_s_min = 0.8 * user_s;
  around.box.user_phase_s_max = 1.3 * user_s;
  around.box.server_phase_s_min = 0.7 * server_s;
  around.box.server_phase_s_max = 1.2 * server_s;
  const std::vector<double> even(static_cast<std::size_t>(problem.users()),
                                 problem.delay_weight_per_s / problem.users());
  around.start = {ServerVector(2, Eigen::Vector4d::Constant(problem.score_scale)), {even, even}};
  return around;
}

// The value is what the users' own side makes of the same prices and weights; no plan in the box is
// above it, and it is not far above the best.
TEST(BoxDual, BoundsThePlansOfABoxAndIsNearlyTheLeastBound) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    const World world = RandomWorld(seed);
    Around around = AroundAPlan(world);
    const double y = around.totals.Scr();
    BoxDual dual(world.problem, world.columns);
    const RowsOfUsers rows = AllRows(world.columns);
    RowsOfUsers within = rows;
    for (std::vector<int>& of_user : within) {
      std::erase_if(of_user, [&](int column) {
        const auto c = static_cast<std::size_t>(column);
        const Eigen::Vector2d least = LeastPhases(world.problem,
                                                  static_cast<std::size_t>(world.columns.user[c]),
                                                  static_cast<std::size_t>(world.columns.link[c]),
                                                  static_cast<std::size_t>(world.columns.split[c]));
        return least[0] > around.box.user_phase_s_max || least[1] > around.box.server_phase_s_max;
      });
    }
    BoxPrices at = around.start;
    const BoxBound bound = dual.Minimise(y, around.box, within, -1e9, {}, &at);
    const double score = around.totals.score;
    EXPECT_GE(bound.value, -1e-7 * score) << seed;  // The plan's score - y cost is 0.
    EXPECT_LE(bound.value, 0.3 * score) << seed;
    PricedUsers users(world.problem, world.columns, 1);
    DeadlineBox box = around.box;
    Give(world.problem, at, &box);
    ASSERT_TRUE(users.EnterBox(box));
    const double infinity = std::numeric_limits<double>::infinity();
    const double value = users.Refresh({y, at.price}, infinity, world.columns.size(), false).value;
    EXPECT_NEAR(bound.value, value, 1e-5 * score) << seed;
    Rng rng(seed);
    for (int i = 0; i < 20; ++i) {  // Prices and weights nearby are no better.
      DeadlineBox other = around.box;
      BoxPrices near = at;
      for (Eigen::Vector4d& price : near.price) price *= rng.Uniform(0.97, 1.03);
      Give(world.problem, near, &other);
      ASSERT_TRUE(users.EnterBox(other));
      EXPECT_GE(users.Refresh({y, near.price}, infinity, world.columns.size(), false).value,
                bound.value - 1e-4 * score)
          << seed;
    }
  }
}

// The same with the sum of delays, where there are no weights and every deadline is kept.
TEST(BoxDual, MeetsTheLeastOfTheDualWithTheSumOfDelays) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    const World world = RandomWorld(seed, DelayMode::kSum);
    const ScrProblem& problem = world.problem;
    const Plan plan = SolveExhaustive(world.scenario, {.on_iteration = {}})->plan;
    const PlanTotals totals = TotalsOf(problem, plan);
    BoxDual dual(problem, world.columns);
    BoxPrices at{ServerVector(2, Eigen::Vector4d(problem.score_scale, 1e-12, 3.0, 0.0)), {}};
    const RowsOfUsers rows = AllRows(world.columns);
    const BoxBound bound = dual.Minimise(totals.Scr(), {}, rows, -1e9, {}, &at);
    EXPECT_TRUE(at.weight_per_s[0].empty() && at.weight_per_s[1].empty());
    EXPECT_GE(bound.value, -1e-7 * totals.score) << seed;
    EXPECT_LE(bound.value, 0.3 * totals.score) << seed;
    PricedUsers users(problem, world.columns, 1);
    const double infinity = std::numeric_limits<double>::infinity();
    const auto value_at = [&](const ServerVector& price) {
      return users.Refresh({totals.Scr(), price}, infinity, world.columns.size(), false).value;
    };
    EXPECT_NEAR(bound.value, value_at(at.price), 1e-5 * totals.score) << seed;
    Rng rng(seed);
    for (int i = 0; i < 20; ++i) {
      ServerVector near = at.price;
      for (Eigen::Vector4d& price : near) price *= rng.Uniform(0.9, 1.1);
      EXPECT_GE(value_at(near), bound.value - 1e-4 * totals.score) << seed;
    }
  }
}

class SmallScenarios : public ::testing::TestWithParam<DelayMode> {};
INSTANTIATE_TEST_SUITE_P(BothModes,
                         SmallScenarios,
                         ::testing::Values(DelayMode::kSum, DelayMode::kMakespan));

TEST_P(SmallScenarios, AreClosedAtTheBestPlanAndForAnyNumberOfThreads) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    const World world = RandomWorld(seed, GetParam());
    const Plan best = SolveExhaustive(world.scenario, {.on_iteration = {}})->plan;
    const double scr = TotalsOf(world.problem, best).Scr();
    std::vector<std::size_t> nodes;
    for (const int threads : {1, 3}) {
      double reached = 0.5 * scr;
      const BranchAndBoundOptions options{
          .threads = threads,
          .out_of_time = [] { return false; },
          .on_association =
              [&](const Association& association) {
                if (!IsAdmissible(world.problem, association)) return reached;
                return reached = std::max(
                           reached, MaximizeScrForAssociation(world.problem, association).scr);
              }};
      BranchAndBound tree(world.problem, world.columns, options);
      const Certificate certificate =
          tree.Bound(reached, [](double of) { return of * (1.0 + 1e-4); });
      EXPECT_NEAR(reached, scr, 1e-4 * scr) << seed;  // Its plans are the best.
      EXPECT_LE(certificate.scr_upper, scr * (1.0 + 1.1e-4)) << seed;
      EXPECT_GE(certificate.scr_upper, scr * (1.0 - 1e-7)) << seed;
      nodes.push_back(tree.nodes());
    }
    EXPECT_EQ(nodes[0], nodes[1]) << seed;
  }
}

}  // namespace
}  // namespace dashf::solvers::internal
