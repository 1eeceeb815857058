// What is done about a world that changes: planned afresh each round, from the plan that stands, or
// not again. Every plan is judged by the independent evaluator. Pure but for the processor's clock:
// safe from any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "replanning/world.h"

namespace dashf::replanning {

struct Policy {
  enum class Kind {
    kAfresh,    // Each round as if there had been none before.
    kStanding,  // From the plan of the round before (docs/planner.md).
    kNever,     // Association and splits of the first plan are kept; see PlanWithoutSearch().
  };
  Kind kind = Kind::kAfresh;
  double handover_penalty = 0.0;  // Of kStanding, >= 0: score units.
  std::string name;               // As it was given.
};
// "afresh", "standing", "penalty=0.01" or "never"; kUsage otherwise.
Expected<Policy> ParsePolicy(const std::string& text);

// What a user trains in a round that it is planned in.
struct Turn {
  std::string user;        // Its id.
  int local_layers = 0;    // k.
  double data_part = 1.0;  // The round's data over the user's mean, > 0.
  bool operator==(const Turn&) const = default;
};

// One round; the figures are the evaluator's.
struct RoundOutcome {
  int users = 0, servers = 0;  // That are there.
  int users_planned = 0;       // 0: nobody to plan for, or no server; then there are no figures.
  int handovers = 0;           // Users planned in the round before whose server is there, and left.
  double processor_s = 0.0;    // Planning: from the scenario in memory to the plan.
  double scr = 0.0, score = 0.0, cost = 0.0, delay_s = 0.0, energy_j = 0.0;
  int layers = 0;                // L, where anybody is planned.
  std::vector<Turn> turns = {};  // Of the users planned.
  std::optional<double> gap;     // To a proven bound on every plan's SCR, where it was asked for.
  bool operator==(const RoundOutcome&) const = default;
};

struct Planning {
  // As SolveOptions::gap_target. A tenth of it takes some rounds tens of times as long.
  double gap_target = 1e-3;
  bool gaps = false;  // Prove a bound for every plan.
};

// All rounds of the world under one policy, planned on this thread. The error names the round.
Expected<std::vector<RoundOutcome>> Follow(const World& world,
                                           int rounds,
                                           const Policy& policy,
                                           const Planning& planning);

}  // namespace dashf::replanning
