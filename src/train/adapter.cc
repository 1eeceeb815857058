#include "train/adapter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/rng.h"

namespace dashf::train {
namespace {

Expected<void> CheckFactor(const std::string& where,
                           const std::vector<float>& values,
                           std::int64_t rows,
                           std::int64_t columns) {
  if (std::ssize(values) != rows * columns) {
    return Fail(ErrorKind::kBadInput,
                where,
                fmt::format("must hold {} x {} values, got {}", rows, columns, values.size()));
  }
  if (!std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); })) {
    return Fail(ErrorKind::kBadInput, where, "has a value that is not finite");
  }
  return {};
}

std::vector<LoraPair> InitialPairs(const ModelConfig& model,
                                   const LoraConfig& lora,
                                   int layer,
                                   const Rng& rng) {
  std::vector<LoraPair> pairs;
  for (const std::string& target : lora.targets) {
    const ProjectionShape shape = *ShapeOf(model, target);
    const auto rank = static_cast<std::size_t>(lora.Rank(layer, target));
    const double bound = 1.0 / std::sqrt(static_cast<double>(shape.in));
    Rng draw = rng.Stream(target);
    LoraPair& pair = pairs.emplace_back();
    pair.a.resize(rank * static_cast<std::size_t>(shape.in));
    for (float& value : pair.a) value = static_cast<float>(draw.Uniform(-bound, bound));
    pair.b.assign(rank * static_cast<std::size_t>(shape.out), 0.0F);
  }
  return pairs;
}

LayerPrompt InitialPrompt(const ModelConfig& model, int length, Rng rng) {
  LayerPrompt prompt;
  prompt.prompt.resize(static_cast<std::size_t>(length) *
                       static_cast<std::size_t>(model.hidden_size));
  for (float& value : prompt.prompt) value = static_cast<float>(rng.Normal());
  return prompt;
}

Expected<void> CheckPairs(const std::vector<LoraPair>& pairs,
                          const ModelConfig& model,
                          const LoraConfig& lora,
                          int layer) {
  const std::string place = fmt::format("adapter.layers[{}]", layer);
  if (pairs.size() != lora.targets.size()) {
    return Fail(ErrorKind::kBadInput, place, "must have one pair per target");
  }
  for (std::size_t j = 0; j < pairs.size(); ++j) {
    const ProjectionShape shape = *ShapeOf(model, lora.targets[j]);
    const std::string where = place + "." + lora.targets[j];
    const int rank = lora.Rank(layer, lora.targets[j]);
    if (auto a = CheckFactor(where + ".a", pairs[j].a, rank, shape.in); !a) return a;
    if (auto b = CheckFactor(where + ".b", pairs[j].b, shape.out, rank); !b) return b;
  }
  return {};
}

Expected<void> CheckPrompt(const LayerPrompt& prompt,
                           const ModelConfig& model,
                           int length,
                           int layer) {
  const std::string place = fmt::format("adapter.prompts[{}]", layer);
  if (!std::isfinite(prompt.gate)) {
    return Fail(ErrorKind::kBadInput, place + ".gate", "is not finite");
  }
  return CheckFactor(place + ".prompt", prompt.prompt, length, model.hidden_size);
}

}  // namespace

Expected<void> CheckAdapterConfig(const AdapterConfig& config, const ModelConfig& model) {
  if (config.kind == AdapterKind::kLora) return CheckLora(config.lora);
  const int length = config.prompt.length;
  if (length < 1 || length > 4096) {
    return Fail(ErrorKind::kBadInput,
                "adapter.length",
                fmt::format("must be in [1, 4096], got {}", length));
  }
  const auto refused = [](const char* what) {
    return Fail(ErrorKind::kBadInput,
                "adapter",
                fmt::format("adaption_prompt is not supported for a model with {}", what));
  };
  if (model.attention_bias == AttentionBias::kAll) return refused("a bias in o_proj");
  if (model.head_norms) return refused("norms on queries and keys");
  return {};
}

Expected<Adapter> InitialAdapter(const ModelConfig& model,
                                 const AdapterConfig& config,
                                 std::uint64_t seed) {
  if (auto sound = CheckAdapterConfig(config, model); !sound) {
    return tl::unexpected(sound.error());
  }
  Adapter adapter{config};
  const bool lora = config.kind == AdapterKind::kLora;
  for (int layer = 0; layer < model.layers; ++layer) {
    const Rng rng =
        Rng(seed).Stream(lora ? "lora" : "prompt").Stream(static_cast<std::uint64_t>(layer));
    if (lora) {
      adapter.layers.push_back(InitialPairs(model, config.lora, layer, rng));
    } else {
      adapter.prompts.push_back(InitialPrompt(model, config.prompt.length, rng));
    }
  }
  return adapter;
}

Expected<void> CheckAdapter(const Adapter& adapter, const ModelConfig& model) {
  const AdapterConfig& config = adapter.config;
  if (auto sound = CheckAdapterConfig(config, model); !sound) return sound;
  const bool lora = config.kind == AdapterKind::kLora;
  const std::size_t layers = lora ? adapter.layers.size() : adapter.prompts.size();
  if (std::cmp_not_equal(layers, model.layers)) {
    return Fail(ErrorKind::kBadInput,
                "adapter",
                fmt::format("must have {} layers, got {}", model.layers, layers));
  }
  for (std::size_t i = 0; i < layers; ++i) {
    const auto layer = static_cast<int>(i);
    const Expected<void> sound =
        lora ? CheckPairs(adapter.layers[i], model, config.lora, layer)
             : CheckPrompt(adapter.prompts[i], model, config.prompt.length, layer);
    if (!sound) return sound;
  }
  return {};
}

}  // namespace dashf::train
