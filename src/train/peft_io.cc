#include "train/peft_io.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <span>

#include "base/check.h"
#include "base/file.h"
#include "gguf/file.h"
#include "tensorfile/floats.h"
#include "tensorfile/safetensors.h"
#include "train/gguf_adapter.h"
#include "train/peft_config.h"
#include "train/projection.h"
#include "train/within_memory.h"

namespace dashf::train {
namespace {

namespace fs = std::filesystem;
using tensorfile::DType;
using tensorfile::SafetensorsFile;
using tensorfile::TensorMap;
using tensorfile::TensorView;

std::ptrdiff_t Layers(const Adapter& adapter) {
  return std::max(std::ssize(adapter.layers), std::ssize(adapter.prompts));
}

std::string KeyOf(int layer, const std::string& target, char factor) {
  return fmt::format("base_model.model.{}.lora_{}.weight", ModuleName(layer, target), factor);
}

std::string PromptKey(int layer, const char* part) {
  return fmt::format("base_model.model.model.layers.{}.self_attn.adaption_{}", layer, part);
}

TensorView ViewOf(std::span<const float> values, std::vector<std::int64_t> shape) {
  return {DType::kF32,
          std::move(shape),
          {reinterpret_cast<const char*>(values.data()), values.size_bytes()}};
}

TensorMap ViewsOf(const Adapter& adapter, int first, int last) {
  TensorMap views;
  const LoraConfig& lora = adapter.config.lora;
  for (int layer = first - 1; layer < last; ++layer) {
    const auto index = static_cast<std::size_t>(layer);
    if (adapter.config.kind == AdapterKind::kAdaptionPrompt) {
      const auto& [prompt, gate] = adapter.prompts[index];
      const std::int64_t length = adapter.config.prompt.length;
      views[PromptKey(layer, "prompt")] = ViewOf(prompt, {1, length, std::ssize(prompt) / length});
      views[PromptKey(layer, "gate")] = ViewOf({&gate, 1}, {1});
      continue;
    }
    for (std::size_t j = 0; j < lora.targets.size(); ++j) {
      const auto& [a, b] = adapter.layers[index][j];
      const std::int64_t rank = lora.Rank(layer, lora.targets[j]);
      views[KeyOf(layer, lora.targets[j], 'A')] = ViewOf(a, {rank, std::ssize(a) / rank});
      views[KeyOf(layer, lora.targets[j], 'B')] = ViewOf(b, {std::ssize(b) / rank, rank});
    }
  }
  return views;
}

double Norm(const std::vector<float>& values) {
  return std::sqrt(std::transform_reduce(
      values.begin(), values.end(), 0.0, std::plus<>(), [](double x) { return x * x; }));
}

// Takes one tensor's values out of `tensors`.
Expected<std::vector<float>> TakeValues(const std::string& where,
                                        const std::string& key,
                                        const std::vector<std::int64_t>& shape,
                                        std::map<std::string, const TensorView*>* tensors) {
  const auto found = tensors->find(key);
  if (found == tensors->end()) return Fail(ErrorKind::kBadInput, where, "has no " + key);
  auto values = tensorfile::ReadFloats(where + ": " + key, *found->second, shape);
  if (values) tensors->erase(found);
  return values;
}

// What an adapter adds is at most proportional to this.
Expected<void> CheckNorm(const std::string& where,
                         int layer,
                         const std::string& part,
                         double norm) {
  if (norm <= kAdapterNormMax) return {};
  return Fail(
      ErrorKind::kBadInput,
      where,
      fmt::format(
          "layer {} {}: norm {:.3g} is above {:.3g}", layer + 1, part, norm, kAdapterNormMax));
}

Expected<LoraPair> TakePair(const std::string& where,
                            const ModelConfig& model,
                            const LoraConfig& lora,
                            int layer,
                            const std::string& target,
                            std::map<std::string, const TensorView*>* tensors) {
  const ProjectionShape shape = *ShapeOf(model, target);
  const int rank = lora.Rank(layer, target);
  auto a = TakeValues(where, KeyOf(layer, target, 'A'), {rank, shape.in}, tensors);
  if (!a) return tl::unexpected(a.error());
  auto b = TakeValues(where, KeyOf(layer, target, 'B'), {shape.out, rank}, tensors);
  if (!b) return tl::unexpected(b.error());
  auto bounded = CheckNorm(where, layer, target, Norm(*a) * Norm(*b));
  if (!bounded) return tl::unexpected(bounded.error());
  return LoraPair{std::move(*a), std::move(*b)};
}

Expected<LayerPrompt> TakePrompt(const std::string& where,
                                 const ModelConfig& model,
                                 const PromptConfig& config,
                                 int layer,
                                 std::map<std::string, const TensorView*>* tensors) {
  auto prompt =
      TakeValues(where, PromptKey(layer, "prompt"), {1, config.length, model.hidden_size}, tensors);
  if (!prompt) return tl::unexpected(prompt.error());
  const auto gate = TakeValues(where, PromptKey(layer, "gate"), {1}, tensors);
  if (!gate) return tl::unexpected(gate.error());
  auto bounded = CheckNorm(where, layer, "prompt", Norm(*prompt) * Norm(*gate));
  if (!bounded) return tl::unexpected(bounded.error());
  return LayerPrompt{std::move(*prompt), gate->front()};
}

// Does the adapter cover this module?
using Covers = std::function<bool(int layer, const std::string& target)>;

// The layers (0-based) out of the file, which must hold nothing else. What is not covered stays
// empty.
Expected<Adapter> TakeLayers(const std::string& where,
                             const SafetensorsFile& file,
                             const ModelConfig& model,
                             const AdapterConfig& config,
                             const std::vector<int>& layers,
                             const Covers& covers) {
  std::map<std::string, const TensorView*> tensors;
  for (const auto& [name, view] : file.tensors()) tensors.emplace(name, &view);
  Adapter taken{config};
  for (const int layer : layers) {
    if (config.kind == AdapterKind::kAdaptionPrompt) {
      LayerPrompt& prompt = taken.prompts.emplace_back();
      if (!covers(layer, "")) continue;
      Expected<LayerPrompt> read = TakePrompt(where, model, config.prompt, layer, &tensors);
      if (!read) return tl::unexpected(read.error());
      prompt = std::move(*read);
      continue;
    }
    std::vector<LoraPair>& pairs = taken.layers.emplace_back();
    for (const std::string& target : config.lora.targets) {
      LoraPair& pair = pairs.emplace_back();
      if (!covers(layer, target)) continue;
      Expected<LoraPair> read = TakePair(where, model, config.lora, layer, target, &tensors);
      if (!read) return tl::unexpected(read.error());
      pair = std::move(*read);
    }
  }
  if (tensors.empty()) return taken;
  return Fail(ErrorKind::kBadInput,
              where,
              fmt::format("{} is not one of the adapter's tensors", tensors.begin()->first));
}

// The projections that the adapter covers in any layer, as the config orders them.
std::vector<std::string> Targets(const Coverage& coverage, const Covers& covers, int layers) {
  std::vector<std::string> targets(kProjectionNames.begin(), kProjectionNames.end());
  std::erase_if(targets, [&](const std::string& target) {
    for (int layer = 0; layer < layers; ++layer) {
      if (covers(layer, target)) return false;
    }
    return true;
  });
  const auto place = [&](const std::string& target) {
    return std::find_if(coverage.targets.begin(),
                        coverage.targets.end(),
                        [&](const std::string& named) { return named.ends_with(target); });
  };
  std::stable_sort(targets.begin(), targets.end(), [&](const auto& a, const auto& b) {
    return place(a) < place(b);
  });
  return targets;
}

// Zeros where an adapter covers nothing: they add nothing, and no gradient moves them.
void FillInactive(const ModelConfig& model, Adapter* adapter) {
  const LoraConfig& lora = adapter->config.lora;
  for (std::size_t i = 0; i < adapter->layers.size(); ++i) {
    for (std::size_t j = 0; j < lora.targets.size(); ++j) {
      LoraPair& pair = adapter->layers[i][j];
      if (!pair.a.empty()) continue;
      const ProjectionShape shape = *ShapeOf(model, lora.targets[j]);
      const auto rank = static_cast<std::size_t>(lora.Rank(static_cast<int>(i), lora.targets[j]));
      pair = {std::vector<float>(rank * static_cast<std::size_t>(shape.in)),
              std::vector<float>(rank * static_cast<std::size_t>(shape.out))};
    }
  }
  const auto length = static_cast<std::size_t>(adapter->config.prompt.length);
  for (LayerPrompt& prompt : adapter->prompts) {
    prompt.prompt.resize(length * static_cast<std::size_t>(model.hidden_size));
  }
}

Expected<Adapter> ReadAdapter(const fs::path& folder, const ModelConfig& model) {
  const std::string config_path = (folder / "adapter_config.json").string();
  Expected<PeftConfig> config = ReadPeftConfig(config_path, model);
  if (!config) return tl::unexpected(config.error());
  const std::string path = (folder / "adapter_model.safetensors").string();
  const Expected<SafetensorsFile> file = SafetensorsFile::Open(path);
  if (!file) return tl::unexpected(file.error());
  const Coverage& coverage = config->coverage;
  const Covers covers = [&](int layer, const std::string& target) {
    if (config->adapter.kind == AdapterKind::kAdaptionPrompt) {
      return layer >= config->first_prompted_layer;
    }
    return coverage.Covers(layer, target);
  };
  if (config->adapter.kind == AdapterKind::kLora) {
    config->adapter.lora.targets = Targets(coverage, covers, model.layers);
  }
  if (auto sound = CheckAdapterConfig(config->adapter, model); !sound) {
    return Fail(ErrorKind::kBadInput, config_path, sound.error().Text());
  }
  std::vector<int> layers(static_cast<std::size_t>(model.layers));
  std::iota(layers.begin(), layers.end(), 0);
  // Before any room is made at the claimed sizes: the tensors must have them.
  auto taken = TakeLayers(path, *file, model, config->adapter, layers, covers);
  if (!taken) return tl::unexpected(taken.error());
  FillInactive(model, &*taken);
  return taken;
}

// The layers (0-based) out of a peer's bytes, all of it float32.
Expected<Adapter> ReadLayers(const std::string& where,
                             std::string_view bytes,
                             const ModelConfig& model,
                             const AdapterConfig& config,
                             const std::vector<int>& layers) {
  const Expected<SafetensorsFile> file = SafetensorsFile::Parse(where, std::string(bytes));
  if (!file) return tl::unexpected(file.error());
  for (const auto& [name, view] : file->tensors()) {
    if (view.dtype == DType::kF32) continue;
    return Fail(ErrorKind::kBadInput,
                where,
                fmt::format("{} must be F32, got {}", name, tensorfile::Name(view.dtype)));
  }
  return TakeLayers(
      where, *file, model, config, layers, [](int, const std::string&) { return true; });
}

}  // namespace

Expected<void> SaveAdapter(const Adapter& adapter,
                           const ModelConfig& model,
                           const std::string& base_model,
                           const fs::path& folder) {
  if (auto sound = CheckAdapter(adapter, model); !sound) return sound;
  const std::string tensors = EncodeLayers(adapter, 1, model.layers);
  const std::string config = WritePeftConfig(adapter.config, model, base_model);
  const FileBytes files[] = {{folder / "adapter_model.safetensors", tensors},
                             {folder / "adapter_config.json", config}};
  return WriteFilesAtomically(files);
}

Expected<double> DropoutOf(const fs::path& folder, const ModelConfig& model) {
  const auto config = ReadPeftConfig(folder / "adapter_config.json", model);
  if (!config) return tl::unexpected(config.error());
  return config->dropout;
}

Expected<Adapter> LoadAdapter(const fs::path& folder, const ModelConfig& model) {
  return WithinMemory(folder.c_str(), [&] {
    const bool llama_cpp = gguf::IsGguf(folder.string());
    return llama_cpp ? ReadGgufAdapter(folder.string(), model) : ReadAdapter(folder, model);
  });
}

std::string EncodeLayers(const Adapter& adapter, int first, int last) {
  DASHF_CHECK(first >= 1 && last <= Layers(adapter));
  return tensorfile::WriteSafetensors(ViewsOf(adapter, first, last), {{"format", "pt"}});
}

Expected<void> DecodeLayers(
    std::string_view bytes, int first, int last, const ModelConfig& model, Adapter* adapter) {
  DASHF_CHECK(first >= 1 && last <= Layers(*adapter));
  const std::string where = fmt::format("adapter layers {} to {}", first, last);
  std::vector<int> layers(static_cast<std::size_t>(std::max(0, last - first + 1)));
  std::iota(layers.begin(), layers.end(), first - 1);
  auto taken = WithinMemory(
      where.c_str(), [&] { return ReadLayers(where, bytes, model, adapter->config, layers); });
  if (!taken) return tl::unexpected(taken.error());
  const auto begin = static_cast<std::ptrdiff_t>(first) - 1;
  std::ranges::move(taken->layers, adapter->layers.begin() + begin);
  std::ranges::move(taken->prompts, adapter->prompts.begin() + begin);
  return {};
}

Expected<void> CheckForPeers(const Adapter& adapter,
                             int first,
                             int last,
                             const ModelConfig& model) {
  Adapter read = adapter;
  auto taken = DecodeLayers(EncodeLayers(adapter, first, last), first, last, model, &read);
  if (taken) return taken;
  return Fail(ErrorKind::kNumerical, taken.error().where, "diverged: " + taken.error().message);
}

}  // namespace dashf::train
