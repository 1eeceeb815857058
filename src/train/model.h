// A frozen Llama-architecture causal language model (Touvron et al. 2023, arXiv:2302.13971; Qwen2,
// arXiv:2407.10671, is the same with biases), read from and written to Hugging Face model folders.
// The weights are float32 in memory, whatever the file holds. A Model is a shared pointer to
// immutable weights: copies are cheap, and every function of this module that takes one is safe
// from any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace dashf::train {

// Llama 3's stretching of the rotary wavelengths ("rope_type": "llama3" in config.json).
struct Llama3Rope {
  double factor = 8.0;
  double low_freq_factor = 1.0;
  double high_freq_factor = 4.0;
  double original_max_position_embeddings = 8192.0;

  bool operator==(const Llama3Rope&) const = default;
};

// Which attention projections add a bias: all four as Llama's "attention_bias" has it, or queries,
// keys and values as Qwen2 does.
enum class AttentionBias { kNone, kQkv, kAll };

struct ModelConfig {
  int layers = 0;             // L >= 1.
  int hidden_size = 0;        // d.
  int heads = 0;              // Query heads.
  int kv_heads = 0;           // Key and value heads; divides `heads`.
  int head_dim = 0;           // Even.
  int intermediate_size = 0;  // Width of the feed-forward block.
  int vocab_size = 0;
  int max_positions = 2048;  // Longer sequences are refused.
  double rms_norm_eps = 1e-5;
  double rope_theta = 10000.0;
  std::optional<Llama3Rope> rope_llama3;
  bool tied_embeddings = false;  // The output head is the embedding matrix.
  AttentionBias attention_bias = AttentionBias::kNone;
  bool mlp_bias = false;
  int bos_token = 1;
  std::vector<int> eos_tokens = {2};

  bool operator==(const ModelConfig&) const = default;
};

struct LlamaWeights;  // The tensors; train/llama.h.

class Model {
 public:
  explicit Model(std::shared_ptr<const LlamaWeights> weights) : weights_(std::move(weights)) {}
  const ModelConfig& config() const;
  std::int64_t parameters() const;
  const LlamaWeights& weights() const { return *weights_; }

 private:
  std::shared_ptr<const LlamaWeights> weights_;
};

// Reads config.json with model.safetensors or the shards that model.safetensors.index.json names.
// Tensor names tell which of the two rotary layouts a file has: Hugging Face's names
// ("model.layers.0.self_attn.q_proj.weight") come with the rotate-half layout used here, Meta's
// original names ("layers.0.attention.wq.weight") with interleaved pairs, which are permuted.
// kIo if the folder or a file is missing; kBadInput naming the tensor or key for a wrong shape, a
// missing tensor, a value that is not finite, or a feature that is not supported.
Expected<Model> LoadModel(const std::filesystem::path& folder);

enum class Precision { kFloat32, kBFloat16 };

// Writes config.json and model.safetensors in Hugging Face's layout, each atomically.
Expected<void> SaveModel(const Model& model,
                         Precision precision,
                         const std::filesystem::path& folder);

// Fresh weights: normal with standard deviation 0.02, the projections into the residual stream
// divided by sqrt(2 L), norms 1 (Radford et al. 2019, GPT-2). Same seed, same weights.
Model RandomModel(const ModelConfig& config, std::uint64_t seed);

}  // namespace dashf::train
