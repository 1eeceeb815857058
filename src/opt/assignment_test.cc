#include "opt/assignment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "base/rng.h"

namespace dashf::opt {
namespace {

using ::testing::HasSubstr;

// The proof in the header, checked from the raw data.
void ExpectProvenOptimal(const AssignmentProblem& problem, const Assignment& found) {
  std::vector<int> held(problem.capacity.size(), 0);
  double primal = 0.0, dual = 0.0;
  for (std::size_t i = 0; i < problem.candidates.size(); ++i) {
    bool chosen = false;
    for (const auto& [column, cost] : problem.candidates[i]) {
      const double reduced = cost - found.row_price[i] - found.column_price[column];
      EXPECT_GE(reduced, -1e-9);
      if (column != found.column_of_row[i]) continue;
      chosen = true;
      primal += cost;
      ++held[column];
      EXPECT_NEAR(reduced, 0.0, 1e-9);
    }
    EXPECT_TRUE(chosen) << "row " << i << " has a column outside its list";
    dual += found.row_price[i];
  }
  for (std::size_t j = 0; j < problem.capacity.size(); ++j) {
    EXPECT_LE(held[j], problem.capacity[j]);
    EXPECT_LE(found.column_price[j], 0.0);
    EXPECT_TRUE(held[j] == problem.capacity[j] || found.column_price[j] == 0.0);
    dual += problem.capacity[j] * found.column_price[j];
  }
  EXPECT_NEAR(found.cost, primal, 1e-9 * std::max(1.0, std::abs(primal)));
  EXPECT_NEAR(primal, dual, 1e-8 * std::max(1.0, std::abs(primal)));
}

// Random candidate lists of 1 to `columns` entries. Integer costs make ties frequent.
AssignmentProblem RandomProblem(int rows, int columns, bool ties, Rng rng) {
  AssignmentProblem problem;
  for (int j = 0; j < columns; ++j) problem.capacity.push_back(static_cast<int>(rng.Below(3)));
  for (int i = 0; i < rows; ++i) {
    std::vector<int> order = rng.Permutation(columns);
    order.resize(1 + rng.Below(static_cast<std::uint64_t>(columns)));
    auto& list = problem.candidates.emplace_back();
    for (const int j : order) {
      list.push_back({j, ties ? static_cast<double>(rng.Below(4)) : rng.Uniform(-5, 5)});
    }
  }
  return problem;
}

// The least cost over all assignments, or infinity if there is none.
double BruteForce(const AssignmentProblem& problem) {
  std::vector<int> room = problem.capacity;
  const std::function<double(std::size_t)> best_from = [&](std::size_t row) {
    if (row == problem.candidates.size()) return 0.0;
    double best = std::numeric_limits<double>::infinity();
    for (const auto& [column, cost] : problem.candidates[row]) {
      if (room[column] == 0) continue;
      --room[column];
      best = std::min(best, cost + best_from(row + 1));
      ++room[column];
    }
    return best;
  };
  return best_from(0);
}

// LP duality: with c_ij = u_i + v_j + slack_ij, slack >= 0 and slack = 0 on a chosen assignment
// that fills every column with v_j < 0, that assignment is optimal and costs sum u + sum capacity
// v.
TEST(Assignment, ReachesTheOptimumThatDualPricesWereBuiltFor) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Rng rng(seed);
    const int columns = 1 + static_cast<int>(rng.Below(12));
    AssignmentProblem problem;
    std::vector<int> column_of_row;
    std::vector<double> price;
    double optimum = 0.0;
    for (int j = 0; j < columns; ++j) {
      const int held = static_cast<int>(rng.Below(6));
      const bool full = rng.Below(2) == 0;
      problem.capacity.push_back(held + (full ? 0 : 1 + static_cast<int>(rng.Below(5))));
      price.push_back(full ? rng.Uniform(-10, 0) : 0.0);
      optimum += price.back() * held;
      column_of_row.insert(column_of_row.end(), held, j);
    }
    rng.Shuffle(&column_of_row);
    for (const int mine : column_of_row) {
      const double u = rng.Uniform(-10, 10);
      optimum += u;
      auto& list = problem.candidates.emplace_back();
      for (int j = 0; j < columns; ++j) {
        list.push_back({j, u + price[j] + (j == mine ? 0.0 : rng.Uniform(0.1, 5))});
      }
    }
    const auto found = SolveAssignment(problem);
    ASSERT_TRUE(found) << found.error().Text();
    EXPECT_NEAR(found->cost, optimum, 1e-9 * std::max(1.0, std::abs(optimum))) << "seed " << seed;
    EXPECT_EQ(found->column_of_row, column_of_row)
        << "slack is positive elsewhere, so it is unique";
    ExpectProvenOptimal(problem, *found);
  }
}

