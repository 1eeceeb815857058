// What a study over rounds says: per policy, means over the seeds with confidence intervals.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/confidence_interval.h"
#include "replanning/results.h"

namespace dashf::replanning {

inline constexpr double kConfidence = 0.95;
inline constexpr int kBlocksMax = 10;

// Every value is a seed's mean over its rounds: of those with a plan, where a figure needs one.
// Without a seed that was carried out only `failed` means anything.
struct PolicySummary {
  std::string policy;
  int failed = 0;  // Seeds.
  ConfidenceInterval scr, score, delay_s, energy_j;
  ConfidenceInterval users_planned;
  ConfidenceInterval handovers;    // Per round but the first, which can have none.
  ConfidenceInterval processor_s;  // Planning, per round.
  ConfidenceInterval gap;          // No values unless it was asked for.
  // 1 - SCR / the first policy's SCR in the same round of the same world: over all rounds, and over
  // each of at most kBlocksMax blocks of rounds, as equal as can be.
  ConfidenceInterval scr_lost;
  std::vector<ConfidenceInterval> scr_lost_by_block;
};

// "1-5", "6-10" and so on.
std::vector<std::string> BlockNames(int rounds);
// The last round of each: 5, 10 and so on.
std::vector<int> BlockEnds(int rounds);

// In the design's order; of the seeds that there are results of.
std::vector<PolicySummary> Summarise(const Design& design, const Results& results);

// One line per policy; a figure that is not there is an empty cell, or null.
std::string SummaryCsv(const std::vector<PolicySummary>& rows);
nlohmann::ordered_json SummaryJson(const std::vector<PolicySummary>& rows);

}  // namespace dashf::replanning
