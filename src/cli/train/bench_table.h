// The figures of `dashf bench train`: medians over repeats, as JSON and as a table.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/train/bench_job.h"
#include "cli/train/bench_subject.h"

namespace dashf::cli {

// What one row is measured by, and what came of it, repeat by repeat.
struct BenchCell {
  std::string command;
  BenchJob job;
  double loss_tolerance = 0.0;  // From the engine's in float32.
  std::vector<BenchOutcome> outcomes = {};
};

struct BenchMeasurement {
  std::vector<BenchCell>
      steps;                    // All layers: at each number of threads the engine, then the peers.
  std::vector<BenchCell> user;  // Early exit and full depth.
  // Three epochs with the hidden states kept, and with new ones in each.
  std::vector<BenchCell> server;
};

// The largest difference between the losses of two outcomes of one job, step by step, as a share of
// the larger loss or of 1; the first `steps` alone if that is not 0.
double LossDifference(const BenchOutcome& a, const BenchOutcome& b, int steps);

nlohmann::ordered_json RowsOf(const BenchSubject& subject, const BenchMeasurement& measurement);
void PrintTable(const nlohmann::ordered_json& model);  // To stderr.

}  // namespace dashf::cli
