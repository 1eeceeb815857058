// A model in a GGUF file. Internal to this module.
#pragma once

#include "base/error.h"
#include "gguf/model_folder.h"
#include "train/model.h"

namespace dashf::train {

// Quantised weights are decoded, then kept as `storage` asks. Errors as LoadModel's.
Expected<Model> ReadGgufModel(const gguf::ModelFolder& folder, const llama::Storage& storage);

// As StoredInBFloat16 (train/model.h).
Expected<bool> GgufStoredInBFloat16(const gguf::ModelFolder& folder, const ModelConfig& config);

}  // namespace dashf::train
