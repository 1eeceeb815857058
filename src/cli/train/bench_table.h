// The figures of `dashf bench train`: medians over repeats, as JSON and as a table.
#pragma once

#include <nlohmann/json.hpp>

#include "cli/train/bench_job.h"
#include "cli/train/bench_plan.h"
#include "cli/train/bench_subject.h"

namespace dashf::cli {

// The largest difference between the losses of two outcomes of one job, step by step, as a share of
// the larger loss or of 1; the first `steps` alone if that is not 0.
double LossDifference(const BenchOutcome& a, const BenchOutcome& b, int steps);

nlohmann::ordered_json RowsOf(const BenchSubject& subject, const BenchMeasurement& measurement);
void PrintTable(const nlohmann::ordered_json& model);  // To stderr.

}  // namespace dashf::cli
