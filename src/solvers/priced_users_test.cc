#include "solvers/priced_users.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "solvers/price_search.h"
#include "solvers/testing.h"

namespace dashf::solvers::internal {
namespace {

constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();
constexpr double kEverything = std::numeric_limits<double>::infinity();

ServerVector Along(const ServerVector& from, double length, const ServerVector& direction) {
  ServerVector to = from;
  for (std::size_t m = 0; m < to.size(); ++m) to[m] += length * direction[m];
  return to;
}

TEST(PricedUsers, GiveTheSmoothedDualsDerivatives) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const Scenario scenario = testing::RandomScenario({.users = 6, .servers = 3}, Rng(seed));
    const ScrProblem problem = MakeScrProblem(scenario).value();
    const Columns columns = MakeColumns(problem, true);
    PricedUsers users(problem, columns, 1);
    const DualPoint at{.y = 1e-3, .price = ServerVector(3, Eigen::Vector4d(1.0, 0.5, 2.0, 0.0))};
    constexpr double kEta = 0.05, kStep = 1e-4;
    users.Refresh(at, kEverything, kAll, false);
    const DualSums sums = users.Sweep(at, kEta);
    ServerVector direction, product;
    for (int m = 0; m < 3; ++m) direction.emplace_back(0.3, -0.2, 0.5 * m, 0.0);
    users.Times(direction, kEta, &product);
    const DualSums above = users.Sweep({at.y, Along(at.price, kStep, direction)}, kEta);
    const DualSums below = users.Sweep({at.y, Along(at.price, -kStep, direction)}, kEta);
    double slope = 0.0;
    for (std::size_t m = 0; m < 3; ++m) slope += sums.excess[m].dot(direction[m]);
    EXPECT_NEAR((above.value - below.value) / (2 * kStep), slope, 1e-5 * std::abs(slope) + 1e-7);
    for (std::size_t m = 0; m < 3; ++m) {
      const Eigen::Vector4d change = (above.excess[m] - below.excess[m]) / (2 * kStep);
      EXPECT_LE((change - product[m]).norm(), 2e-3 * product[m].norm() + 1e-9) << "seed " << seed;
    }
  }
}

// The smoothed maximum lies between the maximum and eta ln(columns) above it.
TEST(PricedUsers, SmoothFromAbove) {
  const Scenario scenario = testing::RandomScenario({.users = 8, .servers = 3}, Rng(4));
  const ScrProblem problem = MakeScrProblem(scenario).value();
  const Columns columns = MakeColumns(problem, false);
  PricedUsers users(problem, columns, 1);
  const DualPoint at{.y = 1e-3, .price = ServerVector(3, Eigen::Vector4d(1.0, 0.5, 2.0, 0.0))};
  const double hard = users.Refresh(at, kEverything, kAll, false).value;
  const double log_columns = std::log(static_cast<double>(columns.size()) / 8.0);
  for (const double eta : {1.0, 1e-2, 1e-4}) {
    const DualSums sums = users.Sweep(at, eta);
    EXPECT_NEAR(sums.best, hard, 1e-8);
    EXPECT_GE(sums.value, hard - 1e-8);
    EXPECT_LE(sums.value, hard + 8.0 * eta * log_columns + 1e-8);
  }
}

// Rows left out as dominated are never a user's best, at any prices.
TEST(Columns, WithoutDominatedRowsHaveTheSameDual) {
  int left_out = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Rng rng(seed);
    const Scenario scenario = testing::RandomScenario({.users = 4,
                                                       .servers = 2,
                                                       .layers = 6,
                                                       .all_local_allowed = seed % 2 == 0,
                                                       .corners = seed % 3 == 0},
                                                      rng.Stream("scenario"));
    const ScrProblem problem = MakeScrProblem(scenario).value();
    const Columns all = MakeColumns(problem, false), few = MakeColumns(problem, true);
    left_out += static_cast<int>(all.size() - few.size());
    PricedUsers with(problem, all, 1), without(problem, few, 1);
    for (int i = 0; i < 10; ++i) {
      DualPoint at{.y = std::pow(10.0, rng.Uniform(-5.0, 0.0)), .price = {}};
      for (int m = 0; m < 2; ++m) {
        at.price.emplace_back(
            rng.Uniform(0.01, 3.0), rng.Uniform(0.01, 3.0), rng.Uniform(0.0, 3.0), 0.0);
      }
      const DualSums sums = with.Refresh(at, kEverything, kAll, true);
      EXPECT_NEAR(
          without.Refresh(at, kEverything, kAll, true).value, sums.value, 1e-8 * (1.0 + sums.cost))
          << "seed " << seed;
    }
  }
  EXPECT_GT(left_out, 500);
}

TEST(PriceSearch, IsTheSameForAnyNumberOfThreads) {
  const Scenario scenario = testing::RandomScenario({.users = 600, .servers = 4}, Rng(1));
  const ScrProblem problem = MakeScrProblem(scenario).value();
  const Columns columns = MakeColumns(problem, true);
  PricedUsers one(problem, columns, 1), three(problem, columns, 3);
  const DualPoint start = FirstPrices(problem, columns, 1e-3);
  const DualPoint a = SearchPrices(problem, start, {.smoothing_last = 1e-3}, &one);
  const DualPoint b = SearchPrices(problem, start, {.smoothing_last = 1e-3}, &three);
  EXPECT_EQ(a.y, b.y);
  for (std::size_t m = 0; m < a.price.size(); ++m) EXPECT_EQ(a.price[m], b.price[m]);
}

}  // namespace
}  // namespace dashf::solvers::internal
