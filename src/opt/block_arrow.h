// Newton systems of block-arrow form, in O(blocks): many small blocks, each in one group, coupled
// by diagonal weights on the group's sums and by a border of two common variables,
//   minimise  sum_i ( g_i' d_i + d_i' H_i d_i / 2 + d_i' C_i e )
//           + sum_j ( s_j' W_j s_j / 2 ),  s_j = sum over i in group j of the first 3 entries of
//           d_i,
//           + g' e + e' H e / 2
// over the block steps d_i in R^4 and the border step e in R^2. Each block is eliminated by its
// Cholesky factor (E_i = diag(c_i) above a zero row), then each group by a 3 x 3 system, then the
// border by a 2 x 2 one. A workspace is used by one thread at a time.
#pragma once

#include <Eigen/Core>
#include <vector>

namespace dashf::opt {

struct ArrowBlock {
  Eigen::Matrix4d hessian;             // H_i, positive definite; unit rows for unused variables.
  Eigen::Matrix<double, 4, 2> cross;   // C_i.
  Eigen::Vector4d gradient;            // g_i.
  Eigen::Vector4d step;                // d_i, the answer.
  Eigen::Matrix<double, 4, 6> solved;  // H_i^-1 [E_i, C_i, g_i], kept for the back substitution.
  Eigen::Vector3d share = Eigen::Vector3d::Ones();  // c_i; 0 for unused variables.
  int group = 0;
};

struct ArrowSystem {
  std::vector<ArrowBlock> blocks;
  std::vector<Eigen::Vector3d> group_weight;  // The diagonal of W_j >= 0.
  Eigen::Matrix2d border_hessian;             // H.
  Eigen::Vector2d border_gradient;            // g.
  Eigen::Vector2d border_step;                // e, the answer.
  // Working space: sums over a group of E_i' H_i^-1 [E_i, C_i, g_i], and the group's price as an
  // affine function of e.
  std::vector<Eigen::Matrix<double, 3, 6>> group_sum;
  std::vector<Eigen::Matrix3d> group_price;
};

// Fills in the steps; false if a block or the border is not positive definite in floating point.
bool SolveArrowSystem(ArrowSystem* system);

}  // namespace dashf::opt
