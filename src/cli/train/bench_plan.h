// Which jobs `dashf bench train` measures.
#pragma once

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

struct BenchPrograms {
  std::string engine;      // The command up to its flags.
  std::string arithmetic;  // The engine's, beside float32.
  bool recompute = false;  // Also with layers computed again.
  std::vector<std::string> peers, bfloat16_peers;
  std::vector<int> threads;
  bool processor_time = false;
  bool steps_alone = false;  // No phases of a user or a server.
};

// Nothing measured yet.
BenchMeasurement PlanMeasurement(const BenchSubject& subject, const BenchPrograms& programs);

}  // namespace dashf::cli
