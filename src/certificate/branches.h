// The branches of a deadline box (plan/certificate.h): their form, and what they prove.
#pragma once

#include <string>

#include "base/error.h"
#include "certificate/box_bound.h"
#include "plan/certificate.h"
#include "scenario/scenario.h"

namespace dashf::certificate {

// kBadInput: a tree that ends early or late, is deeper than kBranchDepthMax or has more than
// kBranchNodesMax nodes; a server, user, phase or split that does not exist; a time outside the
// range that the answers so far leave; prices or weights that are not numbers >= 0 or too few; a
// question of deadlines with the sum of delays; or branches of a box that has user_worth too.
Expected<void> CheckBranches(const Scenario& scenario,
                             const DeadlineBox& box,
                             const std::string& where);

// Of the last bounds, the one that is farthest from its proof; the box is proven if its excess is
// at most 0. Every plan of the box answers each question one way, so it is in what one of the last
// bounds has to prove, unless it has a choice that was excluded on the way: one whose psi lies
// below its user's best by D or more, so that no plan with it is above scr_upper. The box has
// passed CheckBranches().
BoxBound BoundBranches(const Scenario& scenario,
                       const DeadlineBox& box,
                       double scr_upper,
                       const Effort& effort);

}  // namespace dashf::certificate
