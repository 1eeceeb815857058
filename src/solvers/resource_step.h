// Step B of the alternation (docs/dashf.md): the best resources b, p, q, f, s for a fixed
// association and split. Thread-safe: no shared state.
#pragma once

#include <limits>

#include "base/termination.h"
#include "solvers/scr_problem.h"

namespace dashf::solvers {

struct ResourceOptions {
  // Newton steps in all. A hundred are typical; the limit only guards against numerical trouble.
  int iterations_max = 1000;
  // Duality gap of the convex programs, relative to score + y cost. Each digit costs about four
  // Newton steps.
  double tolerance = 1e-10;
  // From now on; the plan is then as far as the path was followed.
  double time_limit_s = std::numeric_limits<double>::infinity();
};

struct ResourceResult {
  Plan plan;           // Interior: every capacity keeps a margin of about `tolerance`.
  double score = 0.0;  // Of the plan, by TotalsOf().
  double cost = 0.0;
  Termination termination = Termination::kNumericalError;
  int iterations = 0;  // Newton steps.
};

// Maximises score - y cost over all resources; y >= 0. The result is a stationary point (the one
// non-concave term is the download energy) and never worse than `warm_start`, which is used if it
// is given, admissible and has this association. Resources that a phase does not need are 0.
// The association must be admissible (IsAdmissible).
ResourceResult AllocateResources(const ScrProblem& problem,
                                 const Association& association,
                                 double y,
                                 const Plan* warm_start = nullptr,
                                 const ResourceOptions& options = {});

// Each server's b, q, s split equally among those of its users that need them; p and f are the
// closed-form best of sum mode for that bandwidth (in makespan mode too, with the delay weight
// w_t): the usual reading of "equal shares" leaves a user's own power and clock to the user.
Plan EqualShares(const ScrProblem& problem, const Association& association);

// One user's decision with 1 / load of each resource of its server that the choice needs, and p and
// f as in EqualShares; load >= 1.
Decision EqualShareDecision(const ScrProblem& problem, int user, const Choice& choice, int load);

struct RatioResult {
  Plan plan;
  double scr = 0.0;
  double residual = 0.0;  // F(y) at the last y.
  Termination termination = Termination::kNumericalError;
  int iterations = 0;  // Dinkelbach's.
};

// Dinkelbach over step B: the best SCR of a fixed association and split. Starts from `warm_start`
// where it matches, else from equal shares; never worse than its start.
RatioResult MaximizeScrForAssociation(const ScrProblem& problem,
                                      const Association& association,
                                      const Plan* warm_start = nullptr,
                                      const Limits& limits = {},
                                      const ResourceOptions& options = {});

}  // namespace dashf::solvers
