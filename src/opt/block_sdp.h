// Semidefinite programs made of many small blocks that few rows couple.
//
//   minimise    sum_n (<C_n, Z_n> + c_n' w_n) + f' t
//   subject to  <A_ni, Z_n> + a_ni' w_n + h_ni' t   {=, <=}  b_ni      own rows i of each block n
//               sum_n (<G_nj, Z_n> + g_nj' w_n) + h_j' t  <=  d_j      coupling rows j
//               Z_n positive semidefinite, w_n >= 0, t >= 0,
//
// with <A, Z> = trace(A Z). A block may have no matrix (then it is a linear program in w_n) or no
// weights. With slacks added the rows become equalities A(Z, w) + H t = b, and the dual is
//
//   maximise    b' y   subject to  S_n = C_n - sum_i y_i A_ni - sum_j y_j G_nj  semidefinite,
//               c_n - ... >= 0,  f - H' y >= 0,  y <= 0 on rows "<=".
//
// Method: infeasible primal-dual path following with Mehrotra's predictor and corrector in the HKM
// direction (Helmberg, Rendl, Vanderbei and Wolkowicz 1996; Todd, Toh and Tutuncu 1998):
//   A(dZ) + H dt = r_p,  A'dy + dS = R_d,  H'dy + ds = r_d,  dZ = sigma mu S^-1 - Z - sym(Z dS
//   S^-1).
// Eliminating dZ leaves M dy + H dt = r with M_ij = <A_i, Z A_j S^-1>, an arrow: each block's own
// rows meet the rest only in the coupling rows and t, so they are eliminated block by block, and
// what is factored densely has the order of the coupling rows plus the scalars, however many blocks
// there are. One iteration is linear in the number of blocks.
#pragma once

#include <Eigen/Core>
#include <limits>
#include <vector>

#include "base/termination.h"

namespace dashf::opt {

struct SymmetricEntry {
  int row = 0;  // row <= column; the entry stands at (row, column) and (column, row).
  int column = 0;
  double value = 0.0;
};

struct VectorEntry {
  int index = 0;
  double value = 0.0;
};

struct BlockForm {  // (Z, w) -> <matrix, Z> + weights' w.
  std::vector<SymmetricEntry> matrix{};
  std::vector<VectorEntry> weights{};
};

enum class Relation { kEqual, kAtMost };

struct BlockRow {
  BlockForm form{};
  std::vector<VectorEntry> scalars{};  // h.
  Relation relation = Relation::kEqual;
  double rhs = 0.0;
};

struct SdpBlock {
  int order = 0;    // Of Z_n.
  int weights = 0;  // Length of w_n.
  BlockForm cost{};
  std::vector<BlockRow> rows{};
  struct CouplingPart {
    int row = 0;  // Index into BlockSdp::coupling; at most once per block.
    BlockForm form{};
  };
  std::vector<CouplingPart> coupling{};
  // A bound on trace(Z_n) + sum(w_n) that every feasible point obeys. It turns the dual's last
  // rounding errors into a valid bound and is used for nothing else.
  double trace_max = std::numeric_limits<double>::infinity();
};

struct CouplingRow {  // sum_n form_n(Z_n, w_n) + scalars' t <= rhs.
  std::vector<VectorEntry> scalars{};
  double rhs = 0.0;
};

struct BlockSdp {
  std::vector<SdpBlock> blocks{};
  std::vector<CouplingRow> coupling{};
  struct Scalar {
    double cost = 0.0;
    double value_max = std::numeric_limits<double>::infinity();  // As trace_max, for t.
  };
  std::vector<Scalar> scalars{};
};

// What the point means: with kConverged all three residuals are within the tolerance; otherwise it
// is the last iterate and the residuals say how good it is. `bound_lower` is valid in every case.
struct BlockSdpSolution {
  Termination termination = Termination::kNumericalError;
  int iterations = 0;
  double objective = 0.0;  // Of the primal point.
  // No feasible point has a smaller objective; -infinity where the time was up.
  double bound_lower = -std::numeric_limits<double>::infinity();
  double primal_residual = 0.0;  // max |row violation| / (1 + max |rhs|), rows scaled to unit size.
  double dual_residual = 0.0;    // max |entry of the dual rows| / (1 + max |cost entry|).
  double relative_gap = 0.0;     // |primal - dual| / (1 + |primal| + |dual|).
  std::vector<Eigen::MatrixXd> matrices{};
  std::vector<Eigen::VectorXd> weights{};
  Eigen::VectorXd scalars;
  std::vector<Eigen::VectorXd> row_multipliers{};  // y of each block's own rows.
  Eigen::VectorXd coupling_multipliers;            // y of the coupling rows, <= 0.
};

inline constexpr Limits kBlockSdpLimits{.iterations = 100, .tolerance = 1e-7};

// Indices out of range are a broken invariant. Pure; safe from any thread.
BlockSdpSolution SolveBlockSdp(const BlockSdp& problem, const Limits& limits = kBlockSdpLimits);

}  // namespace dashf::opt
