// What a deadline box is given: prices and weights, those of a point in it or a mixture of two
// (docs/certificates.md). Internal to the module; numerical, not outward-rounded.
#pragma once

#include <Eigen/Core>
#include <array>
#include <vector>

#include "plan/certificate.h"
#include "solvers/deadline_search.h"

namespace dashf::solvers::internal {

// Of a box: (early, early), (late, early), (early, late), (late, late) in (user phase, server
// phase).
inline constexpr std::size_t kCorners = 4;

// Barriers where boxes meet.
struct DeadlineCorner {
  DeadlinePoint point;
  double value = 0.0;  // Of the dual at the y to be proven; -infinity: some user cannot keep them.
};

struct BoxPrices {
  ServerVector price;
  std::array<std::vector<double>, 2> weight_per_s;  // Of the user and of the server phase.
};

// A box's ends along one of its two phases.
struct PhaseRange {
  double *min_s, *max_s;
};
PhaseRange RangeOf(DeadlineBox* box, int phase);

void Give(const ScrProblem& problem, const BoxPrices& prices, DeadlineBox* box);

// A barrier that alone costs more than all users together could score with every resource their
// own, at any prices: GiveNothing() proves a box from there on.
double LastBarrierS(const ScrProblem& problem, double y);
void GiveNothing(const ScrProblem& problem, DeadlineBox* box);

// On a ridge between two corners the multipliers of one ask for later deadlines, those of the other
// for earlier ones. The dual is convex in prices and weights, so a mixture of both bounds the box
// by a mixture of their tangents: the one that is least at its worst corner.
// `corners` (at least one) are whose prices may be mixed.
BoxPrices Mixture(const ScrProblem& problem,
                  double y,
                  const std::vector<const DeadlineCorner*>& corners,
                  const std::array<Eigen::Vector2d, kCorners>& ends_s);

}  // namespace dashf::solvers::internal
