#include "scenario/analytic_profile.h"

#include <cstddef>

namespace dashf {
namespace {

constexpr double kWeightBytes = 2;      // bfloat16, also activations.
constexpr double kOptimiserBytes = 12;  // AdamW: master copy and two moments in 32 bits.

double LayerParameters(const LlamaShape& s) {
  return 2 * s.hidden * s.hidden + 2 * s.hidden * s.key_value + 3 * s.hidden * s.feed_forward;
}

// One multiplication and one addition per weight and token, and the causal scores and their sums:
// 2 products of width `hidden` over half the sequence on average.
double LayerForwardFlopPerToken(const LlamaShape& s, double sequence_tokens) {
  return 2 * LayerParameters(s) + 2 * s.hidden * sequence_tokens;
}

// What a layer's backward pass needs of its forward pass, per token: inputs of the norms and
// matrices, the rotated queries and keys, the gate's and the up projection's results.
double LayerActivationsPerToken(const LlamaShape& s) {
  return 6 * s.hidden + 2 * s.key_value + 3 * s.feed_forward;
}

}  // namespace

double AdapterParametersPerLayer(const LlamaShape& s, const FineTuning& tuning) {
  const double attention = 2 * (s.hidden + s.hidden) + 2 * (s.hidden + s.key_value);
  const double feed_forward = 3 * (s.hidden + s.feed_forward);
  return tuning.lora_rank * (attention + feed_forward);
}

SplitProfile AnalyticProfile(const LlamaShape& shape,
                             const FineTuning& tuning,
                             const DataSetSize& data,
                             std::string name) {
  // The frozen weights get no gradient: backward costs as much as forward, through activations.
  const double forward = LayerForwardFlopPerToken(shape, tuning.sequence_tokens);
  const double layer_flop = 2 * forward * tuning.epochs * data.tokens;
  const double head_flop =
      2 * (2 * shape.hidden * shape.vocabulary) * tuning.answer_share * tuning.epochs * data.tokens;
  const double adapter_parameters = AdapterParametersPerLayer(shape, tuning);
  const double adapter_bit = adapter_parameters * tuning.adapter_bit_per_parameter;
  const double embedding_bytes = kWeightBytes * shape.hidden * shape.vocabulary;
  const double layer_bytes =
      kWeightBytes *
          (LayerParameters(shape) + LayerActivationsPerToken(shape) * tuning.sequence_tokens) +
      (kWeightBytes + kOptimiserBytes) * adapter_parameters;

  SplitProfile profile;
  profile.name = std::move(name);
  for (int k = 0; k <= shape.layers; ++k) {
    const bool all_local = k == shape.layers;
    const double above = shape.layers - k;
    profile.local_flop.push_back(k == 0 ? 0.0 : k * layer_flop + head_flop);
    profile.server_flop.push_back(
        all_local ? 0.0 : k * forward * data.tokens + above * layer_flop + head_flop);
    profile.upload_bit.push_back(all_local ? 0.0 : data.data_bit + k * adapter_bit);
    profile.download_bit.push_back(above * adapter_bit);
    profile.local_memory_bytes.push_back(k == 0 ? 0.0 : embedding_bytes + k * layer_bytes);
  }
  return profile;
}

}  // namespace dashf
