// AdamW on a flat vector of parameters. Plain; internal to this module.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace dashf::train {

// Shortens the gradient to at most `norm_max` and returns its Euclidean norm before that.
double ClipGradient(double norm_max, std::span<float> gradient);

// Loshchilov and Hutter 2019 (arXiv:1711.05101), Algorithm 2, with beta = (0.9, 0.999), eps = 1e-8.
class AdamW {
 public:
  // The first `decayed` parameters are subject to weight decay.
  AdamW(std::size_t parameters, std::size_t decayed);
  void Step(double learning_rate,
            double weight_decay,
            std::span<const float> gradient,
            std::span<float> parameters);

 private:
  std::vector<float> mean_, square_;
  std::size_t decayed_ = 0;
  int steps_ = 0;
};

}  // namespace dashf::train
