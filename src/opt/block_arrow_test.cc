#include "opt/block_arrow.h"

#include <gmock/gmock.h>

#include <Eigen/Dense>

#include "base/rng.h"

namespace dashf::opt {
namespace {

// The same minimiser from the assembled matrix, by Eigen's pivoted LU.
Eigen::VectorXd DenseSolution(const ArrowSystem& system) {
  const auto blocks = static_cast<Eigen::Index>(system.blocks.size());
  const Eigen::Index n = 4 * blocks + 2;
  Eigen::MatrixXd matrix = Eigen::MatrixXd::Zero(n, n);
  Eigen::VectorXd right(n);
  for (Eigen::Index i = 0; i < blocks; ++i) {
    const ArrowBlock& a = system.blocks[static_cast<std::size_t>(i)];
    matrix.block<4, 4>(4 * i, 4 * i) += a.hessian;
    matrix.block<4, 2>(4 * i, n - 2) = a.cross;
    matrix.block<2, 4>(n - 2, 4 * i) = a.cross.transpose();
    right.segment<4>(4 * i) = -a.gradient;
    for (Eigen::Index j = 0; j < blocks; ++j) {
      const ArrowBlock& b = system.blocks[static_cast<std::size_t>(j)];
      if (a.group != b.group) continue;
      const Eigen::Vector3d& weight = system.group_weight[static_cast<std::size_t>(a.group)];
      matrix.block<3, 3>(4 * i, 4 * j).diagonal() +=
          a.share.cwiseProduct(weight).cwiseProduct(b.share);
    }
  }
  matrix.bottomRightCorner<2, 2>() = system.border_hessian;
  right.tail<2>() = -system.border_gradient;
  return matrix.fullPivLu().solve(right);
}

ArrowSystem RandomSystem(int blocks, int groups, Rng* rng) {
  const auto normal = [rng] { return rng->Normal(); };
  ArrowSystem system;
  for (int i = 0; i < blocks; ++i) {
    ArrowBlock& block = system.blocks.emplace_back();
    const Eigen::Matrix4d root = Eigen::Matrix4d::NullaryExpr(normal);
    block.hessian = root * root.transpose() + 0.1 * Eigen::Matrix4d::Identity();
    block.cross = 0.1 * Eigen::Matrix<double, 4, 2>::NullaryExpr(normal);
    block.gradient = Eigen::Vector4d::NullaryExpr(normal);
    block.group = static_cast<int>(rng->Below(static_cast<std::uint64_t>(groups)));
    for (int j = 0; j < 3; ++j) block.share[j] = rng->Below(4) == 0 ? 0.0 : 1.0;
  }
  for (int j = 0; j < groups; ++j) {
    system.group_weight.push_back(
        Eigen::Vector3d::NullaryExpr([rng] { return std::exp(rng->Uniform(-5, 8)); }));
  }
  system.border_hessian = blocks * 10.0 * Eigen::Matrix2d::Identity();
  system.border_gradient = Eigen::Vector2d::NullaryExpr(normal);
  return system;
}

TEST(BlockArrow, SolvesWhatTheAssembledMatrixSolves) {
  Rng rng(1);
  for (int instance = 0; instance < 200; ++instance) {
    const int blocks = 1 + static_cast<int>(rng.Below(8)),
              groups = 1 + static_cast<int>(rng.Below(3));
    ArrowSystem system = RandomSystem(blocks, groups, &rng);
    const Eigen::VectorXd expected = DenseSolution(system);
    ASSERT_TRUE(SolveArrowSystem(&system));
    for (int i = 0; i < blocks; ++i) {
      const Eigen::Vector4d& step = system.blocks[static_cast<std::size_t>(i)].step;
      EXPECT_LT((step - expected.segment<4>(4 * i)).norm(), 1e-8 * (1 + expected.norm()));
    }
    EXPECT_LT((system.border_step - expected.tail<2>()).norm(), 1e-8 * (1 + expected.norm()));
  }
}

TEST(BlockArrow, RefusesABlockThatIsNotPositiveDefinite) {
  Rng rng(2);
  ArrowSystem system = RandomSystem(3, 1, &rng);
  system.blocks[1].hessian(2, 2) = -1.0;
  EXPECT_FALSE(SolveArrowSystem(&system));
}

}  // namespace
}  // namespace dashf::opt
