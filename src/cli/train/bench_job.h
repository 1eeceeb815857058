// One measurement of `dashf bench train`: what is trained, in a file that the engine and its peers
// read alike, and what a process that trained it says of itself, line by line
// (bench/peers/train/README.md has both formats).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "corpus/example.h"
#include "llama/weights.h"

namespace dashf::cli {

using BenchBatch = std::vector<corpus::Example>;

// Training of its own, with an optimiser that starts anew, on one batch: an epoch is a step, so
// that every program trains on the same examples in each.
struct BenchPhase {
  int batch = 0;
  int epochs = 1;
};

enum class Trains { kAllLayers, kUserEarlyExit, kUserFullDepth, kServer };

struct BenchJob {
  std::string model_dir;
  std::string adapter_dir;  // Where the training starts.
  int threads = 1;
  bool processor_time = false;  // Instead of the clock's.
  Trains trains = Trains::kAllLayers;
  int split = 0;  // k of the user's and the server's phases.
  double learning_rate = 3e-3;
  double weight_decay = 0.0;
  double gradient_norm_max = 1.0;
  std::vector<BenchBatch> batches = {};
  // One after the other on one adapter.
  std::vector<BenchPhase> phases = {};
};

Expected<void> WriteJob(const BenchJob& job, const std::string& path);
Expected<BenchJob> ReadJob(const std::string& path);

struct BenchStep {
  double loss = 0.0;       // Before the step.
  double elapsed_s = 0.0;  // Since the phase began, by the job's clock.
};

struct BenchOutcome {
  std::string program, settings;
  std::vector<std::vector<BenchStep>> phases;
  double first_step_s = 0.0;     // From the start of the process to the end of its first step.
  double loaded_bytes = 0.0;     // Resident before the first step.
  double peak_bytes = 0.0;       // Resident at most.
  double foretold_bytes = 0.0;   // Before the model was read; 0 from a program that does not say.
  double gemm_flop_per_s = 0.0;  // Of the job's threads; 0 from a program that does not measure it.
};

// Carries the job out in this process and writes its lines to stdout.
Expected<void> CarryOutJob(const BenchJob& job, const llama::Storage& storage, bool recompute);

// Runs `command`, a shell's, with the job file's path as its last argument, for at most
// `time_limit_s`, and reads what it says. kIo if it cannot be run or fails; kBadInput if it says
// anything else than every step of the job.
Expected<BenchOutcome> RunJob(const std::string& command,
                              const BenchJob& job,
                              const std::string& path,
                              int time_limit_s);

std::string ShellQuoted(std::string_view word);

}  // namespace dashf::cli
