// Trainable tensors in one flat buffer. Internal to this module.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

namespace dashf::autograd {

// Tensors as consecutive views of one buffer of float32 or float64, their gradients as views of
// another: the optimiser's step is one loop however many tensors there are.
class FlatParameters {
 public:
  // Replaces each tensor by a leaf of equal value that requires a gradient.
  explicit FlatParameters(const std::vector<at::Tensor*>& tensors);

  // Of float32 parameters.
  std::span<float> values();
  std::span<float> gradients();
  const at::Tensor& gradient_tensor() const { return gradients_; }  // [n]

 private:
  at::Tensor values_, gradients_;
};

}  // namespace dashf::autograd
