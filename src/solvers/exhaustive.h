// The oracle: the best plan over every association and every split.
//
// Depth-first over (server, split) of one user after the other. A branch is cut only by the
// Lagrangian bound of docs/model.md (9) at prices optimised for the incumbent's y (each
// delay mode its own), so no slower enumeration would find anything else; each leaf that remains is
// put to step B at that y, and one with F(y) > 0 becomes the incumbent by Dinkelbach over step B,
// which raises y and starts the search again. At the end no (m, k) has F(y) > 1e-7 score.
//
// What this proves. Enumeration and pruning are exact for what the two numerical parts return. Both
// step B and the bound's replies are concave programs but for one term: the energy of the download,
// along the server's power q. Replies are therefore searched from three starts along q and the best
// is taken; step B gives a stationary point, and wherever its value meets the bound (which is over
// global replies) it is the global one. Nothing is rounded outward: this is a test oracle, not a
// certificate.
#pragma once

#include "solvers/method.h"

namespace dashf::solvers {

// kUsage, with the sizes, if more leaves remain after pruning than are worth trying.
Expected<SolveResult> SolveExhaustive(const Scenario& scenario, const SolveOptions& options);

}  // namespace dashf::solvers
