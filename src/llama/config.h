// The shape of a decoder: Llama (Touvron et al. 2023, arXiv:2302.13971) and what its relatives add
// or change, each a part of its own. Which parts a family has is for train/model_config.h to know.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace dashf::llama {

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

// Whose configuration it is: what files call it. What is computed follows from the parts alone.
enum class Family { kLlama, kQwen2, kQwen3, kMistral, kSmolLm3, kGemma3 };

// Of the feed-forward block's gate: SiLU, or GELU by its tanh formula.
enum class Activation { kSilu, kGeluTanh };

struct ModelConfig {
  Family family = Family::kLlama;
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
  double rope_linear_factor = 1.0;  // All rotary wavelengths are multiplied by it.
  // Per layer, or empty for none: its queries see the last `sliding_window` positions alone, their
  // own included; its queries and keys are not rotated.
  std::vector<bool> windowed, unrotated;
  int sliding_window = 0;
  std::optional<double> rope_theta_windowed;  // Of windowed layers, then without any stretching.
  bool head_norms = false;  // RMSNorm of each head of queries and keys, before the rotation.
  // Attention scores are divided by its root; by that of head_dim without.
  std::optional<double> query_pre_attn_scalar;
  bool output_norms = false;     // RMSNorm of each block's output, before it is added.
  double norm_offset = 0.0;      // RMSNorms multiply by offset + weight.
  double embedding_scale = 1.0;  // What embeddings are multiplied by.
  Activation activation = Activation::kSilu;
  bool tied_embeddings = false;  // The output head is the embedding matrix.
  AttentionBias attention_bias = AttentionBias::kNone;
  bool mlp_bias = false;
  int bos_token = 1;
  std::vector<int> eos_tokens = {2};

  bool operator==(const ModelConfig&) const = default;

  // How many positions, back from its own, a query of this layer sees; 0: all.
  int WindowOf(int layer) const;
  bool Rotates(int layer) const;
  double AttentionScale() const;
};

// A layer's projections. Neighbours that read the same input are multiplied as one matrix.
enum Projection { kQ, kK, kV, kO, kGate, kUp, kDown, kProjections };
// Hugging Face's names, in the order above.
inline constexpr std::array<std::string_view, kProjections> kProjectionNames = {
    "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};

// [out, in] of a projection's weight.
std::array<std::int64_t, 2> WeightShape(const ModelConfig& config, Projection projection);
bool HasBias(const ModelConfig& config, Projection projection);

// A layer's RMSNorms: of what enters attention, of each head of queries and of keys, of what
// attention gives out, of what enters the feed-forward block and of what that gives out.
enum Norm {
  kInputNorm,
  kQueryNorm,
  kKeyNorm,
  kAttentionOutNorm,
  kFeedForwardNorm,
  kFeedForwardOutNorm,
  kNorms
};
// Hugging Face's name of its module in the layer; empty if the model has none.
std::string_view NormName(const ModelConfig& config, Norm norm);
std::int64_t NormWidth(const ModelConfig& config, Norm norm);

}  // namespace dashf::llama
