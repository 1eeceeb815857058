#include "solvers/case_search.h"

#include <gtest/gtest.h>

#include "solvers/exhaustive.h"
#include "solvers/testing.h"

namespace dashf::solvers::internal {
namespace {

struct Made {
  ScrProblem problem;
  Columns columns;
  DualPoint root;
};

Made MakeAt(const Scenario& scenario, double scr) {
  Made made{*MakeScrProblem(scenario), {}, {}};
  made.columns = MakeColumns(made.problem, true);
  PricedUsers users(made.problem, made.columns, 1);
  made.root = SearchPrices(made.problem, FirstPrices(made.problem, made.columns, scr), {}, &users);
  made.root.y = scr;
  return made;
}

TEST(Cases, BoundTheBestPlanAndCloseTheGapThatPricesLeave) {
  int open = 0, closed = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    const Scenario scenario = testing::RandomScenario({.users = 2 + static_cast<int>(seed % 4),
                                                       .servers = 2 + static_cast<int>(seed % 2),
                                                       .layers = 3,
                                                       .all_local_allowed = seed % 5 == 0,
                                                       .corners = seed % 3 == 0},
                                                      Rng(seed));
    if (!Validate(scenario)) continue;
    const auto best = SolveExhaustive(scenario, {.on_iteration = {}});
    if (!best) continue;
    const double scr = TotalsOf(*MakeScrProblem(scenario), best->plan).Scr();
    const Made made = MakeAt(scenario, scr);
    DualPoint root = made.root;
    PricedUsers users(made.problem, made.columns, 1);
    RaiseToBound(std::numeric_limits<double>::infinity(), &users, &root);
    const CaseBound bound = SearchCases(made.problem, made.columns, made.root, {});
    EXPECT_GE(bound.y, scr * (1 - 1e-7)) << seed;
    const double gap = root.y / scr - 1.0;
    open += gap > 1e-3;
    closed += gap > 1e-3 && bound.y / scr - 1.0 < 0.05 * gap;
  }
  EXPECT_GT(open, 10);
  // In the rest replies jump (the download's energy is not convex), or delay costs nothing and its
  // stand-in keeps plans off the bound.
  EXPECT_GE(closed * 10, open * 8);
}

TEST(Cases, AreTheSameForAnyNumberOfThreads) {
  const Scenario scenario = testing::RandomScenario({.users = 24, .servers = 4}, Rng(3));
  const Made made = MakeAt(scenario, 1.0);
  const CaseBound one = SearchCases(made.problem, made.columns, made.root, {.threads = 1});
  const CaseBound three = SearchCases(made.problem, made.columns, made.root, {.threads = 3});
  EXPECT_EQ(one.y, three.y);
  EXPECT_EQ(one.user_worth, three.user_worth);
}

// The smoothed value's derivatives, by differences: along a random direction in the worths.
TEST(ServerCaseTree, HasTheDerivativesThatDifferencesGive) {
  const Scenario scenario = testing::RandomScenario({.users = 7, .servers = 2}, Rng(5));
  const double y = 1.0, eta = 0.02;
  const Made made = MakeAt(scenario, y);
  for (int branches = 0; branches < 3; ++branches) {
    ServerCaseTree tree(made.problem, made.columns, 1, made.root.price[1]);
    Rng rng(7);
    std::vector<double> worth, direction;
    for (int n = 0; n < 7; ++n) {
      worth.push_back(rng.Uniform(-0.6, 0.3));
      direction.push_back(rng.Uniform(-1.0, 1.0));
    }
    tree.Solve(y, worth, eta);
    for (int i = 0; i < branches; ++i) {
      tree.Branch();
      tree.Solve(y, worth, eta);
    }
    const auto along = [&](double step, std::vector<double>* presence) {
      std::vector<double> moved = worth;
      for (std::size_t n = 0; n < 7; ++n) moved[n] += step * direction[n];
      for (int i = 0; i < 3; ++i) tree.Solve(y, moved, eta);
      presence->assign(7, 0.0);
      tree.AddPresence(presence);
      return tree.value();
    };
    constexpr double kStep = 1e-4;
    std::vector<double> more, less, here, product(7, 0.0);
    const double rise = along(kStep, &more) - along(-kStep, &less);
    along(0.0, &here);
    tree.AddTimes(direction, &product);
    double slope = 0.0;
    for (std::size_t n = 0; n < 7; ++n) {
      slope -= here[n] * direction[n];
      EXPECT_NEAR((less[n] - more[n]) / (2 * kStep), product[n], 0.02 * std::abs(product[n]) + 0.05)
          << n;
    }
    EXPECT_NEAR(rise / (2 * kStep), slope, 1e-3);
  }
}

}  // namespace
}  // namespace dashf::solvers::internal
