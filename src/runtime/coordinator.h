// The coordinator process: a fleet's state and log (fleet/), reached over gRPC. It gathers the
// nodes, has rounds planned, says what each node is to do and records what came of it. How to plan
// is the caller's to say.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "fleet/event.h"
#include "round/round_record.h"
#include "runtime/fleet_watch.h"
#include "runtime/node_config.h"
#include "runtime/telemetry.h"
#include "scenario/scenario.h"

namespace dashf::runtime {

struct PlanRequest {
  Scenario scenario;             // Of those who take part.
  std::string scenario_sha256;   // Of scenario.json, which is written.
  std::filesystem::path folder;  // For plan.json.
  // Per user of the scenario: what it is doing, if it keeps that (its server's place and k count).
  // In the scenario it has no link but that to its server.
  std::vector<std::optional<Decision>> kept;
  // The file of the fleet's latest plan, from which this one is to depart as little as it may;
  // empty: there is none.
  std::filesystem::path standing;
};
struct PlannedRound {
  Plan plan;
  std::string standing_refused;           // Why the standing plan's file could not be used.
  double scr = 0.0;                       // Of the plan,
  std::optional<double> scr_upper;        // and what no plan's is above, if that is known.
  std::vector<PhaseSeconds> predicted_s;  // Per user, at the plan's clocks and rates.
  double elapsed_s = 0.0, cpu_s = 0.0;    // Of planning; the coordinator fills them in.
};
// Called on a thread of its own, never twice at once.
using Planner = std::function<Expected<PlannedRound>(const PlanRequest&)>;

struct FleetEnd {
  RoundRecord record;         // Of the last round.
  std::uint32_t rounds = 0;   // How many have ended.
  bool wanted = false;        // An operator has ended the fleet.
  std::optional<int> signal;  // It was stopped by this one; its log, if it has one, goes on later.
};

// Carries rounds out until the policy says that the fleet is over, or a signal comes. Writes, for
// each round, scenario.json, plan.json and round.json below rounds/0001 and so on of its folder,
// and those of the latest beside them. An error if there is nothing to record: bad configuration,
// no port, disk full.
Expected<FleetEnd> RunCoordinator(const NodeConfig& config,
                                  const Planner& planner,
                                  const Log& log,
                                  const FleetWatch* watch = nullptr);

}  // namespace dashf::runtime
