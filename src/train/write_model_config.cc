#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "train/model_config.h"
#include "train/model_family.h"

namespace dashf::train {
namespace {

using Json = nlohmann::ordered_json;
using llama::Family;

// Whole numbers without a point, for readers whose field is an integer.
Json Number(double value) {
  if (value != std::floor(value) || std::abs(value) >= 1e15) return value;
  return static_cast<std::int64_t>(value);
}

Json TokenOrNull(const std::vector<int>& tokens) {
  if (tokens.size() > 1) return tokens;
  return tokens.empty() ? Json(nullptr) : Json(tokens.front());
}

Json StretchingOf(const ModelConfig& config) {
  if (config.rope_linear_factor != 1.0) {
    return {{"rope_type", "linear"}, {"factor", config.rope_linear_factor}};
  }
  if (!config.rope_llama3) return nullptr;
  const Llama3Rope& rope = *config.rope_llama3;
  return {{"rope_type", "llama3"},
          {"factor", rope.factor},
          {"low_freq_factor", rope.low_freq_factor},
          {"high_freq_factor", rope.high_freq_factor},
          {"original_max_position_embeddings", Number(rope.original_max_position_embeddings)}};
}

void WriteWindows(const ModelConfig& config, Json* json) {
  const Family family = config.family;
  if (family == Family::kLlama) return;
  const bool any = config.sliding_window > 0;
  (*json)["sliding_window"] = any ? Json(config.sliding_window) : Json(nullptr);
  if (family == Family::kMistral) return;
  if (family != Family::kGemma3) (*json)["use_sliding_window"] = any;
  Json types = Json::array();
  int full = 0;  // Layers before the first windowed one.
  for (int i = 0; i < config.layers; ++i) {
    const bool windowed = config.WindowOf(i) > 0;
    types.push_back(windowed ? "sliding_attention" : "full_attention");
    full += !windowed && full == i;
  }
  if (family == Family::kQwen2 || family == Family::kQwen3) (*json)["max_window_layers"] = full;
  (*json)["layer_types"] = std::move(types);
}

void WriteParts(const ModelConfig& config, Json* json) {
  const Family family = config.family;
  if (family != Family::kQwen2 && family != Family::kMistral) {
    (*json)["attention_bias"] = config.attention_bias == AttentionBias::kAll;
  }
  if (family == Family::kLlama || family == Family::kSmolLm3) (*json)["mlp_bias"] = config.mlp_bias;
  if (family == Family::kSmolLm3) {
    (*json)["pad_token_id"] = nullptr;  // Else transformers takes SmolLM3-3B's, which is 128004.
    for (int i = 0; i < config.layers; ++i) {
      (*json)["no_rope_layers"].push_back(config.Rotates(i) ? 1 : 0);
    }
  }
  if (family == Family::kGemma3) {
    (*json)["query_pre_attn_scalar"] = Number(*config.query_pre_attn_scalar);
    (*json)["rope_local_base_freq"] = config.rope_theta_windowed.value_or(10000.0);
  }
  WriteWindows(config, json);
}

}  // namespace

std::string WriteModelConfig(const ModelConfig& config, Precision precision) {
  const FamilyTraits& traits = TraitsOf(config.family);
  const bool gemma = config.family == Family::kGemma3;
  Json json = {{"architectures", {traits.architecture}},
               {"model_type", traits.model_type},
               {gemma ? "hidden_activation" : "hidden_act", gemma ? "gelu_pytorch_tanh" : "silu"},
               {"hidden_size", config.hidden_size},
               {"intermediate_size", config.intermediate_size},
               {"num_hidden_layers", config.layers},
               {"num_attention_heads", config.heads},
               {"num_key_value_heads", config.kv_heads},
               {"head_dim", config.head_dim},
               {"vocab_size", config.vocab_size},
               {"max_position_embeddings", config.max_positions},
               {"rms_norm_eps", config.rms_norm_eps},
               {"rope_theta", config.rope_theta},
               {"rope_scaling", StretchingOf(config)},
               {"tie_word_embeddings", config.tied_embeddings},
               {"bos_token_id", config.bos_token < 0 ? Json(nullptr) : Json(config.bos_token)},
               {"eos_token_id", TokenOrNull(config.eos_tokens)},
               {"torch_dtype", precision == Precision::kFloat32 ? "float32" : "bfloat16"}};
  WriteParts(config, &json);
  return json.dump(2) + "\n";
}

}  // namespace dashf::train
