// What a run prints when it is over.
#pragma once

#include <vector>

#include "round/round_record.h"
#include "scenario/scenario.h"
#include "solvers/comparison.h"

namespace dashf::cli {

// A line per round, of a run with several.
void PrintRounds(const std::vector<RoundRecord>& rounds);

// The plan of the latest round, and of how many users and servers.
struct CarriedOut {
  std::size_t users = 0, servers = 0;
  double scr = 0.0;
};

// Tables on stdout: the round per user, phase times, methods, which were compared on `scenario`,
// bound. `plan` is null if the round ended before it was planned.
void PrintRun(const RoundRecord& record,
              const Scenario& scenario,
              const std::vector<solvers::ComparisonRow>& comparison,
              const CarriedOut* plan);

// Whether that plan is of the scenario on which the methods were compared: a user that goes on from
// an adapter sends all of it up, and a server may be lost.
bool IsOf(const Scenario& scenario, const RoundRecord& record, const CarriedOut& plan);

}  // namespace dashf::cli
