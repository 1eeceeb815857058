// The loss that a phase minimises, as a function of the adapter's tensors. Internal to this module.
#pragma once

#include <vector>

#include "autograd/batch.h"
#include "autograd/hidden_cache.h"
#include "autograd/llama.h"
#include "train/phase.h"

namespace dashf::autograd {

// The tensors that the phase trains, layer by layer.
std::vector<at::Tensor*> TrainedTensors(const train::Phase& phase, AdapterTensors* adapter);

// Mean over the batch's answer tokens. `cache` may be null where phase.cached is 0.
at::Tensor PhaseLoss(const LlamaWeights& weights,
                     const AdapterTensors& adapter,
                     const train::Phase& phase,
                     const HiddenCache* cache,
                     const Batch& batch);

}  // namespace dashf::autograd
