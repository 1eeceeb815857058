// One scenario of `dashf bench planner --families`: what the default method and every baseline make
// of it, each side in a process of its own, so that a crash is a result and memory is measured for
// the default alone.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "scenario/scenario.h"
#include "solvers/method.h"

namespace dashf::cli {

// Seconds of processor time over all threads; SCRs by the evaluator.
struct FamilyMeasurement {
  struct Baseline {
    std::string method;
    double scr = 0.0;  // 0 where it has no plan.
    double processor_s = 0.0;
    std::string note;  // Why there is no plan, where there is none.
  };
  std::string error;  // Why the default has no plan; all else of it is 0 then.
  double scr = 0.0;
  double numerical_bound = 0.0, proven_bound = 0.0;  // 0: there is none.
  double solve_s = 0.0, prove_s = 0.0, peak_mib = 0.0;
  std::vector<Baseline> baselines;

  // The default's and the baselines' best.
  double BestScr() const;
  // What must not be, a sentence each: no plan of the default where a baseline has one, or one
  // below a baseline's by more than `gap_target`; a bound below a plan.
  std::vector<std::string> Broken(double gap_target) const;

  nlohmann::ordered_json Json() const;
  // kBadInput names `place`.
  static Expected<FamilyMeasurement> Parse(const std::string& place, const nlohmann::json& json);
};

struct FamilyEffort {
  solvers::SolveOptions options;       // The default's.
  double baseline_limit_s = 10.0;      // For each baseline's plan.
  std::vector<std::string> baselines;  // Methods by name.
};

// To be called while no other thread runs.
FamilyMeasurement MeasureFamily(const Scenario& scenario, const FamilyEffort& effort);

}  // namespace dashf::cli
