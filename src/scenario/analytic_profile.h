// The split profile of a Llama from its configuration alone: FLOP, bits and memory counted from the
// matrices' shapes (docs/study.md). Pure: safe from any thread.
#pragma once

#include <string>

#include "scenario/profile_io.h"
#include "scenario/scenario.h"

namespace dashf {

struct LlamaShape {
  int layers = 0;
  double hidden = 0.0;     // Width of the residual stream.
  double key_value = 0.0;  // Width of keys and of values (grouped-query attention).
  double feed_forward = 0.0;
  double vocabulary = 0.0;
};

// Llama 3.2 1B: 60.8 M parameters per layer, 262.7 M in the tied embedding.
inline constexpr LlamaShape kLlama1b{
    .layers = 16, .hidden = 2048, .key_value = 512, .feed_forward = 8192, .vocabulary = 128256};

struct FineTuning {
  double lora_rank = 8;  // On all seven matrices of a layer.
  double adapter_bit_per_parameter = 16;
  double epochs = 2;          // Of either phase.
  double answer_share = 0.5;  // Of all tokens: the loss and the head count answers alone.
  double sequence_tokens = 512;
};

double AdapterParametersPerLayer(const LlamaShape& shape, const FineTuning& tuning);

// User phase with early exit: W_u[k] = k layers and the head, forward and backward, every epoch.
// Server phase with cached hidden states: layers 1..k forward once, the rest and the head forward
// and backward in every epoch.
SplitProfile AnalyticProfile(const LlamaShape& shape,
                             const FineTuning& tuning,
                             const DataSetSize& data,
                             std::string name);

}  // namespace dashf
