// A plan without a search: who is served goes on being served as before.
#pragma once

#include "base/error.h"
#include "plan/plan.h"
#include "problem/standing_plan.h"
#include "scenario/scenario.h"

namespace dashf::replanning {

struct KeptPlan {
  Scenario scenario;  // Of the users who are served.
  Plan plan;
};

// Users keep the server and the split that they have in `standing`. The others, in the scenario's
// order, take the server and the split that cost them least at an equal share of what the server
// has, y cost - score with y the SCR of those who are served already; whom no server takes waits.
// The shares are then the best for that association (step B): whoever comes or goes, those of the
// plan before would break limits or leave resources idle. At least one user must have a server.
Expected<KeptPlan> PlanWithoutSearch(const Scenario& scenario, const StandingPlan& standing);

}  // namespace dashf::replanning
