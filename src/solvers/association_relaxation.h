// Step A's problem at fixed y and tentative resources, and its two relaxations (docs/dashf.md).
// Minimised is y Cost - score:
//
//   sdr   the QCQP in x_nm (one per reachable server), l_n (all-local, where allowed), the ratio
//         phi_n = k / L and, in makespan mode, the scalars (T_u, T_s):
//           min  sum_nm x_nm (c_nm + d_nm phi_n) + sum_n e_n l_n + y w_t (T_u + T_s)
//           s.t. x^2 = x, l^2 = l, sum_m x_nm + l_n = 1, (phi - low)(phi - high) <= 0,
//                sum_n x_nm share_nm <= 1 for b, q and s of each server, sum_n x_nm <= slots,
//                sum_m x_nm (t_nm + u_nm phi_n) + l_n T^u_nL <= T_u, the same for T_s,
//         with affine fits over the allowed rows k < L that are exact at the first (k = 0). Its
//         semidefinite relaxation has one block of order M' + 2 per user (M' + 3 with l_n).
//   hull  one weight per (server, split): the convex hull of each user's choices, a linear program
//         on the table itself.
// Both let an all-local user's slot go uncounted, which only relaxes them. Pure; thread-safe.
#pragma once

#include <Eigen/Core>
#include <vector>

#include "opt/semidefinite_relaxation.h"
#include "solvers/tentative_resources.h"

namespace dashf::solvers {

enum class Relaxation { kSdr, kHull };

// Times are in units of `time_scale_s`, so that the scalars are of order 1.
struct StepACosts {
  double y = 0.0;
  double time_scale_s = 1.0;
};
StepACosts ScaleStepA(const TentativeTable& table, double y);

// Where a user's variables stand in the QCQP; -1: the user has none.
struct UserVariables {
  std::vector<int> servers;  // Of x, which are first_x, first_x + 1, ...
  int first_x = -1;
  int all_local = -1;
  int ratio = -1;  // None where a single split below L is allowed.
  double ratio_min = 0.0, ratio_max = 0.0;
};

struct StepAQcqp {
  opt::Qcqp qcqp;
  std::vector<UserVariables> users;
};

StepAQcqp MakeStepAQcqp(const ScrProblem& problem,
                        const TentativeTable& table,
                        const StepACosts& costs);

opt::BlockSdp MakeStepAHull(const ScrProblem& problem,
                            const TentativeTable& table,
                            const StepACosts& costs);

// The relaxed choice of one user. Probability-like: x >= 0 and sum x + all_local = 1.
struct RelaxedUser {
  std::vector<int> servers;
  Eigen::VectorXd x;
  Eigen::MatrixXd covariance;  // Of x: Z - x x' from the lifting, positive semidefinite.
  double all_local = 0.0;
  double ratio = 0.0;  // phi where the user offloads.
};

struct RelaxedAssociation {
  std::vector<RelaxedUser> users;
  double value = 0.0;        // score - y Cost of the relaxation, up to its solver's tolerance.
  double bound_upper = 0.0;  // A proven bound on it.
  Termination termination = Termination::kNumericalError;
};

RelaxedAssociation RelaxStepA(const ScrProblem& problem,
                              const TentativeTable& table,
                              double y,
                              Relaxation relaxation,
                              const Limits& limits);

}  // namespace dashf::solvers
