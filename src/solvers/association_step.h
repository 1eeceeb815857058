// Step A of the alternation (docs/dashf.md): association and split at fixed y. Relaxes,
// rounds the relaxed x and Gaussian samples of it by the Hungarian method on the servers' slots,
// takes k from the tables by enumeration and compares the candidates by score - y Cost after a
// cheap recomputation of all shares, which also repairs the capacities. Thread-safe: no shared
// state.
#pragma once

#include <functional>
#include <vector>

#include "base/rng.h"
#include "solvers/association_relaxation.h"
#include "solvers/split_search.h"
#include "solvers/tentative_resources.h"

namespace dashf::solvers {

struct AssociationOptions {
  // The lifting of the published method, or the tighter and faster linear program.
  Relaxation relaxation = Relaxation::kSdr;
  TentativeShares tentative = TentativeShares::kIfJoined;
  Limits relaxation_limits{.iterations = 60, .tolerance = 1e-6};
  // Gaussian samples rounded per step, besides the relaxed x itself. The best of all is kept, so
  // more never hurts one step; time grows linearly.
  int samples = 24;
  // How many of the best distinct candidates are returned for step B to finish.
  int finalists = 4;
};

struct AssociationStepResult {
  std::vector<SplitSearchResult> finalists;  // Best first, distinct; at least one.
  double bound_upper = 0.0;                  // Of the relaxation at its tentative resources.
  Termination termination = Termination::kConverged;  // kTimeLimit: not all samples were tried.
};

// `incumbent` must be feasible; its servers, too, are a candidate (with new splits). Ends within
// about one look at all choices of `time_left_s`; the incumbent itself is then the finalist.
AssociationStepResult ImproveAssociation(const ScrProblem& problem,
                                         double y,
                                         const Plan& incumbent,
                                         const AssociationOptions& options,
                                         double time_left_s,
                                         Rng rng);

// The best splits for each user's server from several starts - makespan mode has separate basins -
// that are k = 0, the middle and the largest k below L for everyone, and those given. The first
// start is always looked at, the others until `out_of_time`.
SplitSearchResult BestSplitsFor(const ScrProblem& problem,
                                double y,
                                const std::vector<int>& server_of_user,
                                const std::vector<std::vector<int>>& split_starts,
                                const std::function<bool()>& out_of_time);

}  // namespace dashf::solvers
