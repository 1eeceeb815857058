// Carrying a parameter study out, on this process's threads or shared out over ranks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ranks.h"
#include "scenario/scenario.h"
#include "sweep/design.h"
#include "sweep/results.h"

namespace dashf::sweep {

// What the methods make of a scenario. From any thread.
struct Task {
  Scenario scenario;
  std::uint64_t seed = 0;  // For methods that draw at random.
  std::vector<std::string> methods;
  double time_limit_s = 0.0;
};
using Solve = std::function<std::vector<Outcome>(const Task&)>;

struct WorkOptions {
  int jobs = 1;            // >= 1, scenarios planned at once; without ranks.
  Ranks* ranks = nullptr;  // This is rank 0; the others are in WorkForRankZero().
  // After every scenario, from any thread but never two at once; may be empty.
  std::function<void(std::size_t done, std::size_t of, const Job& job)> on_done = {};
};

// Plans the scenarios that there are no results of yet. A scenario that cannot be made is every
// method's failure. The error is the first of writing results. Every result is on the disk before
// on_done hears of it.
Expected<void> WorkOff(const Design& design,
                       const Solve& solve,
                       const WorkOptions& options,
                       Results* results);

// What the ranks other than 0 do meanwhile: one scenario at a time, until rank 0 has no more.
void WorkForRankZero(const Solve& solve, Ranks* ranks);

}  // namespace dashf::sweep
