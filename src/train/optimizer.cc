#include "train/optimizer.h"

#include <cmath>

#include "base/check.h"

namespace dashf::train {
namespace {

constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.999;
constexpr double kEpsilon = 1e-8;

}  // namespace

double ClipGradient(double norm_max, std::span<float> gradient) {
  double square = 0.0;
  for (const float g : gradient) square += static_cast<double>(g) * g;
  const double norm = std::sqrt(square);
  if (norm > norm_max) {
    const auto factor = static_cast<float>(norm_max / norm);
    for (float& g : gradient) g *= factor;
  }
  return norm;
}

void AdamWStep(double learning_rate,
               double weight_decay,
               std::size_t decayed,
               std::span<const float> gradient,
               std::span<float> parameters,
               AdamWState* state) {
  auto& [mean, square, steps] = *state;
  DASHF_CHECK(gradient.size() == mean.size() && parameters.size() == mean.size());
  ++steps;
  // 1 - beta is rounded from its own value: 1 - 0.999F would be off by 5e-5 of itself.
  const auto beta1 = static_cast<float>(kBeta1), new1 = static_cast<float>(1.0 - kBeta1);
  const auto beta2 = static_cast<float>(kBeta2), new2 = static_cast<float>(1.0 - kBeta2);
  const auto rate = static_cast<float>(learning_rate / (1.0 - std::pow(kBeta1, steps)));
  const auto square_scale = static_cast<float>(1.0 / (1.0 - std::pow(kBeta2, steps)));
  const auto kept = static_cast<float>(1.0 - learning_rate * weight_decay);
  for (std::size_t i = 0; i < decayed; ++i) parameters[i] *= kept;
  for (std::size_t i = 0; i < mean.size(); ++i) {
    const float g = gradient[i];
    mean[i] = beta1 * mean[i] + new1 * g;
    square[i] = beta2 * square[i] + new2 * g * g;
    parameters[i] -=
        rate * mean[i] / (std::sqrt(square[i] * square_scale) + static_cast<float>(kEpsilon));
  }
}

}  // namespace dashf::train
