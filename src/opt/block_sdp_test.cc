#include "opt/block_sdp.h"

#include <gtest/gtest.h>

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "opt/assignment.h"

namespace dashf::opt {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

MatrixXd Dense(const BlockForm& form, int order) {
  MatrixXd matrix = MatrixXd::Zero(order, order);
  for (const auto& [row, column, value] : form.matrix) {
    matrix(row, column) += value;
    if (row != column) matrix(column, row) += value;
  }
  return matrix;
}

VectorXd DenseWeights(const BlockForm& form, int size) {
  VectorXd weights = VectorXd::Zero(size);
  for (const auto& [index, value] : form.weights) weights[index] += value;
  return weights;
}

double ValueAt(const BlockForm& form, const MatrixXd& z, const VectorXd& w) {
  return Dense(form, static_cast<int>(z.rows())).cwiseProduct(z).sum() +
         DenseWeights(form, static_cast<int>(w.size())).dot(w);
}

double ValueAt(const std::vector<VectorEntry>& scalars, const VectorXd& t) {
  double sum = 0.0;
  for (const auto& [index, value] : scalars) sum += value * t[index];
  return sum;
}

// Feasibility, dual feasibility and strong duality, recomputed from the raw data: together they
// prove optimality to `tolerance`.
void ExpectOptimal(const BlockSdp& problem, const BlockSdpSolution& found, double tolerance) {
  VectorXd coupling = VectorXd::Zero(static_cast<Eigen::Index>(problem.coupling.size()));
  VectorXd scalar_slack(static_cast<Eigen::Index>(problem.scalars.size()));
  double primal = 0.0, dual = 0.0;
  for (Eigen::Index i = 0; i < scalar_slack.size(); ++i) {
    EXPECT_GE(found.scalars[i], 0.0);
    scalar_slack[i] = problem.scalars[i].cost;
    primal += problem.scalars[i].cost * found.scalars[i];
  }
  for (std::size_t n = 0; n < problem.blocks.size(); ++n) {
    const SdpBlock& block = problem.blocks[n];
    const MatrixXd& z = found.matrices[n];
    const VectorXd& w = found.weights[n];
    MatrixXd slack = Dense(block.cost, block.order);
    VectorXd weight_slack = DenseWeights(block.cost, block.weights);
    primal += ValueAt(block.cost, z, w);
    for (std::size_t i = 0; i < block.rows.size(); ++i) {
      const BlockRow& row = block.rows[i];
      const double y = found.row_multipliers[n][static_cast<Eigen::Index>(i)];
      const double value = ValueAt(row.form, z, w) + ValueAt(row.scalars, found.scalars);
      EXPECT_LE(value, row.rhs + tolerance);
      if (row.relation == Relation::kEqual) {
        EXPECT_GE(value, row.rhs - tolerance);
      } else {
        EXPECT_LE(y, tolerance);
      }
      slack -= y * Dense(row.form, block.order);
      weight_slack -= y * DenseWeights(row.form, block.weights);
      dual += y * row.rhs;
      for (const auto& [index, entry] : row.scalars) scalar_slack[index] -= y * entry;
    }
    for (const auto& [row, form] : block.coupling) {
      coupling[row] += ValueAt(form, z, w);
      slack -= found.coupling_multipliers[row] * Dense(form, block.order);
      weight_slack -= found.coupling_multipliers[row] * DenseWeights(form, block.weights);
    }
    if (block.order > 0) {
      const auto lowest = [](const MatrixXd& matrix) {
        return Eigen::SelfAdjointEigenSolver<MatrixXd>(matrix).eigenvalues()[0];
      };
      EXPECT_GE(lowest(z), -tolerance);
      EXPECT_GE(lowest(slack), -tolerance);
    }
    if (block.weights > 0) {
      EXPECT_GE(w.minCoeff(), -tolerance);
      EXPECT_GE(weight_slack.minCoeff(), -tolerance);
    }
  }
  for (std::size_t j = 0; j < problem.coupling.size(); ++j) {
    const CouplingRow& row = problem.coupling[j];
    const double y = found.coupling_multipliers[static_cast<Eigen::Index>(j)];
    EXPECT_LE(coupling[static_cast<Eigen::Index>(j)] + ValueAt(row.scalars, found.scalars),
              row.rhs + tolerance);
    EXPECT_LE(y, tolerance);
    dual += y * row.rhs;
    for (const auto& [index, entry] : row.scalars) scalar_slack[index] -= y * entry;
  }
  EXPECT_TRUE((scalar_slack.array() >= -tolerance).all());
  EXPECT_NEAR(primal, dual, tolerance * (1.0 + std::abs(primal)));
  EXPECT_NEAR(found.objective, primal, 1e-9 * (1.0 + std::abs(primal)));
}

BlockForm RandomForm(int order, int weights, Rng* rng) {
  BlockForm form;
  for (int i = 0; i < order; ++i) {
    for (int j = i; j < order; ++j) {
      if (rng->Below(3) == 0) form.matrix.push_back({i, j, rng->Normal()});
    }
  }
  for (int k = 0; k < weights; ++k) form.weights.push_back({k, rng->Normal()});
  return form;
}

// Every row is given the value it takes at a chosen interior point (below the right-hand side where
// "<="), and a trace row bounds each block, so an optimum exists.
BlockSdp RandomProblem(Rng rng) {
  BlockSdp problem;
  const int scalars = static_cast<int>(rng.Below(3)), couplings = static_cast<int>(rng.Below(4));
  for (int i = 0; i < scalars; ++i) {
    problem.scalars.push_back({.cost = rng.Uniform(0.5, 2), .value_max = 100.0});
  }
  const auto random_scalars = [&] {
    std::vector<VectorEntry> entries;
    for (int i = 0; i < scalars; ++i) entries.push_back({i, -rng.Uniform(0, 1)});
    return entries;
  };
  const VectorXd t = VectorXd::Ones(scalars);
  for (int j = 0; j < couplings; ++j) problem.coupling.push_back({random_scalars(), 0.1});
  for (CouplingRow& row : problem.coupling) row.rhs += ValueAt(row.scalars, t);
  const int blocks = 1 + static_cast<int>(rng.Below(4));
  for (int n = 0; n < blocks; ++n) {
    SdpBlock block{.order = static_cast<int>(rng.Below(5)),
                   .weights = 1 + static_cast<int>(rng.Below(3))};
    const MatrixXd z = MatrixXd::Identity(block.order, block.order);
    const VectorXd w = VectorXd::Ones(block.weights);
    block.cost = RandomForm(block.order, block.weights, &rng);
    block.trace_max = z.trace() + w.sum();
    BlockRow trace{.form = {}, .scalars = {}, .relation = Relation::kEqual, .rhs = block.trace_max};
    for (int i = 0; i < block.order; ++i) trace.form.matrix.push_back({i, i, 1.0});
    for (int k = 0; k < block.weights; ++k) trace.form.weights.push_back({k, 1.0});
    block.rows.push_back(trace);
    for (int i = 0; i < 2; ++i) {
      BlockRow row{.form = RandomForm(block.order, block.weights, &rng),
                   .scalars = random_scalars(),
                   .relation = i == 0 ? Relation::kEqual : Relation::kAtMost,
                   .rhs = i == 0 ? 0.0 : 0.1};
      row.rhs += ValueAt(row.form, z, w) + ValueAt(row.scalars, t);
      if (block.order + block.weights > 3) block.rows.push_back(row);
    }
    for (int j = 0; j < couplings; ++j) {
      if (rng.Below(3) == 0) continue;
      BlockForm form = RandomForm(block.order, block.weights, &rng);
      problem.coupling[j].rhs += ValueAt(form, z, w);
      block.coupling.push_back({j, std::move(form)});
    }
    problem.blocks.push_back(std::move(block));
  }
  return problem;
}

// min <C, Z> over trace Z = 1 is the smallest eigenvalue of C.
TEST(BlockSdp, FindsTheSmallestEigenvalue) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Rng rng(seed);
    const int order = 1 + static_cast<int>(rng.Below(8));
    SdpBlock block{.order = order, .cost = RandomForm(order, 0, &rng), .trace_max = 1.0};
    BlockRow trace{.form = {}, .scalars = {}, .relation = Relation::kEqual, .rhs = 1.0};
    for (int i = 0; i < order; ++i) trace.form.matrix.push_back({i, i, 1.0});
    block.rows = {trace};
    const BlockSdpSolution found = SolveBlockSdp({.blocks = {block}});
    const double smallest =
        Eigen::SelfAdjointEigenSolver<MatrixXd>(Dense(block.cost, order)).eigenvalues()[0];
    EXPECT_EQ(found.termination, Termination::kConverged) << "seed " << seed;
    EXPECT_NEAR(found.objective, smallest, 1e-6 * (1.0 + std::abs(smallest))) << "seed " << seed;
    EXPECT_LE(found.bound_lower, smallest + 1e-12) << "seed " << seed;
  }
}

