#include "train/peft_io.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include "base/check.h"
#include "base/file.h"
#include "tensorfile/safetensors.h"
#include "train/guarded.h"
#include "train/llama.h"
#include "train/peft_config.h"
#include "train/read_tensor.h"

namespace dashf::train {
namespace {

namespace fs = std::filesystem;
using tensorfile::DType;
using tensorfile::SafetensorsFile;
using tensorfile::TensorMap;
using tensorfile::TensorView;

std::string KeyOf(int layer, const std::string& target, char factor) {
  return fmt::format("base_model.model.{}.lora_{}.weight", ModuleName(layer, target), factor);
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
      const int rank = adapter.config.Rank(layer, targets[j]);
      views[KeyOf(layer, targets[j], 'A')] = ViewOf(pair.a, rank);
      views[KeyOf(layer, targets[j], 'B')] = ViewOf(pair.b, std::ssize(pair.b) / rank);
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
  const int rank = lora.Rank(layer, target);
  auto a = TakeFactor(where, KeyOf(layer, target, 'A'), {rank, shape.in}, tensors);
  if (!a) return tl::unexpected(a.error());
  auto b = TakeFactor(where, KeyOf(layer, target, 'B'), {shape.out, rank}, tensors);
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

// Does the adapter cover this module?
using Covers = std::function<bool(int layer, const std::string& target)>;

// The layers (0-based) out of the file, which must hold nothing else; an empty pair for a target
// that is not covered.
Expected<std::vector<std::vector<LoraPair>>> TakeLayers(const std::string& where,
                                                        const SafetensorsFile& file,
                                                        const ModelConfig& model,
                                                        const LoraConfig& lora,
                                                        const std::vector<int>& layers,
                                                        const Covers& covers) {
  std::map<std::string, const TensorView*> tensors;
  for (const auto& [name, view] : file.tensors()) tensors.emplace(name, &view);
  std::vector<std::vector<LoraPair>> taken;
  for (const int layer : layers) {
    std::vector<LoraPair>& pairs = taken.emplace_back();
    for (const std::string& target : lora.targets) {
      if (!covers(layer, target)) {
        pairs.emplace_back();
        continue;
      }
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

void FillInactivePairs(const ModelConfig& model, Adapter* adapter) {
  for (std::size_t i = 0; i < adapter->layers.size(); ++i) {
    for (std::size_t j = 0; j < adapter->config.targets.size(); ++j) {
      LoraPair& pair = adapter->layers[i][j];
      if (!pair.a.empty()) continue;
      const std::string& target = adapter->config.targets[j];
      const ProjectionShape shape = *ShapeOf(model, target);
      const auto rank = static_cast<std::size_t>(adapter->config.Rank(static_cast<int>(i), target));
      pair = {std::vector<float>(rank * static_cast<std::size_t>(shape.in)),
              std::vector<float>(rank * static_cast<std::size_t>(shape.out))};
    }
  }
}

Expected<Adapter> ReadAdapter(const fs::path& folder, const ModelConfig& model) {
  const std::string config_path = (folder / "adapter_config.json").string();
  Expected<PeftConfig> config = ReadPeftConfig(config_path, model);
  if (!config) return tl::unexpected(config.error());
  const std::string path = (folder / "adapter_model.safetensors").string();
  const Expected<SafetensorsFile> file = SafetensorsFile::Open(path);
  if (!file) return tl::unexpected(file.error());
  const Covers covers = [&](int layer, const std::string& target) {
    if (!config->coverage.told_by_file) return config->coverage.Covers(layer, target);
    return file->tensors().contains(KeyOf(layer, target, 'A')) ||
           file->tensors().contains(KeyOf(layer, target, 'B'));
  };
  config->lora.targets = Targets(config->coverage, covers, model.layers);
  if (auto sound = CheckLora(config->lora); !sound) {
    return Fail(ErrorKind::kBadInput, config_path, sound.error().Text());
  }
  std::vector<int> layers(static_cast<std::size_t>(model.layers));
  std::iota(layers.begin(), layers.end(), 0);
  // Before any room is made at the claimed ranks: the tensors must have them.
  auto taken = TakeLayers(path, *file, model, config->lora, layers, covers);
  if (!taken) return tl::unexpected(taken.error());
  Adapter adapter{config->lora, std::move(*taken)};
  FillInactivePairs(model, &adapter);
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
  return TakeLayers(
      where, *file, model, lora, layers, [](int, const std::string&) { return true; });
}

}  // namespace

Expected<void> SaveAdapter(const Adapter& adapter,
                           const ModelConfig& model,
                           const std::string& base_model,
                           const fs::path& folder) {
  if (auto sound = CheckAdapter(adapter, model); !sound) return sound;
  const std::string tensors = EncodeLayers(adapter, 1, model.layers);
  if (auto done = WriteFileAtomically(folder / "adapter_model.safetensors", tensors); !done) {
    return done;
  }
  return WriteFileAtomically(folder / "adapter_config.json",
                             WritePeftConfig(adapter.config, base_model));
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
