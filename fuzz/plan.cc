// A scenario, a line of '=', and a dashf.plan/1 file for it (whose scenario_sha256 is 64 zeros):
// what is accepted is evaluated, verified, written and read again. A bound that was proven does not
// lie below a feasible plan.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "certificate/verification.h"
#include "problem/evaluation.h"
#include "problem/plan_io.h"
#include "scenario/scenario_io.h"

namespace {

constexpr std::string_view kBetween = "\n=\n";

void Examine(const dashf::Scenario& scenario, const dashf::PlanDocument& document) {
  const dashf::Evaluation evaluation = dashf::Evaluate(scenario, document.plan);
  DASHF_CHECK(evaluation.feasible == evaluation.violations.empty());
  if (!document.certificate) return;
  const auto verdict = dashf::certificate::SafeUpperBound(scenario, *document.certificate, 1);
  if (!verdict || !verdict->proven || !evaluation.feasible) return;
  DASHF_CHECK(evaluation.scr <= document.certificate->scr_upper * (1.0 + 1e-12));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t at = text.find(kBetween);
  if (at == std::string_view::npos) return 0;
  const auto scenario = dashf::ParseScenario("f", text.substr(0, at));
  if (!scenario) return 0;
  const dashf::LoadedScenario loaded{*scenario, std::string(64, '0')};
  const auto document = dashf::ParsePlan("f", text.substr(at + kBetween.size()), loaded);
  if (!document) return 0;
  Examine(*scenario, *document);
  const std::string written = dashf::WritePlan(*scenario, *document);
  const auto again = dashf::ParsePlan("f", written, loaded);
  DASHF_CHECK(again);
  DASHF_CHECK(dashf::WritePlan(*scenario, *again) == written);
  return 0;
}
