// Cheap stand-ins for step B, by which step A compares associations and splits: shares from closed
// forms instead of an optimisation, and the share each pair would get if the user joined.
#pragma once

#include <array>
#include <vector>

#include "solvers/scr_problem.h"

namespace dashf::solvers {

// A feasible plan in O(users): bandwidth and transmit power in equal shares, each server's clock in
// proportion to sqrt(W_s) in sum mode (it minimises sum W_s / s) and to W_s in makespan mode (all
// of a server's users end together), all slowed by the common factor of a short list that serves
// score - y Cost best. Powers and clocks of users are EqualShares()'s; in makespan mode a user's
// clock is lowered to just fill the best barrier T_u.
Plan QuickShares(const ScrProblem& problem, double y, const Association& association);

// What a pair of user and server not in use is taken to hold.
enum class TentativeShares {
  kIfJoined,  // What the user would get if it joined the server's present users.
  kMean,      // M / N of each resource, whatever the server's load; pairs in use keep theirs.
};

// What each reachable server and allowed split would bring a user at tentative resources.
struct TentativeChoice {
  int server = 0;
  int local_layers = 0;
  UserTotals totals;
};

struct TentativeTable {
  // Per user, by ascending server and split.
  std::vector<std::vector<TentativeChoice>> choices;
  // Shares b / B_m, q / P_m, s / F_m of each link that an offloading user would be granted ...
  std::vector<std::array<double, 3>> share_of_link;
  // ... and what the servers may grant of each: 1, or what the plan's own users hold together.
  std::vector<std::array<double, 3>> share_max;
};

// kIfJoined: everyone is valued as if their server had one user more than now: who is there keeps n
// / (n + 1) of the present share, who would join gets 1 / (n + 1). So one user per server fits in
// without another leaving, exchanges always fit, and staying and joining are compared on equal
// terms. Left out are choices that no plan of ratio y or more can contain: those whose own cost
// times y exceeds the largest conceivable score of all users. Each user keeps the cheapest choice.
TentativeTable MakeTentativeTable(const ScrProblem& problem,
                                  double y,
                                  const Plan& plan,
                                  TentativeShares shares = TentativeShares::kIfJoined);

// The user's clock for a split: the cheapest in sum mode; in makespan mode the one that just fills
// `user_phase_s` after the upload, or full clock where none does. d must have its other resources.
double LocalClockHz(const ScrProblem& problem, int user, const Decision& d, double user_phase_s);

// `decision` with k changed to `local_layers`, and resources that k needs and the decision lacks
// replaced by `fallback`, shares of the server's capacities.
Decision WithSplit(const ScrProblem& problem,
                   int user,
                   Decision decision,
                   int local_layers,
                   double fallback,
                   double user_phase_s);

// max over users of the user phase; 0 where it plays no part (sum mode).
double UserBarrierS(const ScrProblem& problem, const Plan& plan);

}  // namespace dashf::solvers
