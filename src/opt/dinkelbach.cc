#include "opt/dinkelbach.h"

#include <algorithm>
#include <cmath>

namespace dashf::opt {

DinkelbachResult MaximizeRatio(const SolveParametric& solve, double q, const Limits& limits) {
  const Stopwatch watch;
  for (int k = 1;; ++k) {
    const auto [n, d] = solve(q, limits.elapsed_s - watch.ElapsedS());
    if (!std::isfinite(n) || !std::isfinite(d))
      return {q, n - q * d, k, Termination::kNumericalError};
    const double residual = n - q * d;  // F(q)
    if (!(d > 0.0)) return {q, residual, k, Termination::kNumericalError};
    const Progress now{.iterations = k,
                       .elapsed_s = watch.ElapsedS(),
                       .residual = std::max(residual, 0.0),
                       .scale = std::abs(n)};
    const double q_next = std::max(q, n / d);
    if (const auto reason = CheckTermination(now, limits)) return {q_next, residual, k, *reason};
    q = q_next;
  }
}

}  // namespace dashf::opt