TEST(Assignment, AgreesWithEnumerationOnSparseListsWithAndWithoutTies) {
  int solved = 0, infeasible = 0;
  for (std::uint64_t seed = 0; seed < 600; ++seed) {
    const AssignmentProblem problem = RandomProblem(
        1 + static_cast<int>(seed % 6), 1 + static_cast<int>(seed % 5), seed % 2 == 0, Rng(seed));
    const double optimum = BruteForce(problem);
    const auto found = SolveAssignment(problem);
    ASSERT_EQ(found.has_value(), std::isfinite(optimum)) << "seed " << seed;
    if (!found) {
      EXPECT_EQ(found.error().kind, ErrorKind::kInfeasible);
      ++infeasible;
      continue;
    }
    EXPECT_NEAR(found->cost, optimum, 1e-12) << "seed " << seed;
    ExpectProvenOptimal(problem, *found);
    ++solved;
  }
  EXPECT_GT(solved, 100);
  EXPECT_GT(infeasible, 100);
}

TEST(Assignment, ProvesTheOptimumAtTheSizeOfTheMelbourneDataSet) {
  Rng rng(7);
  AssignmentProblem problem;
  problem.capacity.assign(125, 8);
  for (int i = 0; i < 816; ++i) {
    std::vector<int> order = rng.Permutation(125);
    auto& list = problem.candidates.emplace_back();
    for (int c = 0; c < 8; ++c) list.push_back({order[c], rng.Uniform(0, 1) * order[c]});
  }
  const auto found = SolveAssignment(problem);
  ASSERT_TRUE(found) << found.error().Text();
  ExpectProvenOptimal(problem, *found);
}

TEST(Assignment, SendsEveryRowToItsCheapestColumnWhenCapacityIsNoLimit) {
  AssignmentProblem problem{.candidates = std::vector<std::vector<AssignmentCandidate>>(
                                50, {{0, 3.0}, {1, 2.0}, {2, 4.0}}),
                            .capacity = {50, 1'000'000'000, 50}};
  const auto found = SolveAssignment(problem);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->column_of_row, std::vector<int>(50, 1));
  EXPECT_EQ(found->cost, 100.0);
}

// Rows 1, 2 and 3 have nothing but columns 0 and 1 with one place each; row 0 is innocent.
TEST(Assignment, NamesRowsThatReachTooFewPlaces) {
  const AssignmentProblem problem{
      .candidates = {{{2, 1.0}}, {{0, 1.0}, {1, 5.0}}, {{0, 2.0}, {1, 1.0}}, {{1, 1.0}}},
      .capacity = {1, 1, 5}};
  const auto found = SolveAssignment(problem);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().kind, ErrorKind::kInfeasible);
  EXPECT_THAT(found.error().message, HasSubstr("rows [3, "));
  EXPECT_THAT(found.error().message, HasSubstr("which have 2 places in total"));
}

TEST(Assignment, RefusesDataThatBreakItsRules) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const AssignmentProblem broken[] = {{.candidates = {{{1, 0.0}}}, .capacity = {1}},
                                      {.candidates = {{{0, nan}}}, .capacity = {1}},
                                      {.candidates = {{{0, 1.0}, {0, 2.0}}}, .capacity = {1}},
                                      {.candidates = {{{0, 1.0}}}, .capacity = {-1}}};
  for (const AssignmentProblem& problem : broken) {
    const auto found = SolveAssignment(problem);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().kind, ErrorKind::kBadInput);
  }
}

TEST(Assignment, OfNobodyCostsNothing) {
  const auto found = SolveAssignment({.candidates = {}, .capacity = {3}});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->cost, 0.0);
}

}  // namespace
}  // namespace dashf::opt
