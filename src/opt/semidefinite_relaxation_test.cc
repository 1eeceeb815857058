#include "opt/semidefinite_relaxation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>

#include "base/rng.h"
#include "opt/csdp_reference.h"

namespace dashf::opt {
namespace {

// Users choosing one of `options` servers (binary x) and a ratio phi in [0, 1], with random
// bilinear costs x phi, random capacity rows and, with `barriers`, two epigraph scalars: the shape
// of a step of the planner without its physics.
Qcqp RandomChoices(int users, int options, bool barriers, Rng rng) {
  Qcqp qcqp;
  const int constant = users * (options + 1);
  qcqp.cliques = users;
  qcqp.clique_square_sum_max = 2.0;
  if (barriers) qcqp.scalars = {{.cost = rng.Uniform(0.2, 2)}, {.cost = rng.Uniform(0.2, 2)}};
  std::vector<Qcqp::Row> capacity(2 * options);
  for (int n = 0; n < users; ++n) {
    const int first = n * (options + 1), phi = first + options;
    qcqp.clique_of_variable.insert(qcqp.clique_of_variable.end(), options + 1, n);
    Qcqp::Row one{.terms = {}, .scalars = {}, .relation = Relation::kEqual, .rhs = 1.0};
    Qcqp::Row phase[2];
    for (int m = 0; m < options; ++m) {
      const int x = first + m;
      qcqp.cost.push_back({x, constant, rng.Normal()});
      qcqp.cost.push_back({x, phi, rng.Normal()});
      one.terms.push_back({x, constant, 1.0});
      qcqp.rows.push_back({.terms = {{x, x, 1.0}, {x, constant, -1.0}},
                           .scalars = {},
                           .relation = Relation::kEqual,
                           .rhs = 0.0});
      for (int c = 0; c < 2; ++c) {
        capacity[2 * m + c].terms.push_back({x, constant, rng.Uniform(0.5, 1.5)});
        capacity[2 * m + c].rhs += 1.3 / options;
        phase[c].terms.push_back({x, constant, rng.Uniform(0, 1)});
        phase[c].terms.push_back({x, phi, c == 0 ? rng.Uniform(0, 2) : -rng.Uniform(0, 1)});
      }
    }
    qcqp.rows.push_back(one);
    qcqp.rows.push_back({.terms = {{phi, phi, 1.0}, {phi, constant, -1.0}}, .scalars = {}});
    for (int c = 0; barriers && c < 2; ++c) {
      phase[c].scalars = {{c, -1.0}};
      qcqp.rows.push_back(phase[c]);
    }
  }
  qcqp.rows.insert(qcqp.rows.end(), capacity.begin(), capacity.end());
  return qcqp;
}

TEST(SemidefiniteRelaxation, BlockFormEqualsTheWholeFormByTwoIndependentSolvers) {
  if (!HasCsdp()) GTEST_SKIP() << kNoCsdp;
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    const int users = 3 + static_cast<int>(seed % 3), options = 2 + static_cast<int>(seed % 2);
    const Qcqp qcqp = RandomChoices(users, options, seed >= 3, Rng(seed));
    const BlockSdp whole = RelaxWhole(qcqp), blocks = RelaxByCliques(qcqp);
    ASSERT_EQ(whole.blocks.size(), 1u);
    ASSERT_EQ(blocks.blocks.size(), static_cast<std::size_t>(users));
    const auto csdp_whole = CsdpValue(whole), csdp_blocks = CsdpValue(blocks);
    ASSERT_TRUE(csdp_whole && csdp_blocks) << "seed " << seed;
    const BlockSdpSolution ours = SolveBlockSdp(blocks), ours_whole = SolveBlockSdp(whole);
    EXPECT_EQ(ours.termination, Termination::kConverged) << "seed " << seed;
    // CSDP stops at a relative gap of 1e-8 and prints eight digits; ours stops at 1e-7.
    const double tolerance = 1e-6 * (1.0 + std::abs(*csdp_blocks));
    EXPECT_NEAR(*csdp_whole, *csdp_blocks, tolerance) << "seed " << seed;
    EXPECT_NEAR(ours.objective, *csdp_blocks, tolerance) << "seed " << seed;
    EXPECT_NEAR(ours_whole.objective, *csdp_whole, tolerance) << "seed " << seed;
  }
}

// Without any row but x^2 = x the lifted diagonal equals the linear entry, and minimising
// c x over x^2 = x is the trivial min(0, c): the relaxation of one variable is exact.
TEST(SemidefiniteRelaxation, OfOneBinaryVariableIsExact) {
  for (const double cost : {-3.0, -0.5, 0.25, 2.0}) {
    const Qcqp qcqp{.clique_of_variable = {0},
                    .cliques = 1,
                    .cost = {{0, 1, cost}},
                    .rows = {{.terms = {{0, 0, 1.0}, {0, 1, -1.0}},
                              .scalars = {},
                              .relation = Relation::kEqual,
                              .rhs = 0.0}},
                    .scalars = {},
                    .clique_square_sum_max = 1.0};
    const BlockSdpSolution found = SolveBlockSdp(RelaxByCliques(qcqp));
    EXPECT_EQ(found.termination, Termination::kConverged);
    EXPECT_NEAR(found.objective, std::min(0.0, cost), 1e-6 * std::abs(cost));
    EXPECT_LE(found.bound_lower, std::min(0.0, cost) + 1e-12);
    EXPECT_NEAR(found.bound_lower, std::min(0.0, cost), 1e-5);
  }
}

}  // namespace
}  // namespace dashf::opt
