// Tiny random models, adapters and batches for this module's tests.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "llama/adapter_layout.h"
#include "llama/packed_batch.h"
#include "llama/weights.h"

namespace dashf::llama::testing {

// 3 layers, grouped queries (4 heads on 2), head width unlike hidden_size / heads.
inline ModelConfig TinyConfig() {
  ModelConfig config;
  config.layers = 3;
  config.hidden_size = 12;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 6;
  config.intermediate_size = 20;
  config.vocab_size = 31;
  config.max_positions = 128;
  return config;
}

// The shapes of Llama's relatives: the parts that each has beside Llama's. Windows are shorter than
// the tests' sequences.
inline ModelConfig Qwen3Config() {
  ModelConfig config = TinyConfig();
  config.family = Family::kQwen3;
  config.head_norms = true;
  config.tied_embeddings = true;
  return config;
}
inline ModelConfig MistralConfig() {
  ModelConfig config = TinyConfig();
  config.family = Family::kMistral;
  config.windowed.assign(3, true);
  config.sliding_window = 4;
  return config;
}
inline ModelConfig SmolLm3Config() {
  ModelConfig config = TinyConfig();
  config.family = Family::kSmolLm3;
  config.unrotated = {false, true, false};
  config.windowed = {false, true, false};
  config.sliding_window = 5;
  return config;
}
inline ModelConfig Gemma3Config() {
  ModelConfig config = TinyConfig();
  config.family = Family::kGemma3;
  config.head_norms = config.output_norms = config.tied_embeddings = true;
  config.norm_offset = 1.0;
  config.embedding_scale = std::sqrt(12.0);
  config.activation = Activation::kGeluTanh;
  config.query_pre_attn_scalar = 10.0;
  config.windowed = {true, true, false};
  config.sliding_window = 3;
  config.rope_theta_windowed = 100.0;
  config.rope_linear_factor = 2.0;
  return config;
}
inline std::vector<ModelConfig> RelativesOfLlama() {
  return {Qwen3Config(), MistralConfig(), SmolLm3Config(), Gemma3Config()};
}

// Activations of order 1, so that no gradient is negligible.
inline Weights RandomWeights(const ModelConfig& config,
                             std::uint64_t seed,
                             const Storage& storage = {}) {
  Weights weights = MakeWeights(config, storage);
  ForEachTensor(config, [&](const std::string& name, const std::vector<std::int64_t>& shape) {
    Rng rng = Rng(seed).Stream(name);
    const bool norm = name.find("norm.") != std::string::npos;
    const double deviation =
        shape.size() == 2 ? 0.8 / std::sqrt(static_cast<double>(shape[1])) : 0.3;
    std::vector<float> values(
        static_cast<std::size_t>(shape[0] * (shape.size() == 2 ? shape[1] : 1)));
    for (float& value : values) {
      value =
          static_cast<float>((norm ? 1.0 - config.norm_offset : 0.0) + deviation * rng.Normal());
    }
    SetTensor(name, values.data(), &weights);
  });
  return weights;
}

// LoRA of these ranks, by projection, on every layer; or prompts.
inline AdapterLayout LoraLayout(const ModelConfig& config, const std::vector<int>& ranks) {
  std::vector<LayerPlaces> layers(static_cast<std::size_t>(config.layers));
  for (LayerPlaces& layer : layers) {
    for (std::size_t p = 0; p < ranks.size(); ++p) {
      layer.lora[p].rank = ranks[p];
      layer.lora[p].scale = 0.5 + 0.25 * static_cast<double>(p);
    }
  }
  return PlaceAdapter(config, std::move(layers));
}
inline AdapterLayout PromptLayout(const ModelConfig& config, int length) {
  std::vector<LayerPlaces> layers(static_cast<std::size_t>(config.layers));
  for (LayerPlaces& layer : layers) layer.prompt.length = length;
  return PlaceAdapter(config, std::move(layers));
}

template <class T>
std::vector<T> RandomParameters(const AdapterLayout& layout, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<T> parameters(static_cast<std::size_t>(layout.size));
  for (T& value : parameters) value = static_cast<T>(0.3 * rng.Normal());
  return parameters;
}

// Token sequences of different lengths, and the batch of them; sequence i is of slot i % slots.
struct RandomBatch {
  std::vector<std::vector<int>> tokens;
  std::vector<Sequence> sequences;

  RandomBatch(const ModelConfig& config, int count, int slots, std::uint64_t seed) {
    Rng rng(seed);
    for (int i = 0; i < count; ++i) {
      std::vector<int>& own = tokens.emplace_back(5 + rng.Below(9));
      for (int& token : own) {
        token = static_cast<int>(rng.Below(static_cast<std::uint64_t>(config.vocab_size)));
      }
    }
    for (int i = 0; i < count; ++i) {
      const auto& own = tokens[static_cast<std::size_t>(i)];
      const auto length = static_cast<int>(own.size());
      const auto begin = static_cast<int>(1 + rng.Below(own.size() - 1));
      std::vector<TokenRange> answers = {{begin, length}};
      if (begin + 3 < length) answers = {{begin, begin + 1}, {begin + 2, length - 1}};
      sequences.push_back(
          {.tokens = own, .answers = std::move(answers), .slot = i % slots, .key = i});
    }
  }
};

}  // namespace dashf::llama::testing
