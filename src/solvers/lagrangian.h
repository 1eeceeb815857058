// The Lagrangian bound of docs/model.md (9): with the shared resources priced, every user
// replies alone. Internal to the module; numerical, not outward-rounded: a search prunes by it, a
// certificate needs more.
#pragma once

#include <Eigen/Core>
#include <vector>

#include "solvers/scr_problem.h"

namespace dashf::solvers::internal {

// All prices are >= 0. A delay weight is a user's part of w_t; in makespan mode each phase's
// weights sum to w_t over the users, in sum mode each is w_t.
struct Prices {
  std::vector<Eigen::Vector3d> share;      // Per server, of all its bandwidth, power, clock: score.
  std::vector<double> user_phase_per_s;    // alpha_n.
  std::vector<double> server_phase_per_s;  // beta_n.
};

// One (server, split) of one user: psi of (9) and where it is attained.
struct RowReply {
  Choice choice;
  double psi = 0.0;
  Eigen::Vector3d share;
  double user_phase_s = 0.0, server_phase_s = 0.0;
};

struct DualValue {
  double bound = 0.0;                          // D(y; prices) >= F(y).
  std::vector<std::vector<RowReply>> replies;  // Per user, best psi first.
};

// Prices as good as a fixed number of projected subgradient steps (Polyak's length towards F = 0)
// makes them, and the bound there. `at` is a plan whose marginal values start the prices.
DualValue OptimizePrices(const ScrProblem& problem, double y, const Plan& at, int steps);

}  // namespace dashf::solvers::internal
