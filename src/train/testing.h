// Tiny random models, adapters and examples for this module's tests.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "corpus/dataset.h"
#include "train/adapter.h"
#include "train/compute.h"
#include "train/model.h"
#include "train/projection.h"

namespace dashf::train::testing {

// Tiny models gain nothing from a second thread, and lose much on a busy machine.
inline const bool kOneThread = (SetThreads(1), true);

inline const std::vector<std::string> kAllTargets(kProjectionNames.begin(), kProjectionNames.end());

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
  config.max_positions = 64;
  return config;
}

// A model whose activations are of order 1, so that no gradient is negligible.
inline Model TinyModel(const ModelConfig& config, std::uint64_t seed) {
  llama::Weights weights = RandomModel(config, seed).weights();
  llama::ForEachTensor(config, [&](const std::string& name, const auto&) {
    if (name.find("norm") != std::string::npos) return;
    std::vector<float> values = llama::GetTensor(name, weights);
    for (float& value : values) value *= 12.0F;
    llama::SetTensor(name, values.data(), &weights);
  });
  return Model(std::move(weights));
}

// Everything random: with B = 0 no gradient reaches A, with a gate of 0 none the prompt.
inline Adapter RandomAdapter(const ModelConfig& model,
                             const AdapterConfig& config,
                             std::uint64_t seed) {
  Adapter adapter = *InitialAdapter(model, config, seed);
  Rng rng = Rng(seed).Stream("b");
  for (auto& pairs : adapter.layers) {
    for (LoraPair& pair : pairs) {
      for (float& value : pair.b) value = static_cast<float>(0.2 * rng.Normal());
    }
  }
  for (LayerPrompt& prompt : adapter.prompts) prompt.gate = static_cast<float>(rng.Normal());
  return adapter;
}

inline Adapter RandomAdapter(const ModelConfig& model, const LoraConfig& lora, std::uint64_t seed) {
  return RandomAdapter(model, AdapterConfig{.lora = lora}, seed);
}

// Examples of different lengths, so that batches are padded.
inline std::vector<corpus::Example> RandomExamples(const ModelConfig& config,
                                                   int count,
                                                   std::uint64_t seed) {
  Rng rng(seed);
  std::vector<corpus::Example> examples;
  for (int i = 0; i < count; ++i) {
    std::vector<int> tokens;
    const auto length = 5 + rng.Below(9);
    for (std::uint64_t t = 0; t < length; ++t) {
      tokens.push_back(static_cast<int>(rng.Below(static_cast<std::uint64_t>(config.vocab_size))));
    }
    examples.emplace_back(std::move(tokens), static_cast<int>(1 + rng.Below(length - 1)));
  }
  return examples;
}

}  // namespace dashf::train::testing
