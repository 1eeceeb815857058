// dashf.plan/1 as JSON (docs/formats.md). Every number that a plan file states about itself comes
// from Evaluate(); reading takes the decisions alone and evaluates them again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/termination.h"
#include "plan/certificate.h"
#include "plan/plan.h"
#include "problem/evaluation.h"
#include "scenario/scenario.h"
#include "scenario/scenario_io.h"

namespace dashf {

struct PlanDocument {
  std::string scenario_sha256;  // Of the scenario file's bytes (LoadedScenario::sha256).
  std::string method;           // "dashf", "greedy", ...
  std::string version;          // Of the program that made the plan.
  std::uint64_t seed = 1;       // At most 2^63 - 1.
  Termination termination = Termination::kNumericalError;
  Plan plan;
  std::optional<Certificate> certificate = {};  // None: the file states no proof of a bound.
  std::optional<double> scr_upper = {};         // > 0; a numerical bound, where there is no proof.
  std::vector<ServerPrices> prices = {};  // Per server, where a later search may start; or none.
  std::vector<IterationRecord> history;
};

// What is known about a plan, each on its own (docs/formats.md); `termination` is the document's.
struct PlanStatus {
  PrimalStatus primal = PrimalStatus::kInfeasiblePoint;
  BoundStatus bound = BoundStatus::kNone;
  // (scr_upper - scr) / scr_upper. A numerical bound that a feasible plan is above bounds nothing,
  // and is none here.
  std::optional<double> scr_upper, gap;
};
PlanStatus StatusOf(const PlanDocument& document, const Evaluation& evaluation);

// The file's text. `document.plan` has one decision per user and its servers exist; the bound's gap
// is (scr_upper - scr) / scr_upper.
std::string WritePlan(const Scenario& scenario, const PlanDocument& document);

// Strict: every user exactly once, known servers, the scenario's own SHA-256. Decisions may break
// limits (Evaluate() says which); stated results are checked for their type only, and a
// certificate's claim is not proven here.
Expected<PlanDocument> ReadPlan(const std::string& path, const LoadedScenario& loaded);
Expected<PlanDocument> ParsePlan(const std::string& name,
                                 std::string_view bytes,
                                 const LoadedScenario& loaded);

// A plan with the ids that its file uses, whatever scenario it was made for. document.plan and
// .prices are in the order of these ids; the certificate, which speaks of its own scenario alone,
// is left out.
struct NamedPlan {
  std::vector<std::string> users;
  std::vector<std::string> servers;
  PlanDocument document;
};
Expected<NamedPlan> ReadNamedPlan(const std::string& path);
Expected<NamedPlan> ParseNamedPlan(const std::string& name, std::string_view bytes);

}  // namespace dashf
