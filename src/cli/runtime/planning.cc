#include "cli/runtime/planning.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/file.h"
#include "problem/evaluation.h"
#include "problem/plan_io.h"
#include "solvers/method.h"

namespace dashf::cli {
namespace {

using runtime::CoordinatorKit;
using runtime::PlannedRound;

Expected<PlannedRound> PlanIt(const CoordinatorKit& kit,
                              const Scenario& scenario,
                              const std::string& scenario_sha256) {
  const solvers::Method* method = solvers::FindMethod(kit.method);
  if (method == nullptr) {
    return Fail(ErrorKind::kUsage, "method", fmt::format("there is none named '{}'", kit.method));
  }
  solvers::SolveOptions options;
  options.seed = kit.seed;
  const auto solved = method->solve(scenario, options);
  if (!solved) return tl::unexpected(solved.error());
  const Evaluation evaluation = Evaluate(scenario, solved->plan);
  if (!evaluation.feasible) {
    const Violation& first = evaluation.violations.front();
    return Fail(ErrorKind::kNumerical, first.where, "the plan breaks a limit: " + first.rule);
  }
  const PlanDocument document{.scenario_sha256 = scenario_sha256,
                              .method = kit.method,
                              .version = DASHF_VERSION,
                              .seed = kit.seed,
                              .termination = solved->termination,
                              .plan = solved->plan,
                              .history = solved->history};
  const auto written = WriteFileAtomically(std::filesystem::path(kit.out_folder) / "plan.json",
                                           WritePlan(scenario, document));
  if (!written) return tl::unexpected(written.error());
  PlannedRound planned{.plan = solved->plan, .predicted_s = {}};
  for (const UserEvaluation& user : evaluation.users) {
    planned.predicted_s.push_back({.local = user.delay_s.local,
                                   .upload = user.delay_s.upload,
                                   .server = user.delay_s.server,
                                   .download = user.delay_s.download});
  }
  return planned;
}

}  // namespace

runtime::Planner PlannerFor(const CoordinatorKit& kit) {
  return [kit](const Scenario& scenario, const std::string& scenario_sha256) {
    return PlanIt(kit, scenario, scenario_sha256);
  };
}

}  // namespace dashf::cli
