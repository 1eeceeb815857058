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

// What says nothing that a result depends on: where files came from, and how training was begun
// or is arranged.
constexpr const char* kHarmless[] = {"auto_mapping",
                                     "base_model_name_or_path",
                                     "corda_config",
                                     "ensure_weight_tying",
                                     "eva_config",
                                     "inference_mode",
                                     "loftq_config",
                                     "lora_ga_config",
                                     "megatron_core",
                                     "peft_version",
                                     "qalora_group_size",
                                     "revision"};

// Whatever else has a value that is more than "no" may change the result: the variants of LoRA that
// are not supported (use_dora, modules_to_save, layer_replication, ...), and what is not known.
void RefuseOthers(JsonReader* root) {
  for (const char* key : kHarmless) root->HasValue(key);
  for (const std::string& key : root->UnaskedKeys()) {
    const nlohmann::json value = root->raw()[key];
    if (value.empty() || value == "" || value == false) continue;
    root->Reject(key, "is not supported, and may change the result");
  }
}

void CheckTask(JsonReader* root) {
  if (!root->HasValue("task_type") || root->String("task_type") == "CAUSAL_LM") return;
  root->Reject("task_type", "only \"CAUSAL_LM\" is supported");
}

// Options of LoRA that would change the result and are not supported.
void RefuseVariants(JsonReader* root) {
  if (Present(*root, "bias") && root->String("bias") != "none") {
    root->Reject("bias", "only \"none\" is supported");
  }
  // Most other ways to begin change the base model as well.
  constexpr const char* kStart = "init_lora_weights";
  if (!Present(*root, kStart)) return;
  if (!root->raw()[kStart].is_string()) {
    root->Boolean(kStart);
    return;
  }
  const std::string start = root->String(kStart);
  if (start != "gaussian" && start != "orthogonal" && start != "eva") {
    root->Reject(kStart, "is not supported, as it changes the base model's weights");
  }
}

// Lists without a limit would cost time without a reason.
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
  RefuseOthers(&root);
  return config;
}

// PEFT adapts the last `adapter_layers` layers.
PeftConfig ReadPrompts(JsonReader& root, const ModelConfig& model) {
  PeftConfig config;
  config.adapter.kind = AdapterKind::kAdaptionPrompt;
  config.adapter.prompt.length = static_cast<int>(root.Integer("adapter_len", 1, 4096));
  const auto layers = static_cast<int>(root.Integer("adapter_layers", 1, model.layers));
  config.first_prompted_layer = model.layers - layers;
  if (Present(root, "target_modules") && root.String("target_modules") != "self_attn") {
    root.Reject("target_modules", "only \"self_attn\" is supported");
  }
  RefuseOthers(&root);
  return config;
}

Expected<PeftConfig> ReadConfig(const Expected<JsonDocument>& document, const ModelConfig& model) {
  if (!document) return tl::unexpected(document.error());
  JsonReader root = document->Root();
  const std::string type = root.String("peft_type");
  if (type != "LORA" && type != "ADAPTION_PROMPT") {
    root.Reject("peft_type", "only \"LORA\" and \"ADAPTION_PROMPT\" are supported");
  }
  CheckTask(&root);
  PeftConfig config = type == "LORA" ? ReadLora(root, model) : ReadPrompts(root, model);
  if (document->error()) return tl::unexpected(*document->error());
  return config;
}

}  // namespace

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
