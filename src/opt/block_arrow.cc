#include "opt/block_arrow.h"

#include <Eigen/Cholesky>
#include <cmath>

namespace dashf::opt {
namespace {

using Group = Eigen::Matrix<double, 3, 6>;

// With w = W s: s = -(S w + K e + G), so (I + R S R) w' = -R (K e + G) with R = W^(1/2), w = R w'.
// Returns w as an affine function of (e, 1): columns 0..1 and 2.
Eigen::Matrix3d SolveGroup(const Group& sums, const Eigen::Vector3d& weight) {
  const Eigen::Vector3d root = weight.cwiseSqrt();
  const Eigen::Matrix3d matrix =
      Eigen::Matrix3d::Identity() + root.asDiagonal() * sums.leftCols<3>() * root.asDiagonal();
  const Eigen::Matrix3d right = root.asDiagonal() * sums.rightCols<3>();
  return -(root.asDiagonal() * matrix.llt().solve(right));
}

}  // namespace

bool SolveArrowSystem(ArrowSystem* system) {
  const std::size_t groups = system->group_weight.size();
  auto& sums = system->group_sum;
  auto& price = system->group_price;
  sums.assign(groups, Group::Zero());
  price.resize(groups);
  Eigen::Matrix2d border = system->border_hessian;
  Eigen::Vector2d right = -system->border_gradient;
  for (ArrowBlock& block : system->blocks) {
    const Eigen::LLT<Eigen::Matrix4d> factor(block.hessian);
    if (factor.info() != Eigen::Success) return false;
    Eigen::Matrix<double, 4, 6> columns;
    columns.setZero();
    columns.topLeftCorner<3, 3>() = block.share.asDiagonal();
    columns.middleCols<2>(3) = block.cross;
    columns.col(5) = block.gradient;
    block.solved = factor.solve(columns);
    sums[static_cast<std::size_t>(block.group)] +=
        block.share.asDiagonal() * block.solved.topRows<3>();
    border -= block.cross.transpose() * block.solved.middleCols<2>(3);
    right += block.cross.transpose() * block.solved.col(5);
  }
  for (std::size_t j = 0; j < groups; ++j) {
    price[j] = SolveGroup(sums[j], system->group_weight[j]);
    // The blocks answer the group's price w with -H^-1 E w, which the border feels through C'.
    const Eigen::Matrix<double, 2, 3> felt = sums[j].middleCols<2>(3).transpose();
    border -= felt * price[j].leftCols<2>();
    right += felt * price[j].col(2);
  }
  const Eigen::LLT<Eigen::Matrix2d> factor(border);
  if (factor.info() != Eigen::Success) return false;
  system->border_step = factor.solve(right);
  for (ArrowBlock& block : system->blocks) {
    const Eigen::Matrix3d& affine = price[static_cast<std::size_t>(block.group)];
    const Eigen::Vector3d w = affine.leftCols<2>() * system->border_step + affine.col(2);
    block.step = -(block.solved.col(5) + block.solved.leftCols<3>() * w +
                   block.solved.middleCols<2>(3) * system->border_step);
  }
  return system->border_step.allFinite();
}

}  // namespace dashf::opt
