#include "solvers/server_market.h"

#include <gmock/gmock.h>

#include "solvers/market_plan.h"
#include "solvers/resource_step.h"
#include "solvers/slot_repair.h"
#include "solvers/testing.h"

namespace dashf::solvers::internal {
namespace {

std::vector<int> RandomColumns(const ScrProblem& problem, const Columns& columns, Rng* rng) {
  std::vector<int> column(problem.tx_power_w_max.size());
  for (std::size_t n = 0; n < column.size(); ++n) {
    const int first = columns.begin[n];
    const auto count = static_cast<std::uint64_t>(columns.begin[n + 1] - first);
    column[n] = first + static_cast<int>(rng->Below(count));
  }
  return column;
}

Association AssociationFrom(const ScrProblem& problem,
                            const Columns& columns,
                            const std::vector<int>& column) {
  Association association;
  for (const int c : column) {
    association.push_back(columns.ChoiceOf(problem, static_cast<std::size_t>(c)));
  }
  return association;
}

// Another algorithm for the same convex program: the interior-point resource step.
TEST(Market, ClearsWhereTheResourceStepEnds) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Rng rng(seed);
    const Scenario scenario = testing::RandomScenario(
        {.users = 1 + static_cast<int>(seed % 9), .servers = 2}, rng.Stream("scenario"));
    const ScrProblem problem = MakeScrProblem(scenario).value();
    const Columns columns = MakeColumns(problem, true);
    const std::vector<int> column = RandomColumns(problem, columns, &rng);
    const double y = std::pow(10.0, rng.Uniform(-4.0, -2.0));
    MarketPlan plan(problem, columns, 1);
    plan.Assign(column);
    plan.ClearAll(y);
    const ResourceResult step =
        AllocateResources(problem, AssociationFrom(problem, columns, column), y);
    const PlanTotals totals = TotalsOf(problem, plan.Settled());
    const double scale = step.score + y * step.cost;
    EXPECT_NEAR(totals.score - y * totals.cost, step.score - y * step.cost, 1e-8 * scale);
    EXPECT_NEAR(plan.Value(), step.score - y * step.cost, 1e-8 * scale) << "seed " << seed;
  }
}

TEST(Market, ValuesAChangeAsAClearingFromScratchDoes) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Rng rng(seed);
    const Scenario scenario =
        testing::RandomScenario({.users = 7, .servers = 3}, rng.Stream("scenario"));
    const ScrProblem problem = MakeScrProblem(scenario).value();
    const Columns columns = MakeColumns(problem, true);
    std::vector<int> column = RandomColumns(problem, columns, &rng);
    constexpr double kY = 1e-3;
    MarketPlan plan(problem, columns, 1), fresh(problem, columns, 1);
    plan.Assign(column);
    plan.ClearAll(kY);
    const double before = plan.Value();
    column[2] = columns.begin[2];
    column[5] = columns.begin[6] - 1;
    const Change changes[] = {{2, column[2], Eigen::Vector3d::Constant(0.1)},
                              {5, column[5], Eigen::Vector3d::Constant(0.1)}};
    const double gain = plan.Try(changes);
    EXPECT_EQ(plan.Value(), before);
    plan.Commit();
    fresh.Assign(column);
    fresh.ClearAll(kY);
    EXPECT_NEAR(before + gain, fresh.Value(), 1e-6 * problem.score_scale) << "seed " << seed;
    EXPECT_NEAR(plan.Value(), fresh.Value(), 1e-8 * problem.score_scale) << "seed " << seed;
    EXPECT_EQ(plan.columns_of_users(), column);
  }
}

// With as many slots as users the repair must find the one way out, however long the chain.
TEST(SlotRepair, FindsAnAssociationWhereSlotsAreExactlyEnough) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Rng rng(seed);
    Scenario scenario = testing::RandomScenario({.users = 8, .servers = 8}, rng.Stream("scenario"));
    // User n reaches servers n and n + 1 alone, the last one its own only: everyone must stay put.
    for (std::size_t n = 0; n < 8; ++n) {
      auto& links = scenario.links[n];
      links = n < 7 ? std::vector<Link>{links[n], links[n + 1]} : std::vector<Link>{links[7]};
      scenario.servers[n].slots = 1;
    }
    const ScrProblem problem = MakeScrProblem(scenario).value();
    const Columns columns = MakeColumns(problem, true);
    std::vector<int> column = RandomColumns(problem, columns, &rng);
    ASSERT_TRUE(RepairSlots(problem, columns, std::vector<float>(columns.size(), 0.0F), &column));
    const Association association = AssociationFrom(problem, columns, column);
    EXPECT_TRUE(IsAdmissible(problem, association));
    for (int n = 0; n < 8; ++n) EXPECT_EQ(association[static_cast<std::size_t>(n)].server, n);
  }
}

TEST(SlotRepair, GivesUpNoMoreThanItMust) {
  Scenario scenario = testing::RandomScenario({.users = 3, .servers = 2, .layers = 2}, Rng(1));
  scenario.servers[0].slots = 1;
  const ScrProblem problem = MakeScrProblem(scenario).value();
  const Columns columns = MakeColumns(problem, true);
  // All prefer server 0; user 1 loses least by leaving it, then user 2.
  std::vector<float> psi(columns.size());
  for (std::size_t c = 0; c < columns.size(); ++c) {
    const float loss[] = {5.0F, 1.0F, 2.0F};
    psi[c] = columns.ChoiceOf(problem, c).server == 0 ? 10.0F : 10.0F - loss[columns.user[c]];
  }
  std::vector<int> column = {columns.begin[0], columns.begin[1], columns.begin[2]};
  ASSERT_TRUE(RepairSlots(problem, columns, psi, &column));
  const Association association = AssociationFrom(problem, columns, column);
  EXPECT_EQ(association[0].server, 0);
  EXPECT_EQ(association[1].server, 1);
  EXPECT_EQ(association[2].server, 1);
}

TEST(SlotRepair, StopsWhenItsTimeIsUp) {
  Scenario scenario = testing::RandomScenario({.users = 3, .servers = 2}, Rng(1));
  scenario.servers[0].slots = 1;
  const ScrProblem problem = MakeScrProblem(scenario).value();
  const Columns columns = MakeColumns(problem, true);
  const std::vector<float> psi(columns.size(), 0.0F);
  std::vector<int> column = {columns.begin[0], columns.begin[1], columns.begin[2]};
  EXPECT_FALSE(RepairSlots(problem, columns, psi, &column, -1.0));
  EXPECT_TRUE(RepairSlots(problem, columns, psi, &column, 1e3));
}

TEST(SlotRepair, SaysWhereThereIsNoWay) {
  Scenario scenario = testing::RandomScenario({.users = 3, .servers = 2}, Rng(1));
  for (Server& server : scenario.servers) server.slots = 1;
  const ScrProblem problem = MakeScrProblem(scenario).value();
  const Columns columns = MakeColumns(problem, true);
  std::vector<int> column = {columns.begin[0], columns.begin[1], columns.begin[2]};
  EXPECT_FALSE(RepairSlots(problem, columns, std::vector<float>(columns.size(), 0.0F), &column));
}

}  // namespace
}  // namespace dashf::solvers::internal
