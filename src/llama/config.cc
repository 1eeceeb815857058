#include "llama/config.h"

#include <cmath>

#include "base/check.h"

namespace dashf::llama {
namespace {

bool At(const std::vector<bool>& layers, int layer) {
  return !layers.empty() && layers.at(static_cast<std::size_t>(layer));
}

}  // namespace

int ModelConfig::WindowOf(int layer) const {
  return At(windowed, layer) ? sliding_window : 0;
}

bool ModelConfig::Rotates(int layer) const {
  return !At(unrotated, layer);
}

double ModelConfig::AttentionScale() const {
  return 1.0 / std::sqrt(query_pre_attn_scalar.value_or(head_dim));
}

std::array<std::int64_t, 2> WeightShape(const ModelConfig& config, Projection projection) {
  const std::int64_t d = config.hidden_size, wide = config.intermediate_size;
  const std::int64_t q = std::int64_t{config.heads} * config.head_dim;
  const std::int64_t kv = std::int64_t{config.kv_heads} * config.head_dim;
  switch (projection) {
    case kQ:
      return {q, d};
    case kK:
    case kV:
      return {kv, d};
    case kO:
      return {d, q};
    case kGate:
    case kUp:
      return {wide, d};
    case kDown:
      return {d, wide};
    case kProjections:
      break;
  }
  DASHF_CHECK(false);
}

bool HasBias(const ModelConfig& config, Projection projection) {
  if (projection >= kGate) return config.mlp_bias;
  return config.attention_bias == AttentionBias::kAll ||
         (config.attention_bias == AttentionBias::kQkv && projection != kO);
}

std::string_view NormName(const ModelConfig& config, Norm norm) {
  switch (norm) {
    case kInputNorm:
      return "input_layernorm";
    case kQueryNorm:
      return config.head_norms ? "self_attn.q_norm" : "";
    case kKeyNorm:
      return config.head_norms ? "self_attn.k_norm" : "";
    case kAttentionOutNorm:
      return config.output_norms ? "post_attention_layernorm" : "";
    case kFeedForwardNorm:
      return config.output_norms ? "pre_feedforward_layernorm" : "post_attention_layernorm";
    case kFeedForwardOutNorm:
      return config.output_norms ? "post_feedforward_layernorm" : "";
    case kNorms:
      break;
  }
  DASHF_CHECK(false);
}

std::int64_t NormWidth(const ModelConfig& config, Norm norm) {
  return norm == kQueryNorm || norm == kKeyNorm ? config.head_dim : config.hidden_size;
}

}  // namespace dashf::llama
