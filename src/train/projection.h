// The seven projections of a Llama layer, which LoRA may adapt. Plain data.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "train/model.h"

namespace dashf::train {

enum Projection { kQ, kK, kV, kO, kGate, kUp, kDown, kProjections };
// Hugging Face's names, in the order above.
inline constexpr std::array<std::string_view, kProjections> kProjectionNames = {
    "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};
// [out, in] of a projection's weight.
std::array<std::int64_t, 2> WeightShape(const ModelConfig& config, Projection projection);
bool HasBias(const ModelConfig& config, Projection projection);

}  // namespace dashf::train
