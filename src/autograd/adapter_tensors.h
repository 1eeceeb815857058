// Adapters as tensors. Internal to this module.
#pragma once

#include "autograd/llama.h"
#include "train/adapter.h"

namespace dashf::autograd {

// The adapter must have passed CheckAdapter.
AdapterTensors ToTensors(const train::Adapter& adapter,
                         const ModelConfig& model,
                         at::ScalarType dtype);

}  // namespace dashf::autograd
