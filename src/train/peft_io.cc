#include "train/peft_io.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "tensorfile/safetensors.h"
#include "train/guarded.h"
#include "train/read_tensor.h"

namespace dashf::train {
namespace {

namespace fs = std::filesystem;
using tensorfile::DType;
using tensorfile::SafetensorsFile;
using tensorfile::TensorMap;
using tensorfile::TensorView;

std::string KeyOf(int layer, const std::string& target, char factor) {
  const bool attention =
      target == "q_proj" || target == "k_proj" || target == "v_proj" || target == "o_proj";
  return fmt::format("base_model.model.model.layers.{}.{}.{}.lora_{}.weight",
                     layer,
                     attention ? "self_attn" : "mlp",
                     target,
                     factor);
}

TensorView ViewOf(const std::vector<float>& values, std::int64_t rows) {
  return {DType::kF32,
          {rows, std::ssize(values) / rows},
          {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)}};
}

TensorMap ViewsOf(const Adapter& adapter, int first, int last) {
  TensorMap views;
  const std::vector<std::string>& targets = adapter.config.targets;
  for (int layer = first - 1; layer < last; ++layer) {
    for (std::size_t j = 0; j < targets.size(); ++j) {
      const LoraPair& pair = adapter.layers[static_cast<std::size_t>(layer)][j];
      views[KeyOf(layer, targets[j], 'A')] = ViewOf(pair.a, adapter.config.rank);
      views[KeyOf(layer, targets[j], 'B')] =
          ViewOf(pair.b, std::ssize(pair.b) / adapter.config.rank);
    }
  }
  return views;
}

double Norm(const std::vector<float>& values) {
  return std::sqrt(std::transform_reduce(
      values.begin(), values.end(), 0.0, std::plus<>(), [](double x) { return x * x; }));
}

// Takes one factor out of `tensors`.
Expected<std::vector<float>> TakeFactor(const std::string& where,
                                        const std::string& key,
                                        const std::vector<std::int64_t>& shape,
                                        std::map<std::string, const TensorView*>* tensors) {
  const auto found = tensors->find(key);
  if (found == tensors->end()) return Fail(ErrorKind::kBadInput, where, "has no " + key);
  const Expected<at::Tensor> tensor = ReadTensor(where + ": " + key, *found->second, shape);
  if (!tensor) return tl::unexpected(tensor.error());
  tensors->erase(found);
  const float* values = tensor->data_ptr<float>();
  return std::vector<float>(values, values + tensor->numel());
}

Expected<LoraPair> TakePair(const std::string& where,
                            const ModelConfig& model,
                            const LoraConfig& lora,
                            int layer,
                            const std::string& target,
                            std::map<std::string, const TensorView*>* tensors) {
  const ProjectionShape shape = *ShapeOf(model, target);
  auto a = TakeFactor(where, KeyOf(layer, target, 'A'), {lora.rank, shape.in}, tensors);
  if (!a) return tl::unexpected(a.error());
  auto b = TakeFactor(where, KeyOf(layer, target, 'B'), {shape.out, lora.rank}, tensors);
  if (!b) return tl::unexpected(b.error());
  const double norm = Norm(*a) * Norm(*b);
  if (!(norm <= kAdapterNormMax)) {
    return Fail(ErrorKind::kBadInput,
                where,
                fmt::format("layer {} {}: ||A|| ||B|| = {:.3g} is above {:.3g}",
                            layer + 1,
                            target,
                            norm,
                            kAdapterNormMax));
  }
  return LoraPair{std::move(*a), std::move(*b)};
}

// Layers first..last (1-based) out of the file, which must hold nothing else.
Expected<std::vector<std::vector<LoraPair>>> TakeLayers(const std::string& where,
                                                        const SafetensorsFile& file,
                                                        const ModelConfig& model,
                                                        const LoraConfig& lora,
                                                        const std::vector<int>& layers) {
  std::map<std::string, const TensorView*> tensors;
  for (const auto& [name, view] : file.tensors()) tensors.emplace(name, &view);
  std::vector<std::vector<LoraPair>> taken;
  for (const int layer : layers) {
    std::vector<LoraPair>& pairs = taken.emplace_back();
    for (const std::string& target : lora.targets) {
      Expected<LoraPair> pair = TakePair(where, model, lora, layer, target, &tensors);
      if (!pair) return tl::unexpected(pair.error());
      pairs.push_back(std::move(*pair));
    }
  }
  if (tensors.empty()) return taken;
  return Fail(ErrorKind::kBadInput,
              where,
              fmt::format("{} is not one of the adapter's tensors", tensors.begin()->first));
}

// What adapter_config.json says: the adapter's shape and the layers (0-based) it covers.
struct PeftConfig {
  LoraConfig lora;
  std::vector<int> layers;
};

bool Present(const JsonReader& reader, const char* key) {
  const auto found = reader.raw().find(key);
  return found != reader.raw().end() && !found->is_null();
}

// Options that would change the result and are not supported.
void RefuseVariants(JsonReader* root) {
  if (root->String("peft_type") != "LORA") root->Reject("peft_type", "only \"LORA\" is supported");
  if (Present(*root, "bias") && root->String("bias") != "none") {
    root->Reject("bias", "only \"none\" is supported");
  }
  for (const char* flag : {"use_dora", "fan_in_fan_out", "lora_bias"}) {
    if (Present(*root, flag) && root->Boolean(flag)) root->Reject(flag, "is not supported");
  }
  for (const char* table : {"rank_pattern", "alpha_pattern", "modules_to_save"}) {
    if (Present(*root, table) && !root->raw()[table].empty()) root->Reject(table, "must be empty");
  }
}

Expected<PeftConfig> ReadPeftConfig(const fs::path& file, const ModelConfig& model) {
  Expected<JsonDocument> document = JsonDocument::ReadFile(file.string());
  if (!document) return tl::unexpected(document.error());
  JsonReader root = document->Root();
  PeftConfig config;
  RefuseVariants(&root);
  config.lora.rank = static_cast<int>(root.Integer("r", 1, 4096));
  config.lora.alpha = root.Number("lora_alpha", kPositive);
  config.lora.rank_stabilized = Present(root, "use_rslora") && root.Boolean("use_rslora");
  config.lora.targets.clear();
  root.ForEach("target_modules",
               [&](const JsonReader& target) { config.lora.targets.push_back(target.AsString()); });
  const bool some_layers = Present(root, "layers_to_transform") &&
                           root.raw()["layers_to_transform"] != nlohmann::json::array();
  if (some_layers && root.raw()["layers_to_transform"].is_array()) {
    root.ForEach("layers_to_transform", [&](const JsonReader& layer) {
      config.layers.push_back(static_cast<int>(layer.AsInteger(0, model.layers - 1)));
    });
  } else if (some_layers) {
    config.layers = {static_cast<int>(root.Integer("layers_to_transform", 0, model.layers - 1))};
  } else {  // PEFT takes an empty list for all layers, too.
    config.layers.resize(static_cast<std::size_t>(model.layers));
    std::iota(config.layers.begin(), config.layers.end(), 0);
  }
  if (document->error()) return tl::unexpected(*document->error());
  if (auto sound = CheckLora(config.lora); !sound) {
    return Fail(ErrorKind::kBadInput, file.string(), sound.error().Text());
  }
  return config;
}

std::vector<LoraPair> InactivePairs(const ModelConfig& model, const LoraConfig& lora) {
  std::vector<LoraPair> pairs;
  const auto rank = static_cast<std::size_t>(lora.rank);
  for (const std::string& target : lora.targets) {
    const ProjectionShape shape = *ShapeOf(model, target);
    pairs.push_back({std::vector<float>(rank * static_cast<std::size_t>(shape.in)),
                     std::vector<float>(rank * static_cast<std::size_t>(shape.out))});
  }
  return pairs;
}

Expected<Adapter> ReadAdapter(const fs::path& folder, const ModelConfig& model) {
  const Expected<PeftConfig> config = ReadPeftConfig(folder / "adapter_config.json", model);
  if (!config) return tl::unexpected(config.error());
  const std::string path = (folder / "adapter_model.safetensors").string();
  const Expected<SafetensorsFile> file = SafetensorsFile::Open(path);
  if (!file) return tl::unexpected(file.error());
  // Before any room is made at the claimed rank: the tensors must have it.
  auto taken = TakeLayers(path, *file, model, config->lora, config->layers);
  if (!taken) return tl::unexpected(taken.error());
  Adapter adapter{config->lora, {}};
  adapter.layers.resize(static_cast<std::size_t>(model.layers));
  for (std::size_t i = 0; i < config->layers.size(); ++i) {
    adapter.layers[static_cast<std::size_t>(config->layers[i])] = std::move((*taken)[i]);
  }
  for (std::vector<LoraPair>& pairs : adapter.layers) {
    if (pairs.empty()) pairs = InactivePairs(model, config->lora);
  }
  return adapter;
}

// The layers (0-based) out of a peer's bytes, whose factors are float32.
Expected<std::vector<std::vector<LoraPair>>> ReadLayers(const std::string& where,
                                                        std::string_view bytes,
                                                        const ModelConfig& model,
                                                        const LoraConfig& lora,
                                                        const std::vector<int>& layers) {
  const Expected<SafetensorsFile> file = SafetensorsFile::Parse(where, std::string(bytes));
  if (!file) return tl::unexpected(file.error());
  for (const auto& [name, view] : file->tensors()) {
    if (view.dtype == DType::kF32) continue;
    return Fail(ErrorKind::kBadInput,
                where,
                fmt::format("{} must be F32, got {}", name, tensorfile::Name(view.dtype)));
  }
  return TakeLayers(where, *file, model, lora, layers);
}

}  // namespace

