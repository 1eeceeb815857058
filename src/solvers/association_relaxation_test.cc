#include "solvers/association_relaxation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "base/rng.h"
#include "opt/csdp_reference.h"
#include "solvers/resource_step.h"
#include "solvers/testing.h"

namespace dashf::solvers {
namespace {

constexpr Limits kLimits{.iterations = 100, .tolerance = 1e-6};

struct StepA {
  ScrProblem problem;
  TentativeTable table;
  double y = 0.0;
};

// Step A as the method meets it: at a random plan's ratio and tentative shares.
StepA RandomStepA(const testing::RandomScenarioOptions& options, Rng rng) {
  auto problem = MakeScrProblem(testing::RandomScenario(options, rng.Stream("scenario")));
  EXPECT_TRUE(problem) << problem.error().Text();
  Association association;
  Rng draw = rng.Stream("plan");
  for (int n = 0; n < options.users; ++n) {
    const int links = problem->link_begin[n + 1] - problem->link_begin[n];
    const int splits = problem->split_begin[n + 1] - problem->split_begin[n];
    association.push_back({problem->link_server[problem->link_begin[n] + draw.Below(links)],
                           problem->split_layers[problem->split_begin[n] + draw.Below(splits)]});
  }
  const Plan plan = EqualShares(*problem, association);
  const double scr = TotalsOf(*problem, plan).Scr(), y = scr > 0.0 ? scr : 1e-3;
  return {*problem, MakeTentativeTable(*problem, y, plan), y};
}

double QuadraticAt(const std::vector<opt::QuadraticTerm>& terms, const std::vector<double>& z) {
  double sum = 0.0;
  for (const auto& [i, j, coefficient] : terms) sum += coefficient * z[i] * z[j];
  return sum;
}

// The least value of the QCQP over all associations, all-local choices and splits; the barriers
// take the least values that their rows admit.
double EnumerateQcqp(const ScrProblem& problem, const StepAQcqp& step) {
  const opt::Qcqp& qcqp = step.qcqp;
  std::vector<double> z(qcqp.variables() + 1, 0.0);
  z.back() = 1.0;
  double best = std::numeric_limits<double>::infinity();
  const auto evaluate = [&] {
    std::vector<double> barrier(qcqp.scalars.size(), 0.0);
    double value = QuadraticAt(qcqp.cost, z);
    for (const opt::Qcqp::Row& row : qcqp.rows) {
      const double excess = QuadraticAt(row.terms, z) - row.rhs;
      if (!row.scalars.empty()) {
        double& t = barrier[row.scalars[0].index];
        t = std::max(t, excess);
      } else if (excess > 1e-9 ||
                 (row.relation == opt::Relation::kEqual && std::abs(excess) > 1e-9)) {
        return;
      }
    }
    for (std::size_t i = 0; i < barrier.size(); ++i) value += qcqp.scalars[i].cost * barrier[i];
    best = std::min(best, value);
  };
  const std::function<void(int)> choose = [&](int n) {
    if (n == problem.users()) return evaluate();
    const UserVariables& user = step.users[n];
    const auto with = [&](int binary) {
      z[binary] = 1.0;
      for (int k = 0; k < problem.layers[n]; ++k) {
        if (problem.FindSplit(n, k) < 0) continue;
        if (user.ratio >= 0) z[user.ratio] = static_cast<double>(k) / problem.layers[n];
        choose(n + 1);
      }
      z[binary] = 0.0;
    };
    for (std::size_t i = 0; i < user.servers.size(); ++i) with(user.first_x + static_cast<int>(i));
    if (user.all_local >= 0) with(user.all_local);
  };
  choose(0);
  return best;
}

// The same on the table itself, which the hull relaxes.
double EnumerateTable(const StepA& a, const opt::BlockSdp& hull) {
  std::vector<int> chosen(a.table.choices.size(), 0);
  double best = std::numeric_limits<double>::infinity();
  const auto evaluate = [&] {
    std::vector<double> used(hull.coupling.size(), 0.0), barrier(hull.scalars.size(), 0.0);
    double value = 0.0;
    for (std::size_t n = 0; n < chosen.size(); ++n) {
      const opt::SdpBlock& block = hull.blocks[n];
      value += block.cost.weights[chosen[n]].value;
      for (const auto& row : block.rows) {
        for (const auto& scalar : row.scalars) {
          double& t = barrier[scalar.index];
          t = std::max(t, row.form.weights[chosen[n]].value);
        }
      }
      for (const auto& part : block.coupling) {
        for (const auto& [index, share] : part.form.weights) {
          if (index == chosen[n]) used[part.row] += share;
        }
      }
    }
    for (std::size_t j = 0; j < used.size(); ++j) {
      if (used[j] > hull.coupling[j].rhs + 1e-9) return;
    }
    for (std::size_t i = 0; i < barrier.size(); ++i) value += hull.scalars[i].cost * barrier[i];
    best = std::min(best, value);
  };
  const std::function<void(std::size_t)> choose = [&](std::size_t n) {
    if (n == chosen.size()) return evaluate();
    for (chosen[n] = 0; chosen[n] < hull.blocks[n].weights; ++chosen[n]) choose(n + 1);
  };
  choose(0);
  return best;
}

class StepARelaxation : public ::testing::TestWithParam<DelayMode> {};

TEST_P(StepARelaxation, BlockFormEqualsTheWholeMatrixByAnIndependentSolver) {
  if (!opt::HasCsdp()) GTEST_SKIP() << opt::kNoCsdp;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const StepA a = RandomStepA({.users = 3 + static_cast<int>(seed),
                                 .servers = 2 + static_cast<int>(seed % 2),
                                 .delay = GetParam(),
                                 .all_local_allowed = seed % 2 == 1},
                                Rng(seed));
    const StepAQcqp step = MakeStepAQcqp(a.problem, a.table, ScaleStepA(a.table, a.y));
    const opt::BlockSdp blocks = opt::RelaxByCliques(step.qcqp);
    const auto whole_value = opt::CsdpValue(opt::RelaxWhole(step.qcqp));
    const auto block_value = opt::CsdpValue(blocks);
    ASSERT_TRUE(whole_value && block_value) << "seed " << seed;
    const opt::BlockSdpSolution ours = opt::SolveBlockSdp(blocks);
    EXPECT_EQ(ours.termination, Termination::kConverged) << "seed " << seed;
    const double tolerance = 1e-5 * (1.0 + std::abs(*block_value));
    EXPECT_NEAR(*whole_value, *block_value, tolerance) << "seed " << seed;
    EXPECT_NEAR(ours.objective, *block_value, tolerance) << "seed " << seed;
  }
}

TEST_P(StepARelaxation, NeverExceedsTheIntegerOptimum) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const StepA a = RandomStepA({.users = 1 + static_cast<int>(seed % 4),
                                 .servers = 1 + static_cast<int>(seed % 3),
                                 .layers = 3,
                                 .delay = GetParam(),
                                 .all_local_allowed = seed % 2 == 1,
                                 .corners = seed % 4 >= 2},
                                Rng(seed));
    const StepACosts costs = ScaleStepA(a.table, a.y);
    const StepAQcqp step = MakeStepAQcqp(a.problem, a.table, costs);
    const double integer = EnumerateQcqp(a.problem, step);
    const RelaxedAssociation sdr = RelaxStepA(a.problem, a.table, a.y, Relaxation::kSdr, kLimits);
    EXPECT_LE(-sdr.bound_upper, integer + 1e-9 * (1.0 + std::abs(integer))) << "seed " << seed;
    EXPECT_LE(-sdr.value, integer + 2e-5 * (1.0 + std::abs(integer))) << "seed " << seed;

