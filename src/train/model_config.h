// config.json of a Hugging Face model folder to ModelConfig and back. A GGUF file has one as well
// (gguf/model_folder.h).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"
#include "gguf/model_folder.h"
#include "train/model.h"

namespace dashf::train {

// Rope parameters at the top level or inside "rope_parameters" (transformers 5). Families and
// features that are not supported are refused by name, with the part that is missing. What is
// absent has the default of transformers for its family.
Expected<ModelConfig> ReadModelConfig(const gguf::ModelFolder& folder);
// The same of a file's bytes; `name` is the place that errors name.
Expected<ModelConfig> ParseModelConfig(const std::string& name, std::string_view bytes);

std::string WriteModelConfig(const ModelConfig& config, Precision precision);

}  // namespace dashf::train
