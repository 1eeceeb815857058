// Planning that goes on from a standing plan (sum mode): what of it is taken over, and what a
// change of server costs the search. Internal to the module.
#pragma once

#include <optional>
#include <vector>

#include "problem/standing_plan.h"
#include "solvers/market_plan.h"
#include "solvers/priced_users.h"

namespace dashf::solvers::internal {

// The users' own servers: where the standing plan has them and they could stay.
struct Homes {
  std::vector<int> server;  // Per user; -1: none. Empty: nobody has one.
  std::vector<int> column;  // Per user: the standing choice, or -1 (also where it is left out).
  double penalty = 0.0;     // >= 0, score units: what the search pays for each user not at home.

  bool IsAway(std::size_t user, int at) const {
    return !server.empty() && server[user] >= 0 && server[user] != at;
  }
  double Toll(std::size_t user, int at) const { return IsAway(user, at) ? penalty : 0.0; }
};

Homes MakeHomes(const ScrProblem& problem,
                const Columns& columns,
                const StandingPlan& standing,
                double penalty);

// Adds `loyalty` to each user's columns at home, and once more to its standing column: of nearly
// equal columns these win.
void Favour(const Homes& homes,
            const ScrProblem& problem,
            const Columns& columns,
            float loyalty,
            std::vector<float>* worth);

// The association's plan in which whoever stays keeps its shares; the others start with an equal
// share, and a server's users give way in proportion.
Plan CarryOver(const ScrProblem& problem,
               const StandingPlan& standing,
               const Association& association);

// The standing prices for y; nothing if the plan has none. A new server's are the others' mean.
std::optional<DualPoint> StandingPrices(const ScrProblem& problem,
                                        const StandingPlan& standing,
                                        double y);

// From at.y to about where the dual at these prices is 0, when everyone who has a home replies from
// there alone: a sixteenth of the replies, and at prices that were right nearly all of the dual.
double RatioAtPrices(const ScrProblem& problem,
                     const Columns& columns,
                     const Homes& homes,
                     const DualPoint& at);

}  // namespace dashf::solvers::internal
