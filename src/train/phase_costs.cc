#include "train/phase_costs.h"

#include <Eigen/Dense>
#include <algorithm>

#include "base/check.h"

namespace dashf::train {
namespace {

using Counts = Eigen::RowVector4d;  // Of fixed, forward, backward, backward through frozen.

Counts CountsOf(const PhaseShape& phase) {
  if (phase.last < phase.first) return Counts::Zero();
  const int top = phase.objective == UserObjective::kEarlyExit ? phase.last : phase.layers;
  const double passes = phase.epochs;
  return {passes,
          phase.first - 1 + passes * (top - phase.first + 1),
          passes * (phase.last - phase.first + 1),
          passes * (top - phase.last)};
}

}  // namespace

PhaseLaw PhaseLaw::Fit(const std::vector<std::pair<PhaseShape, double>>& measured) {
  Eigen::MatrixXd counts(measured.size(), 4);
  for (std::size_t i = 0; i < measured.size(); ++i) {
    const auto& [phase, cost] = measured[i];
    DASHF_CHECK(cost > 0.0);
    counts.row(static_cast<Eigen::Index>(i)) = CountsOf(phase) / cost;
  }
  const Eigen::Vector4d solution =
      counts.completeOrthogonalDecomposition().solve(Eigen::VectorXd::Ones(counts.rows()));
  PhaseLaw law;
  law.coefficients_.assign(solution.begin(), solution.end());
  return law;
}

double PhaseLaw::Cost(const PhaseShape& phase) const {
  return CountsOf(phase) * Eigen::Map<const Eigen::Vector4d>(coefficients_.data());
}

}  // namespace dashf::train
