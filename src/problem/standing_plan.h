// A plan that stands while the world moves on: what of it holds in another scenario, users and
// servers matched by their ids. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "plan/certificate.h"
#include "plan/plan.h"
#include "problem/plan_io.h"
#include "scenario/scenario.h"

namespace dashf {

struct StandingPlan {
  // Per user of the scenario: none for a new user, or where its server has gone.
  std::vector<std::optional<Decision>> decisions;
  // Per server of the scenario: none for a new server, or where the plan has no prices.
  std::vector<std::optional<ServerPrices>> prices;
  int users_kept = 0, users_new = 0, users_gone = 0;
  int users_displaced = 0;  // Of those kept: their server has gone.
  int servers_kept = 0, servers_new = 0, servers_gone = 0;
};

// kBadInput if plan and scenario have no user in common.
Expected<StandingPlan> MatchPlan(const NamedPlan& plan, const Scenario& scenario);
Expected<StandingPlan> ReadStandingPlan(const std::string& path, const Scenario& scenario);

// Users who change server although theirs is still there.
int Handovers(const StandingPlan& standing, const Plan& plan);

}  // namespace dashf
