// An adapter as the engine reads it: one flat vector (trained_parameters.h), and where in it each
// tensor lies. Internal to this module.
#pragma once

#include "llama/adapter_layout.h"
#include "train/adapter.h"

namespace dashf::train {

// Of the vector that TrainedParameters() gives for all layers; null means no adapter. The adapter
// must have passed CheckAdapter.
llama::AdapterLayout LayoutOf(const Adapter* adapter, const ModelConfig& model);

}  // namespace dashf::train
