// What a run prints when it is over.
#pragma once

#include <vector>

#include "round/round_record.h"
#include "solvers/comparison.h"

namespace dashf::cli {

// A line per round, of a run with several.
void PrintRounds(const std::vector<RoundRecord>& rounds);

// Tables on stdout: the round per user, phase times, methods, bound. `plan_scr` is 0 if the round
// ended before it was planned.
void PrintRun(const RoundRecord& record,
              const std::vector<solvers::ComparisonRow>& comparison,
              double plan_scr);

}  // namespace dashf::cli
