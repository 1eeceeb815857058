#include "llama/config.h"

#include "base/check.h"

namespace dashf::llama {

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

}  // namespace dashf::llama
