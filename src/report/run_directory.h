// What a run left behind, read from its folder alone: scenario.json and plan.json, and where they
// exist comparison.json (`dashf compare --json`) and round.json (`dashf run`); docs/formats.md.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "problem/evaluation.h"
#include "problem/plan_io.h"
#include "round/round_record.h"
#include "scenario/scenario_io.h"

namespace dashf::report {

// One method's plan; no numbers where it gave none, and then a note that says why.
struct MethodResult {
  std::string method;
  std::optional<double> scr, score, cost, delay_s, energy_j, elapsed_s;
  std::string note;
};

struct RoundUser : UserRecord {
  Quality all_server, centralised;  // The same held-out data under other ways of training.
};

struct Round {
  std::uint32_t number = 1;
  std::string model;
  std::uint64_t seed = 0;
  std::optional<EmulationRecord> emulation;
  bool by_the_clock = false;          // RoundRecord::ByTheClock().
  std::vector<RoundUser> users;       // In the scenario's order.
  std::vector<UserRecord> unplanned;  // Others: left out of the round's first plan.
  std::vector<ServerRecord> servers;
  std::optional<double> exhaustive_scr;
  std::optional<double> gap;  // (exhaustive - plan) / exhaustive.
};

struct RunDirectory {
  LoadedScenario loaded;
  PlanDocument plan;
  Evaluation evaluation;  // Of the plan, recomputed.
  std::vector<MethodResult> comparison;
  std::optional<Round> round;
  std::vector<std::string> files;  // Paths relative to the folder, sorted; at most 200.
};

// kIo, or kBadInput with file, JSON path, rule and value.
Expected<RunDirectory> ReadRunDirectory(const std::filesystem::path& folder);

}  // namespace dashf::report
