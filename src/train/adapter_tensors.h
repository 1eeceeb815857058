// Adapters as tensors. Internal to this module.
#pragma once

#include "train/adapter.h"
#include "train/llama.h"

namespace dashf::train {

// The adapter must have passed CheckAdapter.
AdapterTensors ToTensors(const Adapter& adapter, const ModelConfig& model, at::ScalarType dtype);

}  // namespace dashf::train
