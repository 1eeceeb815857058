// Adapters between plain data and tensors. Internal to this module.
#pragma once

#include "train/adapter.h"
#include "train/llama.h"

namespace dashf::train {

// The adapter must have passed CheckAdapter.
AdapterTensors ToTensors(const Adapter& adapter, const ModelConfig& model, at::ScalarType dtype);

// Copies layers first..last - 1 (0-based, half open) back.
void CopyLayers(const AdapterTensors& tensors, int first, int last, Adapter* adapter);

}  // namespace dashf::train
