// Floating-point operations of training some layers, by the model's shape. Pure functions, safe
// from any thread.
#pragma once

#include <vector>

#include "corpus/example.h"
#include "train/adapter.h"
#include "train/model.h"
#include "train/phases.h"

namespace dashf::train {

// Of one pass over a data set.
struct Volume {
  double tokens = 0.0;
  double pairs = 0.0;           // Of a query and a key not after it: n (n + 1) / 2 for n tokens.
  double windowed_pairs = 0.0;  // Of them those within a window of positions.
  double answers = 0.0;         // Tokens that the loss counts.
};
// `window` is ModelConfig::sliding_window, 0 for none.
Volume VolumeOf(const std::vector<corpus::Example>& examples, int window = 0);

struct PhaseFlop {
  double once = 0.0;  // Forward through the frozen layers below, kept for all passes.
  double pass = 0.0;  // Every pass over the data.
};

// Multiplications and additions of TrainLayers' matrix products that no implementation can do
// without, one each: a forward pass has 2 per weight and token, LoRA's factors included, 4 x heads
// x head_dim per pair, and 2 d V per answer in the head. Backward, a frozen weight costs as much
// again (for its input alone), a trained factor and the pairs twice as much, from the loss down to
// the first trained layer, this one counted whole. Norms, softmax, activations, the optimiser and
// LLaMA-Adapter's prompts are left out. 0 if last < first.
PhaseFlop FlopOfLayers(const ModelConfig& model,
                       const AdapterConfig& adapter,
                       const Volume& volume,
                       int first,
                       int last,
                       UserObjective objective);

}  // namespace dashf::train
