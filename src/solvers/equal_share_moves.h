// Moves of one user at a time where every server's resources are split equally among those of its
// users that need them. Pure: safe from any thread.
#pragma once

#include <functional>

#include "solvers/scr_problem.h"

namespace dashf::solvers {

// What a user loses at a server, y cost - score, at its best split and the equal share among `load`
// users. In makespan mode its delay counts 1/N.
struct PairLoss {
  double loss = 0.0;
  int local_layers = 0;
};
PairLoss LossAtEqualShare(const ScrProblem& problem, int user, int server, int load, double y);

// Each user in turn to the other server with a free slot where it would lose least, kept where the
// SCR of the whole plan with equal shares rises; until no move is kept, at most ten rounds, or
// `out_of_time`. `scr` is that of `association`, which must be admissible. A move is judged by sums
// that each server keeps for one user more and one fewer: O(servers), not O(users).
Association MoveSingleUsers(const ScrProblem& problem,
                            Association association,
                            double scr,
                            const std::function<bool()>& out_of_time);

}  // namespace dashf::solvers
