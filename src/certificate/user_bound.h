// A proven upper bound on the best that one user can bring: max over its allowed (m, k) of psi_nmk
// (docs/model.md (9)).
#pragma once

#include <vector>

#include "certificate/effort.h"
#include "certificate/rounding.h"
#include "plan/certificate.h"
#include "scenario/scenario.h"

namespace dashf::certificate {

// Plans may exceed each limit by 1e-9 of it (docs/model.md (3)); what is proven holds for them
// too, with room for the rounding of a long sum.
inline constexpr double kLimitSlack = 1.1e-9;

struct UserBound {
  double psi_upper = -kInfinity;  // Score units; -infinity: no split of this user fits the box.
  double cost = 0.0;              // About -d psi / d y, for whoever looks for a better y.
};

// The splits that a user may still choose: per link in the scenario's order, per k = 0..L.
using SplitsOfUser = std::vector<std::vector<bool>>;
using SplitsLeft = std::vector<SplitsOfUser>;  // Per user.

// `tolerance` (score units): how far above the best point found the bound may end. The prices are
// the box's. `left`: null for all splits. Rows whose turn does not come before the effort's time is
// up keep what is known of them, which may be infinity.
UserBound BoundUser(const Scenario& scenario,
                    const DeadlineBox& box,
                    double scr_upper,
                    std::size_t user,
                    double tolerance,
                    const Effort& effort,
                    const SplitsOfUser* left = nullptr);

// The same on one server at prices of its own, whose slot may be negative, over the splits that
// `allowed` has (one entry per k = 0..L; null: all); scenario.SplitAllowed() and the box's
// deadlines hold as well. Below `enough` the bound need not be tight: it stops there.
UserBound BoundUserOnServer(const Scenario& scenario,
                            const DeadlineBox& box,
                            double scr_upper,
                            std::size_t user,
                            const Link& link,
                            const ServerPrices& prices,
                            const std::vector<bool>* allowed,
                            double enough,
                            double tolerance,
                            const Effort& effort);

}  // namespace dashf::certificate
