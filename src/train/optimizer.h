// AdamW on one flat buffer of parameters. Internal to this module.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace dashf::train {

// Trainable tensors as consecutive views of one buffer, their gradients as views of another: the
// optimiser's step is a handful of operations however many tensors there are.
class FlatParameters {
 public:
  // Replaces each tensor by a leaf of equal value that requires a gradient. The first `decayed`
  // tensors are subject to weight decay.
  FlatParameters(const std::vector<at::Tensor*>& tensors, std::size_t decayed);

  void ZeroGradients() { gradients_.zero_(); }
  // Shortens the gradient to at most `norm_max` and returns its norm before that.
  double ClipGradients(double norm_max);

  const at::Tensor& values() const { return values_; }        // [n]
  const at::Tensor& gradients() const { return gradients_; }  // [n]
  std::int64_t decayed() const { return decayed_; }

 private:
  at::Tensor values_, gradients_;
  std::int64_t decayed_ = 0;
};

// Loshchilov and Hutter 2019 (arXiv:1711.05101), Algorithm 2, with beta = (0.9, 0.999), eps = 1e-8.
class AdamW {
 public:
  explicit AdamW(const FlatParameters& parameters);
  void Step(double learning_rate, double weight_decay, FlatParameters* parameters);

 private:
  at::Tensor mean_, square_;
  int steps_ = 0;
};

}  // namespace dashf::train
