// The shape of a Llama-architecture model (Touvron et al. 2023, arXiv:2302.13971; Qwen2,
// arXiv:2407.10671, is the same with biases).
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

// A layer's projections. Neighbours that read the same input are multiplied as one matrix.
enum Projection { kQ, kK, kV, kO, kGate, kUp, kDown, kProjections };
// Hugging Face's names, in the order above.
inline constexpr std::array<std::string_view, kProjections> kProjectionNames = {
    "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};

// [out, in] of a projection's weight.
std::array<std::int64_t, 2> WeightShape(const ModelConfig& config, Projection projection);
bool HasBias(const ModelConfig& config, Projection projection);

}  // namespace dashf::llama
