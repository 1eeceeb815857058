// Rotary position embeddings (Su et al. 2021, arXiv:2104.09864), rotate-half layout: element i of a
// head pairs with element i + head_dim / 2.
#pragma once

#include <span>
#include <vector>

#include "llama/config.h"
#include "llama/matrix.h"

namespace dashf::llama {

template <class T>
class Rotary {
 public:
  Rotary(const ModelConfig& config, std::int64_t positions);

  // Turns every head of x (N, heads * head_dim) in place, as this layer turns what it compares; row
  // i stands at positions[i]. A rotation's transpose is its inverse, so the backward of kForward is
  // kBackward on the gradient.
  enum class Way { kForward, kBackward };
  void Turn(int layer, std::span<const int> positions, Way way, Matrix<T> x) const;

  // Elements of T that it holds.
  static std::int64_t Elements(const ModelConfig& config, std::int64_t positions);

 private:
  // cos and sin of position * frequency for positions 0..positions - 1.
  struct Table {
    std::vector<T> cos, sin;  // (positions, half)
  };

  ModelConfig config_;
  std::int64_t half_;       // head_dim / 2.
  Table plain_, windowed_;  // The second only where windowed layers have frequencies of their own.
};

}  // namespace dashf::llama
