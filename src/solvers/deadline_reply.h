// A user's reply to prices in makespan mode (docs/model.md (9), docs/certificates.md): psi of one
// (server, split) where each phase has a deadline and carries a part of its barrier. Internal to
// the module; pure, no allocation.
#pragma once

#include <limits>

#include "solvers/reply.h"

namespace dashf::solvers::internal {

// Of the plans whose longest phase lies in [min_s, max_s], the user whose phase lasts T is charged
// y weight max(min_s, T), and T may not exceed max_s.
struct PhaseCharge {
  double weight_per_s = 0.0;
  double min_s = 0.0;
  double max_s = std::numeric_limits<double>::infinity();
};

struct PhaseCharges {
  PhaseCharge user, server;
  // > 0: the least weight a phase is given, so that it ends (EffectiveDelayWeight / users or less).
  double weight_floor = 0.0;
  // The most that keeping a deadline can cost per second: where it would cost more it is missed, at
  // this price.
  double weight_max = 0.0;
};

struct DeadlineReply {
  Reply reply;                   // psi and cost with the charges; -infinity: misses a deadline.
  Eigen::Vector2d weight_per_s;  // The (user, server) phase's multipliers there.
  // How long the phases are charged for: -dpsi / d charge's weight / y. And what a charge's weight
  // changes of it and of the shares, where the phase is not held at an end.
  Eigen::Vector2d charged_s;
  Eigen::Matrix2d charged_by_weight;
  Eigen::Matrix<double, 3, 2> share_by_weight;
};

// Minimises over the multipliers omega of the phases
//   max over x of (score - y (w_e E + omega' T) - price' x) + y (omega - weight)' end,
// end = min_s where omega <= weight and max_s above: a convex function whose minimum is psi (where
// the download's energy leaves no duality gap) and which is never below it. By Newton's method on
// ln T over ln omega; each step is one SolveReply. `start` and `weight_start` as in SolveReply.
// With `thorough` the last reply is SolveReplyFromSeveralStarts.
DeadlineReply SolveDeadlineReply(const ScrProblem& problem,
                                 std::size_t user,
                                 std::size_t link,
                                 std::size_t split,
                                 double y,
                                 const Eigen::Vector3d& price,
                                 const PhaseCharges& charges,
                                 const Eigen::Vector3d& start,
                                 const Eigen::Vector2d& weight_start,
                                 bool thorough);

// The least (T^u, T^s) that the row can have: all of the server's resources, full power and clock.
Eigen::Vector2d LeastPhases(const ScrProblem& problem,
                            std::size_t user,
                            std::size_t link,
                            std::size_t split);

}  // namespace dashf::solvers::internal
