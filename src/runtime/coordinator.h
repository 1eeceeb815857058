// The coordinator process: registers nodes, makes the scenario from what they report, has it
// planned, hands out assignments and records what came of them. The round's logic is in
// coordinator_core.h; how to plan is the caller's to say.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "plan/plan.h"
#include "round/round_record.h"
#include "runtime/node_config.h"
#include "scenario/scenario.h"

namespace dashf::runtime {

struct PlannedRound {
  Plan plan;
  std::vector<PhaseSeconds> predicted_s;  // Per user, at the plan's clocks and rates.
};
// Runs in the coordinator's main thread. `scenario_sha256` is of scenario.json, already written.
using Planner =
    std::function<Expected<PlannedRound>(const Scenario&, const std::string& scenario_sha256)>;

// One line of progress at a time, from any thread, never two at once.
using ProgressLine = std::function<void(const std::string&)>;

// Carries one round out and writes scenario.json and round.json. Returns the record also of a
// failed round; an error only if there is nothing to record: bad configuration, no port, disk full.
// SIGINT and SIGTERM end the round in an orderly way.
Expected<RoundRecord> RunCoordinator(const NodeConfig& config,
                                     const Planner& planner,
                                     const ProgressLine& progress);

}  // namespace dashf::runtime
