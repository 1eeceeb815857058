#include "train/peft_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/json.h"
#include "train/projection.h"

namespace dashf::train {
namespace {

bool Present(const JsonReader& reader, const char* key) {
  return reader.HasValue(key);
}

// Options of LoRA that would change the result and are not supported.
void RefuseVariants(JsonReader* root) {
  if (Present(*root, "bias") && root->String("bias") != "none") {
    root->Reject("bias", "only \"none\" is supported");
  }
  for (const char* flag : {"use_dora", "fan_in_fan_out", "lora_bias", "use_qalora"}) {
    if (Present(*root, flag) && root->Boolean(flag)) root->Reject(flag, "is not supported");
  }
  for (const char* option : {"modules_to_save",
                             "target_parameters",
                             "trainable_token_indices",
                             "alora_invocation_tokens",
                             "layer_replication",
                             "use_bdlora",
                             "arrow_config",
                             "kasa_config",
                             "monteclora_config"}) {
    if (Present(*root, option) && !root->raw()[option].empty()) {
      root->Reject(option, "is not supported");
    }
  }
  // The other ways to begin change the base model as well.
  if (Present(*root, "init_lora_weights") && root->raw()["init_lora_weights"].is_string()) {
    const std::string start = root->String("init_lora_weights");
    if (start != "gaussian" && start != "orthogonal" && start != "eva") {
      root->Reject("init_lora_weights", "is not supported, as it changes the base model's weights");
    }
  }
}

// Nothing names a module twice for a reason; lists without a limit would cost time without one.
void RefuseMoreThan(std::size_t entries_max, const char* key, JsonReader* root) {
  if (!Present(*root, key) || root->raw()[key].size() <= entries_max) return;
  root->Reject(key, fmt::format("must have at most {} entries", entries_max));
}

// Other readers' fields of whole numbers refuse 16.0.
nlohmann::ordered_json WholeIfWhole(double number) {
  constexpr double kExactMax = 9007199254740992.0;  // 2^53.
  if (std::abs(number) <= kExactMax && std::floor(number) == number) {
    return static_cast<std::int64_t>(number);
  }
  return number;
}

Coverage ReadCoverage(JsonReader* root, const ModelConfig& model) {
  Coverage coverage;
  coverage.told_by_file =
      (Present(*root, "target_modules") && root->raw()["target_modules"].is_string()) ||
      (Present(*root, "exclude_modules") && !root->raw()["exclude_modules"].empty());
  if (coverage.told_by_file) return coverage;
  const std::size_t modules_max = kProjections * (static_cast<std::size_t>(model.layers) + 1);
  RefuseMoreThan(modules_max, "target_modules", root);
  RefuseMoreThan(modules_max, "layers_to_transform", root);
  root->ForEach("target_modules", [&](const JsonReader& target) {
    coverage.targets.push_back(target.AsString());
    const bool known = std::any_of(
        kProjectionNames.begin(), kProjectionNames.end(), [&](std::string_view projection) {
          return coverage.targets.back().ends_with(projection);
        });
    if (!known) target.Reject("must name a projection of the attention or the feed-forward block");
  });
  if (!Present(*root, "layers_to_transform")) return coverage;
  if (root->raw()["layers_to_transform"].is_array()) {  // PEFT takes an empty list for all layers.
    root->ForEach("layers_to_transform", [&](const JsonReader& layer) {
      coverage.layers.push_back(static_cast<int>(layer.AsInteger(0, model.layers - 1)));
    });
  } else {
    coverage.layers = {static_cast<int>(root->Integer("layers_to_transform", 0, model.layers - 1))};
  }
  return coverage;
}

PeftConfig ReadLora(JsonReader& root, const ModelConfig& model) {
  PeftConfig config;
  LoraConfig& lora = config.adapter.lora;
  RefuseVariants(&root);
  lora.rank = static_cast<int>(root.Integer("r", 1, 4096));
  lora.alpha = root.Number("lora_alpha", kPositive);
  config.dropout = root.NumberIfAny("lora_dropout", {.low = 0.0, .high = 1.0}).value_or(0.0);
  lora.rank_stabilized = Present(root, "use_rslora") && root.Boolean("use_rslora");
  const std::size_t modules_max = 2 * kProjections * (static_cast<std::size_t>(model.layers) + 1);
  RefuseMoreThan(modules_max, "rank_pattern", &root);
  RefuseMoreThan(modules_max, "alpha_pattern", &root);
  if (Present(root, "rank_pattern")) {
    root.ForEachMember("rank_pattern", [&](const std::string& key, const JsonReader& rank) {
      lora.rank_pattern[key] = static_cast<int>(rank.AsInteger(1, 4096));
    });
  }
  if (Present(root, "alpha_pattern")) {
    root.ForEachMember("alpha_pattern", [&](const std::string& key, const JsonReader& alpha) {
      lora.alpha_pattern[key] = alpha.AsNumber(kPositive);
    });
  }
  config.coverage = ReadCoverage(&root, model);
  return config;
}

// PEFT adapts the last `adapter_layers` layers.
PeftConfig ReadPrompts(JsonReader& root, const ModelConfig& model) {
  PeftConfig config;
  config.adapter.kind = AdapterKind::kAdaptionPrompt;
  config.adapter.prompt.length = static_cast<int>(root.Integer("adapter_len", 1, 4096));
  const auto layers = static_cast<int>(root.Integer("adapter_layers", 1, model.layers));
  for (int layer = model.layers - layers; layer < model.layers; ++layer) {
    config.coverage.layers.push_back(layer);
  }
  if (Present(root, "target_modules") && root.String("target_modules") != "self_attn") {
    root.Reject("target_modules", "only \"self_attn\" is supported");
  }
  return config;
}

Expected<PeftConfig> ReadConfig(const Expected<JsonDocument>& document, const ModelConfig& model) {
  if (!document) return tl::unexpected(document.error());
  JsonReader root = document->Root();
  const std::string type = root.String("peft_type");
  if (type != "LORA" && type != "ADAPTION_PROMPT") {
    root.Reject("peft_type", "only \"LORA\" and \"ADAPTION_PROMPT\" are supported");
  }
  PeftConfig config = type == "LORA" ? ReadLora(root, model) : ReadPrompts(root, model);
  if (document->error()) return tl::unexpected(*document->error());
  return config;
}

}  // namespace

bool Coverage::Covers(int layer, const std::string& target) const {
  const std::string module = ModuleName(layer, target);
  const bool here = layers.empty() || std::count(layers.begin(), layers.end(), layer) > 0;
  return std::any_of(targets.begin(), targets.end(), [&](const std::string& named) {
    return named == module || (here && NamesModule(named, module));
  });
}

Expected<PeftConfig> ReadPeftConfig(const std::filesystem::path& file, const ModelConfig& model) {
  return ReadConfig(JsonDocument::ReadFile(file.string()), model);
}

Expected<PeftConfig> ParsePeftConfig(const std::string& name,
                                     std::string_view bytes,
                                     const ModelConfig& model) {
  return ReadConfig(JsonDocument::Parse(name, bytes), model);
}

std::string WritePeftConfig(const AdapterConfig& adapter,
                            const ModelConfig& model,
                            const std::string& base_model) {
  nlohmann::ordered_json config = {{"task_type", "CAUSAL_LM"},
                                   {"base_model_name_or_path", base_model},
                                   {"inference_mode", true}};
  if (adapter.kind == AdapterKind::kAdaptionPrompt) {
    config.update({{"peft_type", "ADAPTION_PROMPT"},
                   {"target_modules", "self_attn"},
                   {"adapter_len", adapter.prompt.length},
                   {"adapter_layers", model.layers}});
    return config.dump(2) + "\n";
  }
  const LoraConfig& lora = adapter.lora;
  nlohmann::ordered_json alphas = nlohmann::ordered_json::object();
  for (const auto& [key, alpha] : lora.alpha_pattern) alphas[key] = WholeIfWhole(alpha);
  config.update({{"peft_type", "LORA"},
                 {"r", lora.rank},
                 {"lora_alpha", WholeIfWhole(lora.alpha)},
                 {"use_rslora", lora.rank_stabilized},
                 {"lora_dropout", 0.0},
                 {"bias", "none"},
                 {"fan_in_fan_out", false},
                 {"target_modules", lora.targets},
                 {"rank_pattern", lora.rank_pattern},
                 {"alpha_pattern", alphas},
                 {"layers_to_transform", nullptr}});
  return config.dump(2) + "\n";
}

}  // namespace dashf::train
