// What a training will take of memory at most, known before the base's weights are read.
#pragma once

#include <vector>

#include "corpus/example.h"
#include "llama/weights.h"
#include "train/adapter.h"
#include "train/phases.h"

namespace dashf::train {

// In bytes, of the stage that takes most: computing hidden states, training, or scoring what is
// held out.
struct MemoryForecast {
  double weights = 0.0;        // Of the base, as they are stored.
  double passes = 0.0;         // What passes over the largest batch keep, all threads together.
  double hidden_states = 0.0;  // Computed once, for every epoch.
  double adapter = 0.0;        // Its copies, gradients, optimiser and checkpoint.
  double libraries = 0.0;      // An allowance for what others allocate: oneDNN per thread, pages.

  double Total() const { return weights + passes + hidden_states + adapter + libraries; }
};

// Of TrainLayers() with these arguments and Threads(), on weights kept so, with `held_out` scored
// before and after it. On top of what the process has now, `adapter` and the examples included.
// All arguments have been checked.
MemoryForecast ForetellMemory(const ModelConfig& model,
                              const llama::Storage& storage,
                              const std::vector<corpus::Example>& examples,
                              const std::vector<corpus::Example>& held_out,
                              int first,
                              int last,
                              UserObjective objective,
                              const TrainOptions& options,
                              const Adapter& adapter);

}  // namespace dashf::train
