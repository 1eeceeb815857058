#include <Eigen/LU>
#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "opt/block_sdp_arrow_internal.h"

namespace dashf::opt::block_sdp {
namespace {

double LargestEntry(const BlockForm& form) {
  double largest = 0.0;
  for (const auto& entry : form.matrix) largest = std::max(largest, std::abs(entry.value));
  for (const auto& entry : form.weights) largest = std::max(largest, std::abs(entry.value));
  return largest;
}

double LargestEntry(const std::vector<VectorEntry>& entries) {
  double largest = 0.0;
  for (const auto& entry : entries) largest = std::max(largest, std::abs(entry.value));
  return largest;
}

double ScaleFor(double largest) {
  return largest > 0.0 ? 1.0 / largest : 1.0;
}

BlockForm Scaled(BlockForm form, double scale) {
  for (auto& entry : form.matrix) entry.value *= scale;
  for (auto& entry : form.weights) entry.value *= scale;
  return form;
}

void CheckIndices(const BlockForm& form, int order, int weights) {
  for (const auto& entry : form.matrix) {
    DASHF_CHECK(entry.row >= 0 && entry.row <= entry.column && entry.column < order);
  }
  for (const auto& entry : form.weights) DASHF_CHECK(entry.index >= 0 && entry.index < weights);
}

void FillCost(const SdpBlock& given, int weights, double cost_scale, Block* block) {
  block->cost = Eigen::MatrixXd::Zero(given.order, given.order);
  block->weight_cost = Eigen::VectorXd::Zero(weights);
  for (const auto& [row, column, value] : given.cost.matrix) {
    block->cost(row, column) += cost_scale * value;
    if (row != column) block->cost(column, row) += cost_scale * value;
  }
  for (const auto& [index, value] : given.cost.weights) {
    block->weight_cost[index] += cost_scale * value;
  }
}

Block CompileBlock(const SdpBlock& given, const Program& program) {
  Block block;
  block.own = static_cast<int>(given.rows.size());
  block.rhs.resize(block.own);
  block.row_scale.resize(block.own);
  block.scalars = Eigen::MatrixXd::Zero(block.own, program.scalars());
  block.weights_given = given.weights;
  block.trace_max = given.trace_max;
  CheckIndices(given.cost, given.order, given.weights);
  int weights = given.weights;
  for (int i = 0; i < block.own; ++i) {
    const BlockRow& row = given.rows[i];
    CheckIndices(row.form, given.order, given.weights);
    const double scale = ScaleFor(std::max(LargestEntry(row.form), LargestEntry(row.scalars)));
    block.row_scale[i] = scale;
    block.rhs[i] = scale * row.rhs;
    block.rows.push_back(Scaled(row.form, scale));
    for (const auto& [index, value] : row.scalars) block.scalars(i, index) += scale * value;
    block.at_most.push_back(row.relation == Relation::kAtMost);
    if (block.at_most.back()) block.rows.back().weights.push_back({weights++, 1.0});
  }
  for (const auto& [row, form] : given.coupling) {
    DASHF_CHECK(row >= 0 && row < program.coupling());
    CheckIndices(form, given.order, given.weights);
    block.coupling.push_back(row);
    block.rows.push_back(Scaled(form, program.coupling_scale[row]));
  }
  FillCost(given, weights, program.cost_scale, &block);
  return block;
}

Block CouplingSlack(int row, int scalars) {
  Block block;
  block.coupling = {row};
  block.rows = {BlockForm{.matrix = {}, .weights = {{0, 1.0}}}};
  block.weight_cost = Eigen::VectorXd::Zero(1);
  block.scalars.resize(0, scalars);
  return block;
}

void TransposeWeights(Block* block) {
  block->rows_of_weight.resize(block->weight_cost.size());
  for (int i = 0; i < static_cast<int>(block->rows.size()); ++i) {
    for (const auto& [index, value] : block->rows[i].weights) {
      block->rows_of_weight[index].push_back({i, value});
    }
  }
}

void ScaleCoupling(const BlockSdp& problem, Program* program) {
  const auto rows = static_cast<Eigen::Index>(problem.coupling.size());
  Eigen::VectorXd largest = Eigen::VectorXd::Zero(rows);
  for (const SdpBlock& block : problem.blocks) {
    for (const auto& [row, form] : block.coupling) {
      largest[row] = std::max(largest[row], LargestEntry(form));
    }
  }
  program->coupling_rhs.resize(rows);
  program->coupling_scale.resize(rows);
  program->coupling_scalars = Eigen::MatrixXd::Zero(rows, program->scalars());
  for (Eigen::Index j = 0; j < rows; ++j) {
    const CouplingRow& row = problem.coupling[j];
    const double scale = ScaleFor(std::max(largest[j], LargestEntry(row.scalars)));
    program->coupling_scale[j] = scale;
    program->coupling_rhs[j] = scale * row.rhs;
    for (const auto& [index, value] : row.scalars) {
      program->coupling_scalars(j, index) += scale * value;
    }
  }
}

// M_ij = <A_i, Z A_j S^-1> + sum over weights of a_i a_j w / v.
Eigen::MatrixXd SchurMatrix(const Block& block,
                            const Eigen::MatrixXd& z,
                            const Eigen::MatrixXd& s_inverse,
                            const Eigen::VectorXd& weight_ratio) {
  const auto rows = static_cast<Eigen::Index>(block.rows.size());
  Eigen::MatrixXd schur = Eigen::MatrixXd::Zero(rows, rows);
  Eigen::MatrixXd product(z.rows(), z.cols());
  for (Eigen::Index j = 0; j < rows; ++j) {
    if (block.rows[j].matrix.empty()) continue;
    product.setZero();
    for (const auto& [a, b, value] : block.rows[j].matrix) {
      product.noalias() += value * (z.col(a) * s_inverse.row(b));
      if (a != b) product.noalias() += value * (z.col(b) * s_inverse.row(a));
    }
    for (Eigen::Index i = 0; i <= j; ++i) {
      double sum = 0.0;
      for (const auto& [a, b, value] : block.rows[i].matrix) {
        sum += value * (a == b ? product(a, a) : product(a, b) + product(b, a));
      }
      schur(i, j) = schur(j, i) = sum;
    }
  }
  for (std::size_t k = 0; k < block.rows_of_weight.size(); ++k) {
    for (const auto& [i, left] : block.rows_of_weight[k]) {
      for (const auto& [j, right] : block.rows_of_weight[k]) {
        schur(i, j) += left * right * weight_ratio[static_cast<Eigen::Index>(k)];
      }
    }
  }
  // As the blocks near rank one the last digits of a pivot go; this keeps it positive. The
  // direction is inexact to the same relative degree, which the next iteration's residuals make
  // good.
  constexpr double kRidge = 1e-13;
  schur.diagonal() *= 1.0 + kRidge;
  return schur;
}

}  // namespace

Program Compile(const BlockSdp& problem) {
  Program program;
  program.given = problem.blocks.size();
  const auto scalars = static_cast<Eigen::Index>(problem.scalars.size());
  double largest_cost = 0.0;
  for (const SdpBlock& block : problem.blocks) {
    largest_cost = std::max(largest_cost, LargestEntry(block.cost));
  }
  for (const auto& scalar : problem.scalars) {
    largest_cost = std::max(largest_cost, std::abs(scalar.cost));
  }
  program.cost_scale = ScaleFor(largest_cost);
  program.scalar_cost.resize(scalars);
  program.scalar_max.resize(scalars);
  for (Eigen::Index i = 0; i < scalars; ++i) {
    program.scalar_cost[i] = program.cost_scale * problem.scalars[i].cost;
    program.scalar_max[i] = problem.scalars[i].value_max;
  }
  ScaleCoupling(problem, &program);
  for (const SdpBlock& block : problem.blocks) {
    program.blocks.push_back(CompileBlock(block, program));
  }
  for (int j = 0; j < program.coupling(); ++j) {
    program.blocks.push_back(CouplingSlack(j, program.scalars()));
  }
  for (Block& block : program.blocks) TransposeWeights(&block);
  return program;
}

Eigen::VectorXd Apply(const Block& block, const Eigen::MatrixXd& z, const Eigen::VectorXd& w) {
  Eigen::VectorXd values = Eigen::VectorXd::Zero(static_cast<Eigen::Index>(block.rows.size()));
  for (std::size_t i = 0; i < block.rows.size(); ++i) {
    double sum = 0.0;
    for (const auto& [a, b, value] : block.rows[i].matrix) {
      sum += value * (a == b ? z(a, a) : z(a, b) + z(b, a));
    }
    for (const auto& [index, value] : block.rows[i].weights) sum += value * w[index];
    values[static_cast<Eigen::Index>(i)] = sum;
  }
  return values;
}

void AddAdjoint(const Block& block,
                const Eigen::VectorXd& y,
                double factor,
                Eigen::MatrixXd* matrix,
                Eigen::VectorXd* weights) {
  for (std::size_t i = 0; i < block.rows.size(); ++i) {
    const double multiplier = factor * y[static_cast<Eigen::Index>(i)];
    for (const auto& [a, b, value] : block.rows[i].matrix) {
      (*matrix)(a, b) += multiplier * value;
      if (a != b) (*matrix)(b, a) += multiplier * value;
    }
    for (const auto& [index, value] : block.rows[i].weights) {
      (*weights)[index] += multiplier * value;
    }
  }
}

Eigen::VectorXd RowMultipliers(const Block& block,
                               const Eigen::VectorXd& own,
                               const Eigen::VectorXd& coupling) {
  Eigen::VectorXd all(static_cast<Eigen::Index>(block.rows.size()));
  all.head(block.own) = own;
  for (std::size_t i = 0; i < block.coupling.size(); ++i) {
    all[block.own + static_cast<Eigen::Index>(i)] = coupling[block.coupling[i]];
  }
  return all;
}

bool ArrowSystem::Eliminate(const Block& block,
                            const Eigen::MatrixXd& schur,
                            Eigen::MatrixXd* reduced) {
  const auto own = static_cast<Eigen::Index>(block.own);
  const Eigen::Index parts = schur.rows() - own;
  const Eigen::Index coupling = program_->coupling(), scalars = program_->scalars();
  Eliminated& here = blocks_.emplace_back();
  here.border.resize(own, parts + scalars);
  here.border << schur.topRightCorner(own, parts), block.scalars;
  if (own > 0) {
    here.pivot.emplace(schur.topLeftCorner(own, own));
    if (here.pivot->info() != Eigen::Success) return false;
  }
  here.pivot_border = here.border;
  if (here.border.size() > 0) here.pivot->solveInPlace(here.pivot_border);
  const Eigen::MatrixXd drop = here.border.transpose() * here.pivot_border;
  for (Eigen::Index i = 0; i < parts; ++i) {
    const int row = block.coupling[i];
    for (Eigen::Index j = 0; j < parts; ++j) {
      (*reduced)(row, block.coupling[j]) += schur(own + i, own + j) - drop(i, j);
    }
    for (Eigen::Index j = 0; j < scalars; ++j) {
      (*reduced)(row, coupling + j) -= drop(i, parts + j);
    }
  }
  reduced->bottomRightCorner(scalars, scalars) -= drop.bottomRightCorner(scalars, scalars);
  return true;
}

std::optional<ArrowSystem> ArrowSystem::Factor(const Program& program,
                                               const Iterate& at,
                                               const std::vector<Eigen::MatrixXd>& s_inverse,
                                               const std::function<bool()>& stop) {
  const Eigen::Index coupling = program.coupling(), scalars = program.scalars();
  ArrowSystem system(program);
  Eigen::MatrixXd reduced = Eigen::MatrixXd::Zero(coupling + scalars, coupling + scalars);
  reduced.topRightCorner(coupling, scalars) = program.coupling_scalars;
  reduced.bottomRightCorner(scalars, scalars).diagonal() = -at.r.cwiseQuotient(at.t);
  for (std::size_t n = 0; n < program.blocks.size(); ++n) {
    if (stop()) return std::nullopt;
    const Block& block = program.blocks[n];
    const Eigen::MatrixXd schur =
        SchurMatrix(block, at.z[n], s_inverse[n], at.w[n].cwiseQuotient(at.v[n]));
    if (!system.Eliminate(block, schur, &reduced)) return std::nullopt;
  }
  system.coupling_border_ = reduced.topRightCorner(coupling, scalars);
  system.coupling_to_scalars_ = system.coupling_border_;
  if (coupling > 0) {
    system.coupling_.emplace(reduced.topLeftCorner(coupling, coupling));
    if (system.coupling_->info() != Eigen::Success) return std::nullopt;
    if (scalars > 0) {
      system.coupling_to_scalars_ = system.coupling_->solve(system.coupling_border_);
    }
  }
  if (scalars > 0) {
    const Eigen::MatrixXd pivot = reduced.bottomRightCorner(scalars, scalars) -
                                  system.coupling_border_.transpose() * system.coupling_to_scalars_;
    system.scalar_pivot_inverse_ = pivot.inverse();
    if (!system.scalar_pivot_inverse_.allFinite()) return std::nullopt;
  }
  return system;
}

ArrowSystem::Solution ArrowSystem::Solve(const Rhs& rhs) const {
  Solution solution;
  Eigen::VectorXd coupling = rhs.coupling, scalars = rhs.scalars;
  for (std::size_t n = 0; n < blocks_.size(); ++n) {
    const Block& block = program_->blocks[n];
    solution.own.push_back(block.own > 0 ? Eigen::VectorXd(blocks_[n].pivot->solve(rhs.own[n]))
                                         : rhs.own[n]);
    const Eigen::VectorXd drop = blocks_[n].border.transpose() * solution.own[n];
    const auto parts = static_cast<Eigen::Index>(block.coupling.size());
    for (Eigen::Index i = 0; i < parts; ++i) coupling[block.coupling[i]] -= drop[i];
    scalars -= drop.tail(program_->scalars());
  }
  scalars -= coupling_to_scalars_.transpose() * coupling;
  solution.scalars = scalar_pivot_inverse_ * scalars;
  solution.coupling = coupling - coupling_border_ * solution.scalars;
  if (coupling.size() > 0) solution.coupling = coupling_->solve(solution.coupling);
  for (std::size_t n = 0; n < blocks_.size(); ++n) {
    const Block& block = program_->blocks[n];
    const auto parts = static_cast<Eigen::Index>(block.coupling.size());
    Eigen::VectorXd border(parts + program_->scalars());
    for (Eigen::Index i = 0; i < parts; ++i) border[i] = solution.coupling[block.coupling[i]];
    border.tail(program_->scalars()) = solution.scalars;
    solution.own[n] -= blocks_[n].pivot_border * border;
  }
  return solution;
}

}  // namespace dashf::opt::block_sdp
