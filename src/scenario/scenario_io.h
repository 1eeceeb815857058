// dashf.scenario/1 as JSON (docs/formats.md). Reading is strict and ends with Validate().
#pragma once

#include <string>

#include "base/error.h"
#include "scenario/scenario.h"

namespace dashf {

struct LoadedScenario {
  Scenario scenario;
  std::string sha256;  // Of the file's bytes: a plan names the scenario it belongs to by this.
};

enum class PlanExistence {
  kRequired,   // A scenario without any plan is kInfeasible.
  kUnchecked,  // Reading ends with ValidateRules().
};

// kIo, kBadInput (file, JSON path, rule, value) or kInfeasible.
Expected<LoadedScenario> ReadScenario(const std::string& path,
                                      PlanExistence existence = PlanExistence::kRequired);
Expected<Scenario> ParseScenario(const std::string& name,
                                 std::string_view bytes,
                                 PlanExistence existence = PlanExistence::kRequired);
std::string WriteScenario(const Scenario& scenario);  // Round-trips exactly.

}  // namespace dashf
