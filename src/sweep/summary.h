// What a parameter study says: per point and method, means over the seeds with confidence
// intervals.
#pragma once

#include <string>
#include <vector>

#include "base/confidence_interval.h"
#include "sweep/design.h"
#include "sweep/results.h"

namespace dashf::sweep {

inline constexpr double kConfidence = 0.95;

// Means over the seeds that the method has a plan for; without one only `failed` means anything.
struct SummaryRow {
  std::vector<double> point;
  std::string method;
  int failed = 0;  // Seeds without a plan.
  ConfidenceInterval scr;
  ConfidenceInterval share_of_best;  // Of the best method's SCR on the same scenario.
  double delay_s = 0.0, energy_j = 0.0, elapsed_s = 0.0;
};

// In the design's order; of the scenarios that there are results of.
std::vector<SummaryRow> Summarise(const Design& design, const Results& results);

// Of a list of objects with the same keys: a head and one line per object; null is an empty cell.
std::string CsvOf(const nlohmann::ordered_json& rows);

// One line per row; a figure that is not there is an empty cell.
std::string SummaryCsv(const Design& design, const std::vector<SummaryRow>& rows);
nlohmann::ordered_json SummaryJson(const Design& design, const std::vector<SummaryRow>& rows);

}  // namespace dashf::sweep
