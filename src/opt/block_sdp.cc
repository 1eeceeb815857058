#include "opt/block_sdp.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <functional>

#include "opt/block_sdp_arrow_internal.h"

namespace dashf::opt {
namespace {

using block_sdp::AddAdjoint;
using block_sdp::Apply;
using block_sdp::ArrowSystem;
using block_sdp::Block;
using block_sdp::Compile;
using block_sdp::Iterate;
using block_sdp::Program;
using block_sdp::RowMultipliers;
using Eigen::MatrixXd;
using Eigen::VectorXd;

// How far each equation of the optimality system is from holding.
struct Residuals {
  std::vector<VectorXd> rows;  // b - A(Z, w) - H t, own rows per block.
  std::vector<MatrixXd> dual;  // C - S - A'y.
  std::vector<VectorXd> weights_dual;
  VectorXd coupling, scalars_dual;
  double mu = 0.0;  // Mean complementarity.
  double primal_objective = 0.0, dual_objective = 0.0;
};

MatrixXd Symmetrized(const MatrixXd& a) {
  return 0.5 * (a + a.transpose());
}

Iterate StartingPoint(const Program& program) {
  // Far inside the cones: unit-size variables, dual slacks above the scaled costs.
  constexpr double kPrimal = 1.0, kDual = 10.0;
  Iterate start;
  for (const Block& block : program.blocks) {
    start.z.push_back(kPrimal * MatrixXd::Identity(block.cost.rows(), block.cost.cols()));
    start.s.push_back(kDual * MatrixXd::Identity(block.cost.rows(), block.cost.cols()));
    start.w.push_back(VectorXd::Constant(block.weight_cost.size(), kPrimal));
    start.v.push_back(VectorXd::Constant(block.weight_cost.size(), kDual));
    start.y.push_back(VectorXd::Zero(block.own));
  }
  start.t = VectorXd::Constant(program.scalars(), kPrimal);
  start.r = VectorXd::Constant(program.scalars(), kDual);
  start.coupling_y = VectorXd::Zero(program.coupling());
  return start;
}

Residuals ResidualsAt(const Program& program, const Iterate& at) {
  Residuals res;
  res.coupling = program.coupling_rhs - program.coupling_scalars * at.t;
  res.scalars_dual =
      program.scalar_cost - at.r - program.coupling_scalars.transpose() * at.coupling_y;
  res.primal_objective = program.scalar_cost.dot(at.t);
  res.dual_objective = program.coupling_rhs.dot(at.coupling_y);
  double complementarity = at.t.dot(at.r);
  auto pairs = static_cast<double>(at.t.size());
  for (std::size_t n = 0; n < program.blocks.size(); ++n) {
    const Block& block = program.blocks[n];
    const VectorXd values = Apply(block, at.z[n], at.w[n]);
    res.rows.push_back(block.rhs - values.head(block.own) - block.scalars * at.t);
    for (std::size_t i = 0; i < block.coupling.size(); ++i) {
      res.coupling[block.coupling[i]] -= values[block.own + static_cast<Eigen::Index>(i)];
    }
    res.dual.push_back(block.cost - at.s[n]);
    res.weights_dual.push_back(block.weight_cost - at.v[n]);
    AddAdjoint(block,
               RowMultipliers(block, at.y[n], at.coupling_y),
               -1.0,
               &res.dual.back(),
               &res.weights_dual.back());
    res.scalars_dual -= block.scalars.transpose() * at.y[n];
    res.primal_objective += block.cost.cwiseProduct(at.z[n]).sum() + block.weight_cost.dot(at.w[n]);
    res.dual_objective += block.rhs.dot(at.y[n]);
    complementarity += at.z[n].cwiseProduct(at.s[n]).sum() + at.w[n].dot(at.v[n]);
    pairs += static_cast<double>(at.z[n].rows() + at.w[n].size());
  }
  res.mu = pairs > 0.0 ? complementarity / pairs : 0.0;
  return res;
}

// The Newton step towards complementarity `target`, given the second-order term of the predictor.
// `affine` null: no second-order term.
Iterate NewtonStep(const Program& program,
                   const Iterate& at,
                   const Residuals& res,
                   const ArrowSystem& system,
                   const std::vector<MatrixXd>& s_inverse,
                   double target,
                   const Iterate* affine) {
  std::vector<MatrixXd> aim;  // dZ where dS = 0.
  std::vector<VectorXd> aim_weights;
  ArrowSystem::Rhs rhs{.own = {}, .coupling = res.coupling, .scalars = {}};
  for (std::size_t n = 0; n < program.blocks.size(); ++n) {
    const Block& block = program.blocks[n];
    MatrixXd dz = target * s_inverse[n] - at.z[n];
    VectorXd dw = target * at.v[n].cwiseInverse() - at.w[n];
    if (affine != nullptr) {
      dz -= Symmetrized(affine->z[n] * affine->s[n] * s_inverse[n]);
      dw -= affine->w[n].cwiseProduct(affine->v[n]).cwiseQuotient(at.v[n]);
    }
    const MatrixXd pull = at.z[n] * res.dual[n] * s_inverse[n] - dz;
    const VectorXd pull_weights =
        at.w[n].cwiseProduct(res.weights_dual[n]).cwiseQuotient(at.v[n]) - dw;
    const VectorXd values = Apply(block, Symmetrized(pull), pull_weights);
    rhs.own.push_back(res.rows[n] + values.head(block.own));
    for (std::size_t i = 0; i < block.coupling.size(); ++i) {
      rhs.coupling[block.coupling[i]] += values[block.own + static_cast<Eigen::Index>(i)];
    }
    aim.push_back(std::move(dz));
    aim_weights.push_back(std::move(dw));
  }
  VectorXd aim_scalars = target * at.t.cwiseInverse() - at.r;
  if (affine != nullptr) aim_scalars -= affine->t.cwiseProduct(affine->r).cwiseQuotient(at.t);
  rhs.scalars = res.scalars_dual - aim_scalars;

  const ArrowSystem::Solution solved = system.Solve(rhs);
  Iterate step;
  step.y = solved.own;
  step.coupling_y = solved.coupling;
  step.t = solved.scalars;
  step.r = aim_scalars - at.r.cwiseProduct(step.t).cwiseQuotient(at.t);
  for (std::size_t n = 0; n < program.blocks.size(); ++n) {
    const Block& block = program.blocks[n];
    MatrixXd ds = res.dual[n];
    VectorXd dv = res.weights_dual[n];
    AddAdjoint(block, RowMultipliers(block, step.y[n], step.coupling_y), -1.0, &ds, &dv);
    step.z.push_back(aim[n] - Symmetrized(at.z[n] * ds * s_inverse[n]));
    step.w.push_back(aim_weights[n] - at.w[n].cwiseProduct(dv).cwiseQuotient(at.v[n]));
    step.s.push_back(std::move(ds));
    step.v.push_back(std::move(dv));
  }
  return step;
}

// The largest step from a positive point before an entry, or an eigenvalue, reaches zero.
double StepToBoundary(const VectorXd& at, const VectorXd& step) {
  double length = 1e30;
  for (Eigen::Index i = 0; i < at.size(); ++i) {
    if (step[i] < 0.0) length = std::min(length, -at[i] / step[i]);
  }
  return length;
}

double StepToBoundary(const MatrixXd& at, const MatrixXd& step) {
  if (at.rows() == 0) return 1e30;
  const Eigen::LLT<MatrixXd> factor(at);
  MatrixXd relative = factor.matrixL().solve(step);
  relative = factor.matrixL().solve(relative.transpose().eval());
  const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(Symmetrized(relative),
                                                      Eigen::EigenvaluesOnly);
  const double lowest = eigen.eigenvalues()[0];
  return lowest < 0.0 ? -1.0 / lowest : 1e30;
}

struct StepLengths {
  double primal = 1e30, dual = 1e30;
};

StepLengths StepsToBoundary(const Iterate& at, const Iterate& step) {
  StepLengths length{StepToBoundary(at.t, step.t), StepToBoundary(at.r, step.r)};
  for (std::size_t n = 0; n < at.z.size(); ++n) {
    length.primal = std::min(
        {length.primal, StepToBoundary(at.z[n], step.z[n]), StepToBoundary(at.w[n], step.w[n])});
    length.dual = std::min(
        {length.dual, StepToBoundary(at.s[n], step.s[n]), StepToBoundary(at.v[n], step.v[n])});
  }
  return length;
}

Iterate Moved(Iterate at, const Iterate& step, const StepLengths& length) {
  for (std::size_t n = 0; n < at.z.size(); ++n) {
    at.z[n] += length.primal * step.z[n];
    at.w[n] += length.primal * step.w[n];
    at.s[n] += length.dual * step.s[n];
    at.v[n] += length.dual * step.v[n];
    at.y[n] += length.dual * step.y[n];
  }
  at.t += length.primal * step.t;
  at.r += length.dual * step.r;
  at.coupling_y += length.dual * step.coupling_y;
  return at;
}

double Complementarity(const Iterate& at) {
  double sum = at.t.dot(at.r);
  for (std::size_t n = 0; n < at.z.size(); ++n) {
    sum += at.z[n].cwiseProduct(at.s[n]).sum() + at.w[n].dot(at.v[n]);
  }
  return sum;
}

// Predictor to see how far a pure Newton step reaches, then the step with the centring that this
// reach deserves (Mehrotra 1992). Empty if the iterate has left the numbers' reach, or at `stop`.
std::optional<Iterate> NextIterate(const Program& program,
                                   const Iterate& at,
                                   const Residuals& res,
                                   const std::function<bool()>& stop) {
  std::vector<MatrixXd> s_inverse;
  for (const MatrixXd& s : at.s) {
    const Eigen::LLT<MatrixXd> factor(s);
    if (factor.info() != Eigen::Success) return std::nullopt;
    s_inverse.push_back(factor.solve(MatrixXd::Identity(s.rows(), s.cols())));
  }
  const auto system = ArrowSystem::Factor(program, at, s_inverse, stop);
  if (!system) return std::nullopt;
  const Iterate affine = NewtonStep(program, at, res, *system, s_inverse, 0.0, nullptr);
  if (stop()) return std::nullopt;
  StepLengths reach = StepsToBoundary(at, affine);
  reach = {std::min(1.0, reach.primal), std::min(1.0, reach.dual)};
  const double left =
      std::max(0.0, Complementarity(Moved(at, affine, reach)) / Complementarity(at));
  const double exponent = std::max(1.0, 3.0 * std::pow(std::min(reach.primal, reach.dual), 2));
  const double centring = std::min(1.0, std::pow(left, exponent));
  if (stop()) return std::nullopt;
  const Iterate step = NewtonStep(program, at, res, *system, s_inverse, centring * res.mu, &affine);
  const StepLengths boundary = StepsToBoundary(at, step);
  const double margin = 0.9 + 0.09 * std::min(reach.primal, reach.dual);
  Iterate next = Moved(
      at, step, {std::min(1.0, margin * boundary.primal), std::min(1.0, margin * boundary.dual)});
  for (MatrixXd& z : next.z) z = Symmetrized(z);
  return next;
}

double LargestMagnitude(const VectorXd& vector) {
  return vector.size() > 0 ? vector.cwiseAbs().maxCoeff() : 0.0;
}

void FillResiduals(const Program& program, const Residuals& res, BlockSdpSolution* solution) {
  double primal = LargestMagnitude(res.coupling), rhs = LargestMagnitude(program.coupling_rhs);
  double dual = LargestMagnitude(res.scalars_dual);
  for (std::size_t n = 0; n < program.blocks.size(); ++n) {
    primal = std::max(primal, LargestMagnitude(res.rows[n]));
    rhs = std::max(rhs, LargestMagnitude(program.blocks[n].rhs));
    dual = std::max(
        {dual, LargestMagnitude(res.dual[n].reshaped()), LargestMagnitude(res.weights_dual[n])});
  }
  solution->primal_residual = primal / (1.0 + rhs);
  solution->dual_residual = dual / 2.0;  // Costs are scaled to a largest entry of 1.
  solution->relative_gap = std::abs(res.primal_objective - res.dual_objective) /
                           (1.0 + std::abs(res.primal_objective) + std::abs(res.dual_objective));
  solution->objective = res.primal_objective / program.cost_scale;
}

// Weak duality: with y clamped to the signs of its rows, the objective of every feasible point is
// at least b'y plus, per cone, the negative part of its dual slack times the bound on its size.
double LowerBound(const Program& program, const Iterate& at) {
  const auto shortfall = [](double slack, double size_max) {
    return slack < 0.0 ? slack * size_max : 0.0;
  };
  const VectorXd coupling_y = at.coupling_y.cwiseMin(0.0);
  VectorXd scalar_slack = program.scalar_cost - program.coupling_scalars.transpose() * coupling_y;
  double bound = program.coupling_rhs.dot(coupling_y);
  for (std::size_t n = 0; n < program.given; ++n) {
    const Block& block = program.blocks[n];
    VectorXd y = at.y[n];
    for (int i = 0; i < block.own; ++i) {
      if (block.at_most[i]) y[i] = std::min(y[i], 0.0);
    }
    MatrixXd slack = block.cost;
    VectorXd weight_slack = block.weight_cost;
    AddAdjoint(block, RowMultipliers(block, y, coupling_y), -1.0, &slack, &weight_slack);
    double lowest = 0.0;
    if (slack.rows() > 0) {
      lowest =
          Eigen::SelfAdjointEigenSolver<MatrixXd>(slack, Eigen::EigenvaluesOnly).eigenvalues()[0];
    }
    for (int i = 0; i < block.weights_given; ++i) lowest = std::min(lowest, weight_slack[i]);
    bound += block.rhs.dot(y) + shortfall(lowest, block.trace_max);
    scalar_slack -= block.scalars.transpose() * y;
  }
  for (Eigen::Index i = 0; i < scalar_slack.size(); ++i) {
    bound += shortfall(scalar_slack[i], program.scalar_max[i]);
  }
  return bound / program.cost_scale;
}

void FillPoint(const Program& program, const Iterate& at, BlockSdpSolution* solution) {
  for (std::size_t n = 0; n < program.given; ++n) {
    const Block& block = program.blocks[n];
    solution->matrices.push_back(at.z[n]);
    solution->weights.push_back(at.w[n].head(block.weights_given));
    solution->row_multipliers.push_back(at.y[n].cwiseProduct(block.row_scale) / program.cost_scale);
  }
  solution->scalars = at.t;
  solution->coupling_multipliers =
      at.coupling_y.cwiseProduct(program.coupling_scale) / program.cost_scale;
}

}  // namespace

BlockSdpSolution SolveBlockSdp(const BlockSdp& problem, const Limits& limits) {
  const Stopwatch watch;
  const auto stop = [&] { return watch.ElapsedS() >= limits.elapsed_s; };
  const Program program = Compile(problem);
  Iterate at = StartingPoint(program);
  BlockSdpSolution solution;
  for (;;) {
    const Residuals res = ResidualsAt(program, at);
    FillResiduals(program, res, &solution);
    const Progress now{
        .iterations = solution.iterations,
        .elapsed_s = watch.ElapsedS(),
        .residual =
            std::max({solution.primal_residual, solution.dual_residual, solution.relative_gap})};
    if (const auto reason = CheckTermination(now, limits)) {
      solution.termination = *reason;
      break;
    }
    // Complementary far beyond the tolerance and still not converged: rounding errors rule.
    if (res.mu < 1e-4 * limits.tolerance) {
      solution.termination = Termination::kStalled;
      break;
    }
    std::optional<Iterate> next = NextIterate(program, at, res, stop);
    if (!next) {
      solution.termination = stop() ? Termination::kTimeLimit : Termination::kNumericalError;
      break;
    }
    at = std::move(*next);
    ++solution.iterations;
  }
  if (solution.termination != Termination::kTimeLimit) {
    solution.bound_lower = LowerBound(program, at);
  }
  FillPoint(program, at, &solution);
  return solution;
}

}  // namespace dashf::opt
