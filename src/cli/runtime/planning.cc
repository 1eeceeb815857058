#include "cli/runtime/planning.h"

#include <fmt/format.h>

#include "base/file.h"
#include "problem/evaluation.h"
#include "problem/plan_io.h"
#include "solvers/method.h"
#include "solvers/resource_step.h"

namespace dashf::cli {
namespace {

using runtime::CoordinatorKit;
using runtime::PlannedRound;
using runtime::PlanRequest;

// Users that are at work keep server and split; everybody's shares are what is best then.
Expected<Plan> Keeping(const PlanRequest& request, const Plan& plan) {
  const auto problem = solvers::MakeScrProblem(request.scenario);
  if (!problem) return tl::unexpected(problem.error());
  solvers::Association association;
  bool moved = false;
  for (std::size_t n = 0; n < plan.size(); ++n) {
    const auto& kept = request.kept[n];
    const Decision& decision = kept ? *kept : plan[n];
    moved =
        moved || decision.server != plan[n].server || decision.local_layers != plan[n].local_layers;
    association.push_back({decision.server, decision.local_layers});
  }
  if (!moved) return plan;
  if (!solvers::IsAdmissible(*problem, association)) {
    return Fail(ErrorKind::kInfeasible, "plan", "no place is left beside those who are at work");
  }
  return solvers::MaximizeScrForAssociation(*problem, association).plan;
}

// The fleet's latest plan, if there is one and the method can go on from it.
std::optional<StandingPlan> Standing(const solvers::Method& method,
                                     const PlanRequest& request,
                                     std::string* refused) {
  if (request.standing.empty() || !solvers::StartsFromPlan(method, request.scenario))
    return std::nullopt;
  auto standing = ReadStandingPlan(request.standing.string(), request.scenario);
  if (standing) return std::move(*standing);
  *refused = standing.error().Text();
  return std::nullopt;
}

Expected<PlannedRound> PlanIt(const CoordinatorKit& kit,
                              const solvers::Method& method,
                              const PlanRequest& request) {
  const Scenario& scenario = request.scenario;
  if (auto sound = Validate(scenario); !sound) return tl::unexpected(sound.error());
  PlannedRound planned;
  const auto standing = Standing(method, request, &planned.standing_refused);
  solvers::SolveOptions options;
  options.seed = kit.seed;
  options.from = standing ? &*standing : nullptr;
  options.handover_penalty = kit.handover_penalty;
  const auto solved = method.solve(scenario, options);
  if (!solved) return tl::unexpected(solved.error());
  const auto plan = Keeping(request, solved->plan);
  if (!plan) return tl::unexpected(plan.error());
  const Evaluation evaluation = Evaluate(scenario, *plan);
  if (!evaluation.feasible) {
    const Violation& first = evaluation.violations.front();
    return Fail(ErrorKind::kNumerical, first.where, "the plan breaks a limit: " + first.rule);
  }
  PlanDocument document{.scenario_sha256 = request.scenario_sha256,
                        .method = kit.method,
                        .version = DASHF_VERSION,
                        .seed = kit.seed,
                        .termination = solved->termination,
                        .plan = *plan,
                        .prices = solvers::PricesOf(scenario, *solved),
                        .history = solved->history};
  if (solved->certificate) document.scr_upper = solved->certificate->scr_upper;
  const auto written =
      WriteFileAtomically(request.folder / "plan.json", WritePlan(scenario, document));
  if (!written) return tl::unexpected(written.error());
  planned.plan = *plan;
  planned.scr = evaluation.scr;
  planned.scr_upper = StatusOf(document, evaluation).scr_upper;
  for (const UserEvaluation& user : evaluation.users) {
    planned.predicted_s.push_back({.local = user.delay_s.local,
                                   .upload = user.delay_s.upload,
                                   .server = user.delay_s.server,
                                   .download = user.delay_s.download});
  }
  return planned;
}

}  // namespace

Expected<runtime::Planner> PlannerFor(const std::string& where, const CoordinatorKit& kit) {
  const solvers::Method* method = solvers::FindMethod(kit.method);
  if (method == nullptr) {
    return Fail(ErrorKind::kBadInput,
                where + ": coordinator_kit.method",
                fmt::format("must be a planning method, got '{}'", kit.method));
  }
  if (kit.handover_penalty > 0.0 && !method->starts_from_plan) {
    return Fail(ErrorKind::kBadInput,
                where + ": coordinator_kit.handover_penalty",
                fmt::format("must be 0 with method '{}', which starts every plan afresh; "
                            "'prices' goes on from the standing one",
                            kit.method));
  }
  return [kit, method](const PlanRequest& request) { return PlanIt(kit, *method, request); };
}

}  // namespace dashf::cli
