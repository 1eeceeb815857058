// plan SCENARIO: a method of one's own beside dashf's, on the installed library.
#include <dashf/problem/evaluation.h>
#include <dashf/scenario/scenario_io.h>
#include <dashf/solvers/comparison.h>
#include <dashf/solvers/resource_step.h>

#include <cstdio>

namespace {

using namespace dashf::solvers;

// Everyone at its first server, with the fewest layers that are allowed, and the best resources.
dashf::Expected<SolveResult> FirstServer(const dashf::Scenario& scenario, const SolveOptions&) {
  const auto problem = MakeScrProblem(scenario);
  if (!problem) return tl::unexpected(problem.error());
  Association association;
  for (std::size_t n = 0; n < scenario.users.size(); ++n) {
    association.push_back(
        {scenario.links[n].front().server,
         problem->split_layers[static_cast<std::size_t>(problem->split_begin[n])]});
  }
  if (!IsAdmissible(*problem, association)) {
    return dashf::Fail(dashf::ErrorKind::kInfeasible, "first-server", "too few slots");
  }
  const RatioResult best = MaximizeScrForAssociation(*problem, association);
  return SolveResult{best.plan, best.termination, {}};
}

}  // namespace

int main(int argc, char** argv) {
  const auto loaded = dashf::ReadScenario(argc > 1 ? argv[1] : "");
  if (!loaded) {
    std::fprintf(stderr, "%s\n", loaded.error().Text().c_str());
    return 3;
  }
  const Method own{"first-server", "the first server, best resources", FirstServer};
  const std::vector<ComparisonRow> rows =
      CompareMethods(loaded->scenario, {FindMethod("prices"), FindMethod("dashf"), &own}, {});
  for (const ComparisonRow& row : rows) {
    std::printf("%s %.9g\n", row.method.c_str(), row.evaluation ? row.evaluation->scr : 0.0);
  }
}
