// Why a plan is as it is: what more of each shared resource would bring, and what each user's next
// best choice would cost. A change of SCR is relative: one Dinkelbach step from y = SCR of the
// plan, whose resources maximise score - y cost over the users concerned - in sum mode those of the
// servers concerned, in makespan mode everybody. More such steps could only raise it, by second
// order. Step B gives a stationary point; what the plan itself brings is the evaluator's to say.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "plan/plan.h"
#include "scenario/scenario.h"
#include "solvers/scr_problem.h"

namespace dashf::solvers {

enum class SharedResource { kBandwidth, kPower, kClock };

// One server's capacity. The score counts shares of the capacity, so more of it pays in delay and
// energy.
struct CapacityValue {
  int server = 0;
  SharedResource resource = SharedResource::kBandwidth;
  double used_share = 0.0;              // Of the capacity, by the plan.
  double scr_change_per_percent = 0.0;  // If the capacity were 1 % larger.
};

struct Alternative {
  Choice choice;
  double scr_change = 0.0;  // Relative; negative: the plan's own choice is better.
};

struct UserReason {
  int user = 0;
  Choice choice;
  std::optional<Alternative> other_split;   // The best other split at the same server.
  std::optional<Alternative> other_server;  // The best split at the best other server with a slot.
};

struct Explanation {
  double unused_scr = 0.0;  // What better resources alone would add to the plan's SCR, relative.
  std::vector<CapacityValue> capacities;  // Per server that has users: bandwidth, power, clock.
  std::vector<UserReason> users;          // As asked for.
};

// `plan` must be feasible by Evaluate() with SCR > 0, else kInfeasible. Time: about
// 3 x servers + users asked for x servers in reach x L resource steps.
Expected<Explanation> Explain(const Scenario& scenario,
                              const Plan& plan,
                              std::span<const int> users);

}  // namespace dashf::solvers
