// Quadratically constrained quadratic programs as data, and their semidefinite relaxation.
//
//   minimise    q_0(z) + f' t   subject to   q_i(z) + h_i' t  {=, <=}  b_i,   t >= 0,
//
// with z = (z_0, ..., z_{n-1}, 1) and q(z) a sum of c z_i z_j; the index n stands for the constant
// 1, so linear terms are products with it. The scalars t are linear and stay out of the lifting.
// Lifting Z = z z' makes every q linear in Z; dropping rank(Z) = 1 leaves a semidefinite program.
//
// Its matrix has order n + 1, but only entries that occur in some q matter. Where the variables
// fall into cliques and no term multiplies across two, the sparsity graph is chordal (its cliques
// share the constant alone), so a partial matrix with semidefinite clique blocks completes to a
// semidefinite Z (Grone, Johnson, Sa and Wolkowicz 1984) and the relaxation EQUALS the one with one
// block of order (clique size + 1) per clique.
#pragma once

#include <vector>

#include "opt/block_sdp.h"

namespace dashf::opt {

struct QuadraticTerm {  // coefficient * z_i * z_j, i <= j.
  int i = 0;
  int j = 0;
  double coefficient = 0.0;
};

struct Qcqp {
  struct Row {
    std::vector<QuadraticTerm> terms{};
    std::vector<VectorEntry> scalars{};
    Relation relation = Relation::kAtMost;
    double rhs = 0.0;
  };
  std::vector<int> clique_of_variable{};  // 0, 1, ..., cliques - 1. Its size is n.
  int cliques = 0;
  std::vector<QuadraticTerm> cost{};
  std::vector<Row> rows{};
  std::vector<BlockSdp::Scalar> scalars{};
  double clique_square_sum_max =
      std::numeric_limits<double>::infinity();  // On each clique's sum of z_i^2, if there is one.

  int variables() const { return static_cast<int>(clique_of_variable.size()); }
};

// One block of order n + 1; its last row and column stand for the constant.
BlockSdp RelaxWhole(const Qcqp& qcqp);

// One block per clique: its variables in ascending order, then the constant. A term across two
// cliques is a broken invariant. Rows within one clique become its own rows, the others, which must
// be kAtMost, coupling rows.
BlockSdp RelaxByCliques(const Qcqp& qcqp);

}  // namespace dashf::opt