TEST(BlockSdp, ProvesOptimalityOnRandomProblemsOfEveryShape) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    const BlockSdp problem = RandomProblem(Rng(seed));
    const BlockSdpSolution found = SolveBlockSdp(problem);
    ASSERT_EQ(found.termination, Termination::kConverged);
    // 1e-7 relative to rows of unit size; the raw rows are a few times larger.
    ExpectOptimal(problem, found, 5e-6);
    EXPECT_LE(found.bound_lower, found.objective + 1e-6 * (1.0 + std::abs(found.objective)));
    EXPECT_GE(found.bound_lower, found.objective - 1e-4 * (1.0 + std::abs(found.objective)));
  }
}

// The assignment polytope is integral, so its linear program has the Hungarian method's value.
TEST(BlockSdp, WithoutMatricesSolvesTheAssignmentProgram) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Rng rng(seed);
    AssignmentProblem assignment{.candidates = {}, .capacity = {4, 3, 5}};
    BlockSdp program;
    for (const int capacity : assignment.capacity) program.coupling.push_back({{}, 1.0 * capacity});
    for (int i = 0; i < 10; ++i) {
      SdpBlock block{.order = 0, .weights = 3, .trace_max = 1.0};
      BlockRow one{.form = {}, .scalars = {}, .relation = Relation::kEqual, .rhs = 1.0};
      auto& list = assignment.candidates.emplace_back();
      for (int j = 0; j < 3; ++j) {
        list.push_back({j, rng.Uniform(-1, 1)});
        block.cost.weights.push_back({j, list.back().cost});
        one.form.weights.push_back({j, 1.0});
        block.coupling.push_back({j, {.matrix = {}, .weights = {{j, 1.0}}}});
      }
      block.rows = {one};
      program.blocks.push_back(block);
    }
    const BlockSdpSolution found = SolveBlockSdp(program);
    const auto hungarian = SolveAssignment(assignment);
    ASSERT_TRUE(hungarian);
    EXPECT_EQ(found.termination, Termination::kConverged) << "seed " << seed;
    EXPECT_NEAR(found.objective, hungarian->cost, 1e-5) << "seed " << seed;
    EXPECT_LE(found.bound_lower, hungarian->cost + 1e-12) << "seed " << seed;
  }
}

TEST(BlockSdp, GivesAValidBoundWhereverItIsStopped) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const BlockSdp problem = RandomProblem(Rng(seed));
    const BlockSdpSolution best = SolveBlockSdp(problem);
    const double optimum = best.objective + 1e-6 * (1.0 + std::abs(best.objective));
    for (int iterations = 0; iterations < 8; ++iterations) {
      const BlockSdpSolution early =
          SolveBlockSdp(problem, {.iterations = iterations, .tolerance = 1e-7});
      EXPECT_LE(early.bound_lower, optimum) << "seed " << seed << " after " << iterations;
      if (early.termination != Termination::kConverged) {
        EXPECT_EQ(early.termination, Termination::kIterationLimit);
        EXPECT_EQ(early.iterations, iterations);
      }
    }
  }
}

TEST(BlockSdp, StopsWhenItsTimeIsUp) {
  const BlockSdpSolution found =
      SolveBlockSdp(RandomProblem(Rng(1)), {.elapsed_s = 0.0, .tolerance = 1e-7});
  EXPECT_EQ(found.termination, Termination::kTimeLimit);
  EXPECT_EQ(found.iterations, 0);
}

}  // namespace
}  // namespace dashf::opt
