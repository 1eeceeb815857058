// The loss that a phase minimises, as a function of the adapter's tensors. Internal to this module.
#pragma once

#include <vector>

#include "train/batch.h"
#include "train/hidden_cache.h"
#include "train/llama.h"

namespace dashf::train {

// What distinguishes the phases. Layers are counted from 0, ranges are half open.
struct Phase {
  int first_trained = 0;
  int last_trained = 0;
  int loss_after = 0;  // The loss is taken above this many layers, through the final norm and head.
  int cached = 0;      // The hidden states above this many layers come from a cache.
};

// The tensors that the phase trains, layer by layer.
std::vector<at::Tensor*> TrainedTensors(const Phase& phase, AdapterTensors* adapter);

// Mean over the batch's answer tokens. `cache` may be null where phase.cached is 0.
at::Tensor PhaseLoss(const LlamaWeights& weights,
                     const AdapterTensors& adapter,
                     const Phase& phase,
                     const HiddenCache* cache,
                     const Batch& batch);

}  // namespace dashf::train
