#include "cli/planner/sweep_solve.h"

#include "base/check.h"
#include "solvers/comparison.h"

namespace dashf::cli {

std::vector<sweep::Outcome> SolveForSweep(const sweep::Task& task) {
  const auto methods = solvers::SelectMethods(task.methods);
  DASHF_CHECK(methods);  // The command line has looked.
  std::vector<sweep::Outcome> outcomes;
  for (const solvers::ComparisonRow& row : solvers::CompareMethods(
           task.scenario,
           *methods,
           {.seed = task.seed, .time_limit_s = task.time_limit_s, .on_start = {}})) {
    sweep::Outcome outcome{row.method, row.evaluation.has_value(), row.note, row.elapsed_s};
    if (row.evaluation) {
      outcome.scr = row.evaluation->scr;
      outcome.score = row.evaluation->score;
      outcome.cost = row.evaluation->cost;
      outcome.delay_s = row.evaluation->delay_s;
      outcome.energy_j = row.evaluation->energy_j;
    }
    outcomes.push_back(std::move(outcome));
  }
  return outcomes;
}

}  // namespace dashf::cli
