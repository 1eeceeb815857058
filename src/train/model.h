// A frozen causal language model, Llama or a relative of it, read from and written to Hugging Face
// model folders. The weights are in memory in the format that the caller asks for, whatever the
// file holds. A Model is a shared pointer to immutable weights: copies are cheap, and every
// function of this module that takes one is safe from any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "llama/config.h"
#include "llama/weights.h"

namespace dashf::train {

using llama::AttentionBias;
using llama::Llama3Rope;
using llama::ModelConfig;

class Model {
 public:
  explicit Model(llama::Weights weights)
      : weights_(std::make_shared<const llama::Weights>(std::move(weights))) {}
  const ModelConfig& config() const { return weights_->config; }
  std::int64_t parameters() const;
  const llama::Weights& weights() const { return *weights_; }
  // Keeps the weights alive.
  std::shared_ptr<const llama::Weights> owner() const { return weights_; }

 private:
  std::shared_ptr<const llama::Weights> weights_;
};

// A folder's config.json, with the word of its weight files, if there are any, on whether the
// output head is the embedding: where they hold a head with other numbers, it is not.
Expected<ModelConfig> LoadModelConfig(const std::filesystem::path& folder);

// Reads config.json with model.safetensors or the shards that model.safetensors.index.json names.
// Tensor names tell which of the two rotary layouts a file has: Hugging Face's names
// ("model.layers.0.self_attn.q_proj.weight") come with the rotate-half layout used here, Meta's
// original names ("layers.0.attention.wq.weight") with interleaved pairs, which are permuted.
// kIo if the folder or a file is missing; kBadInput naming the tensor or key for a wrong shape, a
// missing tensor, a value that is not finite, or a feature that is not supported.
Expected<Model> LoadModel(const std::filesystem::path& folder, const llama::Storage& storage = {});

// A folder that keeps weights as they were encoded, for the next start; empty: none does.
struct BaseCache {
  std::filesystem::path folder;
  std::vector<std::string> notes;  // What came of it, a line each.
};
// $XDG_CACHE_HOME/dashf, or ~/.cache/dashf; empty where there is neither.
std::filesystem::path DefaultBaseCache();

// The same weights, bit for bit; int8 and NF4 from the cache, where it has what these files became.
// What is wrong with a cache is a note, never an error.
Expected<Model> LoadModel(const std::filesystem::path& folder,
                          const llama::Storage& storage,
                          BaseCache* cache);

// Whether the folder's files hold every matrix in bfloat16, so that a model kept so loses nothing.
// Errors as LoadModel's, but for the values.
Expected<bool> StoredInBFloat16(const std::filesystem::path& folder, ModelConfig config);

enum class Precision { kFloat32, kBFloat16 };

// Writes config.json and model.safetensors in Hugging Face's layout, each atomically.
Expected<void> SaveModel(const Model& model,
                         Precision precision,
                         const std::filesystem::path& folder);

// Fresh weights: normal with standard deviation 0.02, the projections into the residual stream
// divided by sqrt(2 L), norms multiply by 1 (Radford et al. 2019, GPT-2). Same seed, same weights.
Model RandomModel(const ModelConfig& config,
                  std::uint64_t seed,
                  const llama::Storage& storage = {});

}  // namespace dashf::train
