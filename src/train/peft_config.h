// adapter_config.json of a PEFT folder. Internal to this module.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"
#include "train/adapter.h"
#include "train/module_coverage.h"

namespace dashf::train {

struct PeftConfig {
  AdapterConfig adapter;         // The targets are not filled in.
  Coverage coverage;             // Of LoRA.
  int first_prompted_layer = 0;  // Of LLaMA-Adapter: this one and those behind, counted from 0.
  double dropout = 0.0;          // "lora_dropout" in [0, 1], which no training here applies.
};

// What would change the result and is not supported is refused by name, whether it is known or not.
Expected<PeftConfig> ReadPeftConfig(const std::filesystem::path& file, const ModelConfig& model);
// The same of a file's bytes; `name` is the place that errors name.
Expected<PeftConfig> ParsePeftConfig(const std::string& name,
                                     std::string_view bytes,
                                     const ModelConfig& model);

// `base_model` is stored as base_model_name_or_path.
std::string WritePeftConfig(const AdapterConfig& adapter,
                            const ModelConfig& model,
                            const std::string& base_model);

}  // namespace dashf::train