Expected<void> SaveAdapter(const Adapter& adapter,
                           const ModelConfig& model,
                           const std::string& base_model,
                           const fs::path& folder) {
  if (auto sound = CheckAdapter(adapter, model); !sound) return sound;
  const nlohmann::ordered_json config = {{"peft_type", "LORA"},
                                         {"task_type", "CAUSAL_LM"},
                                         {"base_model_name_or_path", base_model},
                                         {"r", adapter.config.rank},
                                         {"lora_alpha", adapter.config.alpha},
                                         {"use_rslora", adapter.config.rank_stabilized},
                                         {"lora_dropout", 0.0},
                                         {"bias", "none"},
                                         {"fan_in_fan_out", false},
                                         {"inference_mode", true},
                                         {"target_modules", adapter.config.targets},
                                         {"layers_to_transform", nullptr}};
  const std::string tensors = EncodeLayers(adapter, 1, model.layers);
  if (auto done = WriteFileAtomically(folder / "adapter_model.safetensors", tensors); !done) {
    return done;
  }
  return WriteFileAtomically(folder / "adapter_config.json", config.dump(2) + "\n");
}

Expected<Adapter> LoadAdapter(const fs::path& folder, const ModelConfig& model) {
  return Guarded(folder.c_str(), [&] { return ReadAdapter(folder, model); });
}

std::string EncodeLayers(const Adapter& adapter, int first, int last) {
  DASHF_CHECK(first >= 1 && last <= std::ssize(adapter.layers));
  return tensorfile::WriteSafetensors(ViewsOf(adapter, first, last), {{"format", "pt"}});
}

Expected<void> DecodeLayers(
    std::string_view bytes, int first, int last, const ModelConfig& model, Adapter* adapter) {
  DASHF_CHECK(first >= 1 && last <= std::ssize(adapter->layers));
  const std::string where = fmt::format("adapter layers {} to {}", first, last);
  std::vector<int> layers(static_cast<std::size_t>(std::max(0, last - first + 1)));
  std::iota(layers.begin(), layers.end(), first - 1);
  auto taken = Guarded(where.c_str(),
                       [&] { return ReadLayers(where, bytes, model, adapter->config, layers); });
  if (!taken) return tl::unexpected(taken.error());
  for (std::size_t i = 0; i < layers.size(); ++i) {
    adapter->layers[static_cast<std::size_t>(layers[i])] = std::move((*taken)[i]);
  }
  return {};
}

}  // namespace dashf::train
