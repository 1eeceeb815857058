// adapter_config.json of a PEFT folder. Internal to this module.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "train/adapter.h"

namespace dashf::train {

// Which modules an adapter covers, as its config states it.
struct Coverage {
  std::vector<std::string> targets;  // Modules' names, or their last parts.
  std::vector<int> layers;           // Counted from 0; empty: all.
  bool told_by_file = false;         // By a regular expression: the tensors in the file tell.

  bool Covers(int layer, const std::string& target) const;
};

struct PeftConfig {
  AdapterConfig adapter;  // The targets are not filled in.
  Coverage coverage;
  double dropout = 0.0;  // "lora_dropout" in [0, 1], which no training here applies.
};

// Options that would change the result and are not supported are refused by name.
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
