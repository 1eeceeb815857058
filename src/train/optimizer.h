// AdamW on a flat vector of parameters. Plain; internal to this module.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace dashf::train {

// Shortens the gradient to at most `norm_max` and returns its Euclidean norm before that.
double ClipGradient(double norm_max, std::span<float> gradient);

// What AdamW remembers of the gradients so far.
struct AdamWState {
  std::vector<float> mean,
      square;     // Of the gradient and of its square, decaying; one per parameter.
  int steps = 0;  // Taken so far.

  explicit AdamWState(std::size_t parameters = 0) : mean(parameters), square(parameters) {}
  bool operator==(const AdamWState&) const = default;
};

// One step of Loshchilov and Hutter 2019 (arXiv:1711.05101), Algorithm 2, with beta = (0.9, 0.999),
// eps = 1e-8. The first `decayed` parameters are subject to weight decay.
void AdamWStep(double learning_rate,
               double weight_decay,
               std::size_t decayed,
               std::span<const float> gradient,
               std::span<float> parameters,
               AdamWState* state);

}  // namespace dashf::train
