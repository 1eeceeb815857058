// Lambert's W on its principal branch: W0(z) e^W0(z) = z for z >= -1/e (Corless et al., Adv.
// Comput. Math. 5, 1996). Pure functions; full double precision up to the branch point.
#pragma once

namespace dashf::opt {

// e^v (v - 1) + 1 for v >= 0: 0 at 0, increasing and free of cancellation. With delta = e z + 1,
// v = 1 + W0(z) solves BranchDistance(v) = delta.
double BranchDistance(double v);

// The inverse: v >= 0 with BranchDistance(v) = delta, for finite delta >= 0. This form keeps its
// digits next to the branch point z = -1/e, where W0's own argument has lost them.
double InverseBranchDistance(double delta);

// W0(z); z >= -1/e (below it by rounding only: returns -1).
double LambertW0(double z);

}  // namespace dashf::opt
