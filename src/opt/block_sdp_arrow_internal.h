// The compiled form of a BlockSdp that the interior-point method iterates on, and the Newton system
// of arrow form described in block_sdp.h. Internal to the kernel.
#pragma once

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <functional>
#include <optional>
#include <vector>

#include "opt/block_sdp.h"

namespace dashf::opt::block_sdp {

// One block with rows scaled to unit size and slacks appended to the weights. Rows are numbered own
// rows first, then the block's parts of coupling rows.
struct Block {
  std::vector<BlockForm> rows;
  int own = 0;                                           // Rows that touch this block alone.
  std::vector<int> coupling;                             // Coupling row of row own + i.
  std::vector<std::vector<VectorEntry>> rows_of_weight;  // The transposed weights of `rows`.
  Eigen::MatrixXd cost;
  Eigen::VectorXd weight_cost;
  Eigen::VectorXd rhs;        // own.
  Eigen::MatrixXd scalars;    // own x scalars.
  Eigen::VectorXd row_scale;  // Scaled row = row_scale * given row; own.
  std::vector<bool> at_most;  // own.
  int weights_given = 0;      // Weights before the slacks.
  double trace_max = 0.0;
};

struct Program {
  std::vector<Block> blocks;  // The given ones, then one slack per coupling row.
  std::size_t given = 0;
  double cost_scale = 1.0;
  Eigen::VectorXd coupling_rhs, coupling_scale;
  Eigen::MatrixXd coupling_scalars;  // coupling x scalars.
  Eigen::VectorXd scalar_cost, scalar_max;

  int scalars() const { return static_cast<int>(scalar_cost.size()); }
  int coupling() const { return static_cast<int>(coupling_rhs.size()); }
};

Program Compile(const BlockSdp& problem);

// Values of the rows on (Z, w), and sum_i y_i A_i.
Eigen::VectorXd Apply(const Block& block, const Eigen::MatrixXd& z, const Eigen::VectorXd& w);
void AddAdjoint(const Block& block,
                const Eigen::VectorXd& y,
                double factor,
                Eigen::MatrixXd* matrix,
                Eigen::VectorXd* weights);

// Multipliers of all rows of a block: its own and those of the coupling rows it takes part in.
Eigen::VectorXd RowMultipliers(const Block& block,
                               const Eigen::VectorXd& own,
                               const Eigen::VectorXd& coupling);

// Primal and dual point. z, s, w, v, y are per block; v >= 0 is dual to w, r >= 0 to t.
struct Iterate {
  std::vector<Eigen::MatrixXd> z, s;
  std::vector<Eigen::VectorXd> w, v, y;
  Eigen::VectorXd t, r, coupling_y;
};

// M dy + H dt = f, H' dy - (r / t) dt = g, factored once per iterate.
class ArrowSystem {
 public:
  // std::nullopt if a pivot is not positive - the iterate has left the numbers' reach - or where
  // `stop` says so, which each block asks.
  static std::optional<ArrowSystem> Factor(const Program& program,
                                           const Iterate& at,
                                           const std::vector<Eigen::MatrixXd>& s_inverse,
                                           const std::function<bool()>& stop);

  struct Rhs {
    std::vector<Eigen::VectorXd> own;  // f, per block.
    Eigen::VectorXd coupling;          // f of the coupling rows.
    Eigen::VectorXd scalars;           // g.
  };
  struct Solution {
    std::vector<Eigen::VectorXd> own;
    Eigen::VectorXd coupling, scalars;
  };
  Solution Solve(const Rhs& rhs) const;

 private:
  struct Eliminated {
    std::optional<Eigen::LLT<Eigen::MatrixXd>> pivot;  // M of the own rows, if there are any.
    Eigen::MatrixXd border;        // M of own x coupling parts, then H of the own rows.
    Eigen::MatrixXd pivot_border;  // pivot^-1 border.
  };
  explicit ArrowSystem(const Program& program) : program_(&program) {}
  bool Eliminate(const Block& block, const Eigen::MatrixXd& schur, Eigen::MatrixXd* reduced);

  const Program* program_;
  std::vector<Eliminated> blocks_;
  std::optional<Eigen::LLT<Eigen::MatrixXd>> coupling_;  // What is left of the coupling rows.
  Eigen::MatrixXd coupling_to_scalars_;                  // coupling^-1 H.
  Eigen::MatrixXd coupling_border_;                      // H.
  Eigen::MatrixXd scalar_pivot_inverse_;
};

}  // namespace dashf::opt::block_sdp
