// Dinkelbach's algorithm: maximises N(x) / D(x), D > 0, through F(q) = max over x of N(x) - q D(x),
// which is convex and decreasing; q is the optimum iff F(q) = 0 (Management Science 13(7), 1967).
#pragma once

#include <functional>

#include "base/termination.h"

namespace dashf::opt {

struct Ratio {
  double numerator = 0.0;
  double denominator = 1.0;  // > 0; else the ascent ends with kNumericalError at q.
};

struct DinkelbachResult {
  double q = 0.0;         // The ratio reached.
  double residual = 0.0;  // F at the last q that was tried, as `solve` found it.
  int iterations = 0;
  Termination termination = Termination::kNumericalError;
};

// Returns N and D at a maximiser of N - q D, or at its best point when the time is up.
using SolveParametric = std::function<Ratio(double q, double time_left_s)>;

// Ascends from `q` by q <- N / D (Newton's step on F, since F' = -D). An inner answer that only
// approximates the maximiser may give F(q) <= 0; the ascent then stops at q, which it never lowers.
DinkelbachResult MaximizeRatio(const SolveParametric& solve, double q, const Limits& limits);

}  // namespace dashf::opt