    const double table = EnumerateTable(a, MakeStepAHull(a.problem, a.table, costs));
    const RelaxedAssociation hull = RelaxStepA(a.problem, a.table, a.y, Relaxation::kHull, kLimits);
    EXPECT_LE(-hull.bound_upper, table + 1e-9 * (1.0 + std::abs(table))) << "seed " << seed;
    EXPECT_LE(-hull.value, table + 2e-5 * (1.0 + std::abs(table))) << "seed " << seed;
  }
}

// Where every column of the table is affine in k the two relax the same problem, and the hull of
// each user's choices lies inside the lifted set.
TEST_P(StepARelaxation, HullIsAtLeastAsTightAsTheSemidefiniteOneOnTwoRowTables) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const StepA a =
        RandomStepA({.users = 6, .servers = 3, .layers = 2, .delay = GetParam()}, Rng(seed));
    const auto sdr = RelaxStepA(a.problem, a.table, a.y, Relaxation::kSdr, kLimits);
    const auto hull = RelaxStepA(a.problem, a.table, a.y, Relaxation::kHull, kLimits);
    EXPECT_LE(hull.value, sdr.value + 1e-5 * (1.0 + std::abs(sdr.value))) << "seed " << seed;
  }
}

TEST_P(StepARelaxation, ConvergesAndRelaxesProbabilities) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const StepA a = RandomStepA({.users = 12,
                                 .servers = 3,
                                 .layers = 8,
                                 .delay = GetParam(),
                                 .all_local_allowed = seed % 2 == 1,
                                 .corners = seed % 4 >= 2},
                                Rng(seed));
    for (const Relaxation relaxation : {Relaxation::kSdr, Relaxation::kHull}) {
      const auto found = RelaxStepA(a.problem, a.table, a.y, relaxation, kLimits);
      EXPECT_EQ(found.termination, Termination::kConverged)
          << "seed " << seed << (relaxation == Relaxation::kSdr ? " sdr" : " hull");
      for (const RelaxedUser& user : found.users) {
        EXPECT_NEAR(user.x.sum() + user.all_local, 1.0, 1e-5) << "seed " << seed;
        EXPECT_TRUE((user.x.array() >= -1e-5).all());
        EXPECT_GE(user.ratio, -1e-5);
        EXPECT_LE(user.ratio, 1.0 + 1e-5);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(BothDelayModes,
                         StepARelaxation,
                         ::testing::Values(DelayMode::kSum, DelayMode::kMakespan),
                         [](const auto& mode) {
                           return mode.param == DelayMode::kSum ? "sum" : "makespan";
                         });

}  // namespace
}  // namespace dashf::solvers
