// Everything that a phase needs to go on after a step as if it had never paused. Plain numbers; as
// a file in checkpoint.h.
#pragma once

#include <cstdint>
#include <vector>

#include "train/optimizer.h"

namespace dashf::train {

// The place in the random order of batches is not here: it follows from the seed and the number of
// steps.
struct TrainingState {
  std::vector<float> parameters;  // Flat, as in trained_parameters.h.
  AdamWState optimizer;
  std::vector<double> losses;  // Of each step so far.
  std::int64_t tokens = 0;     // That passed through the trained layers.
  // The parameters at which the smoothed loss was least, and after how many steps that was.
  std::vector<float> best;
  int best_steps = 0;
  // What it took so far, by all the processes that went on with it, where somebody counts that.
  double elapsed_s = 0.0, cpu_s = 0.0;

  bool operator==(const TrainingState&) const = default;
};

}  // namespace dashf::train
