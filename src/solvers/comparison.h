// Planning one scenario by several methods: the rows of `dashf compare` and of a run's
// comparison.json.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "problem/evaluation.h"
#include "scenario/scenario.h"
#include "solvers/method.h"

namespace dashf::solvers {

struct ComparisonRow {
  std::string method;
  std::optional<Evaluation> evaluation;  // None where the method gave no plan.
  std::string note;                      // How it ended, or why there is no plan.
  double elapsed_s = 0.0;
};

struct ComparisonOptions {
  std::uint64_t seed = 1;
  double time_limit_s = std::numeric_limits<double>::infinity();  // For each method.
  int jobs = 1;  // >= 1, methods planned at once; the plans do not depend on it.
  std::function<void(const std::string& method)> on_start;  // May be empty; from any thread.
};

// All methods where `names` is empty. kUsage for a name that no method has.
Expected<std::vector<const Method*>> SelectMethods(const std::vector<std::string>& names);

std::vector<ComparisonRow> CompareMethods(const Scenario& scenario,
                                          const std::vector<const Method*>& methods,
                                          const ComparisonOptions& options);

double BestScr(const std::vector<ComparisonRow>& rows);        // 0 where no method gave a plan.
void PrintComparison(const std::vector<ComparisonRow>& rows);  // A table on stdout.
std::string ComparisonJson(const Scenario& scenario, const std::vector<ComparisonRow>& rows);

}  // namespace dashf::solvers
