// Measures what each split k costs on this machine: times and peak memory of both phases, over a
// small sample of a real data set. Plain numbers; dashf.profile/1 is written by the command line.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.h"
#include "corpus/dataset.h"
#include "train/lora.h"
#include "train/model.h"
#include "train/phases.h"

namespace dashf::train {

struct PhaseCosts {
  double tokens = 0.0;                    // Of the sample.
  std::vector<double> user_s;             // Per split k = 0..L, all epochs; [0] = 0.
  std::vector<double> server_s;           // [L] = 0.
  std::vector<double> user_memory_bytes;  // Peak of the user phase, weights included.
  double gemm_flop_per_s = 0.0;
};

struct ProfileOptions {
  int tokens_max = 4096;  // Sample size; times are proportional to it, noise falls with it.
  int repeats = 3;        // The median of these is taken.
  UserObjective objective = UserObjective::kEarlyExit;
  TrainOptions train;
  LoraConfig lora;
};

Expected<PhaseCosts> MeasurePhases(const Model& model,
                                   const std::vector<corpus::Example>& examples,
                                   const ProfileOptions& options);

}  // namespace dashf::train
