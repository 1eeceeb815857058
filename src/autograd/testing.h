// The tiny models of testing.h as tensors of any floating type.
#pragma once

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "autograd/llama.h"
#include "train/testing.h"

namespace dashf::autograd::testing {

inline LlamaWeights TinyTensors(const ModelConfig& config,
                                std::uint64_t seed,
                                at::ScalarType dtype) {
  return Convert(TensorsOf(train::testing::TinyModel(config, seed)), dtype);
}

}  // namespace dashf::autograd::testing
