// Measures what each split k costs on this machine: times and peak memory of both phases, over a
// small sample of a real data set. Plain numbers; dashf.profile/1 is written by the command line.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.h"
#include "corpus/dataset.h"
#include "train/adapter.h"
#include "train/model.h"
#include "train/phases.h"

namespace dashf::train {

struct PhaseCosts {
  double tokens = 0.0;  // Of the sample.
  // Per split k = 0..L: seconds of a core for the whole phase, all epochs; user_s[0] = server_s[L]
  // = 0.
  std::vector<double> user_s;
  std::vector<double> server_s;
  std::vector<double> user_memory_bytes;  // Peak of the process, weights included; [0] = 0.
  std::vector<double> layer_bytes;        // Adapter of each layer as it travels; L entries.
  double gemm_flop_per_s = 0.0;           // One core.
};

struct ProfileOptions {
  int tokens_max = 1536;  // Sample size: times are proportional to it, and noise falls with it.
  int repeats = 2;        // The least disturbed one counts.
  UserObjective objective = UserObjective::kEarlyExit;
  TrainOptions train;  // Whose epochs the costs include.
  AdapterConfig adapter;
};

// One thread's processor time, so that other programs on the machine disturb it little; call
// SetThreads(1) first. kBadInput as the phases; not to be run beside other work of this process.
Expected<PhaseCosts> MeasurePhases(const Model& model,
                                   const std::vector<corpus::Example>& examples,
                                   const ProfileOptions& options);

}  // namespace dashf::train
