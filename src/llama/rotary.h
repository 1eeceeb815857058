// Rotary position embeddings (Su et al. 2021, arXiv:2104.09864), rotate-half layout: element i of a
// head pairs with element i + head_dim / 2.
#pragma once

#include <span>
#include <vector>

#include "llama/config.h"
#include "llama/matrix.h"

namespace dashf::llama {

// cos and sin of position * frequency for positions 0..positions - 1.
template <class T>
class Rotary {
 public:
  Rotary(const ModelConfig& config, std::int64_t positions);

  // Turns every head of x (N, heads * head_dim) in place; row i stands at positions[i]. A
  // rotation's transpose is its inverse, so the backward of kForward is kBackward on the gradient.
  enum class Way { kForward, kBackward };
  void Turn(std::span<const int> positions, Way way, Matrix<T> x) const;

 private:
  std::int64_t half_;         // head_dim / 2.
  std::vector<T> cos_, sin_;  // (positions, half)
};

}  // namespace dashf::llama
