// A user's reply to prices (docs/model.md (9)): psi of one (server, split), by Newton's method in
// the shares (beta, theta, sigma) of the server's bandwidth, power and clock. This is the kernel of
// the price method: well under a microsecond from a warm start, no allocation. Internal to the
// module; pure.
#pragma once

#include <Eigen/Core>

#include "solvers/resource_terms.h"

namespace dashf::solvers::internal {

struct Reply {
  double psi = 0.0;       // max of score - y (delay and energy, as priced in the terms) - price' x.
  Eigen::Vector3d share;  // x, in [0, 1]; 0 where the row does not need the resource.
  Eigen::Matrix3d
      yields;         // -dx / dprice: positive semidefinite; 0 where x is unused or at a limit.
  double cost = 0.0;  // -dpsi / dln y: y times the cost.
};

// From `start` (used entries in (0, 1]; far off costs steps, no accuracy) to the nearest stationary
// point; accurate to about 1e-10 of score_scale. `terms` are sum mode's (barriers = false).
Reply SolveReply(const UserTerms& terms,
                 const Eigen::Vector3d& price,
                 const Eigen::Vector3d& start);

// The best of several starts along the download power, the one direction in which the problem is
// not concave.
Reply SolveReplyFromSeveralStarts(const UserTerms& terms,
                                  const Eigen::Vector3d& price,
                                  const Eigen::Vector3d& start);

// No less than the psi of any reply where the download takes no energy, and so the problem is
// concave: from the slope at `share` (used entries > 0, the others 0), tight where a reply ended.
double CeilingFrom(const UserTerms& terms,
                   const Eigen::Vector3d& price,
                   const Eigen::Vector3d& share);

// score - y (delay and energy) at given shares; -infinity where a phase never ends.
double ValueAtShares(const UserTerms& terms, const Eigen::Vector3d& share);

// Its slope in each used share (> 0), 0 for the others.
Eigen::Vector3d MarginalValue(const UserTerms& terms, const Eigen::Vector3d& share);

}  // namespace dashf::solvers::internal
