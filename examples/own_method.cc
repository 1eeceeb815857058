// A planning method of one's own in the same table as dashf's: own_method SCENARIO
#include <cstdio>

#include "solvers/comparison.h"
#include "scenario/scenario_io.h"
#include "solvers/resource_step.h"

using namespace dashf::solvers;

// The servers in turn, as few layers at home as allowed, and then the best resources.
static dashf::Expected<SolveResult> InTurn(const dashf::Scenario& scenario, const SolveOptions&) {
  const auto problem = MakeScrProblem(scenario);
  if (!problem) return tl::unexpected(problem.error());
  Association association;
  for (std::size_t n = 0; n < scenario.users.size(); ++n) {
    const auto& links = scenario.links[n];
    const auto split = static_cast<std::size_t>(problem->split_begin[n]);
    association.push_back({links[n % links.size()].server, problem->split_layers[split]});
  }
  if (!IsAdmissible(*problem, association)) {
    return dashf::Fail(dashf::ErrorKind::kInfeasible, "in-turn", "a server has too few slots");
  }
  const RatioResult best = MaximizeScrForAssociation(*problem, association);
  return SolveResult{best.plan, best.termination, {}};
}

int main(int argc, char** argv) {
  const auto loaded = dashf::ReadScenario(argc > 1 ? argv[1] : "scenario.json");
  if (!loaded) return std::fprintf(stderr, "%s\n", loaded.error().Text().c_str()), 1;
  const Method in_turn{"in-turn", "the servers in turn, best resources", InTurn};
  auto methods = SelectMethods({}).value();
  methods.push_back(&in_turn);
  PrintComparison(CompareMethods(loaded->scenario, methods, {}));
}
