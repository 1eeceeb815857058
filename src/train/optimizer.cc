#include "train/optimizer.h"

#include <ATen/Functions.h>

#include <cmath>

namespace dashf::train {
namespace {

constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.999;
constexpr double kEpsilon = 1e-8;

}  // namespace

FlatParameters::FlatParameters(const std::vector<at::Tensor*>& tensors, std::size_t decayed) {
  std::int64_t count = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (i == decayed) decayed_ = count;
    count += tensors[i]->numel();
  }
  if (decayed >= tensors.size()) decayed_ = count;
  values_ = at::empty({count}, tensors.front()->options());
  gradients_ = at::zeros_like(values_);
  std::int64_t begin = 0;
  for (at::Tensor* const tensor : tensors) {
    const std::int64_t size = tensor->numel();
    at::Tensor leaf = values_.narrow(0, begin, size).view(tensor->sizes());
    leaf.copy_(*tensor);
    leaf.requires_grad_(true);
    // With a gradient in place, backward adds to it instead of allocating one.
    leaf.mutable_grad() = gradients_.narrow(0, begin, size).view(tensor->sizes());
    *tensor = leaf;
    begin += size;
  }
}

double FlatParameters::ClipGradients(double norm_max) {
  const double norm = gradients_.norm().item<double>();
  if (norm > norm_max) gradients_.mul_(norm_max / norm);
  return norm;
}

AdamW::AdamW(const FlatParameters& parameters)
    : mean_(at::zeros_like(parameters.values())), square_(at::zeros_like(parameters.values())) {}

void AdamW::Step(double learning_rate, double weight_decay, FlatParameters* parameters) {
  ++steps_;
  const at::Tensor& gradients = parameters->gradients();
  mean_.mul_(kBeta1).add_(gradients, 1.0 - kBeta1);
  square_.mul_(kBeta2).addcmul_(gradients, gradients, 1.0 - kBeta2);
  const double mean_scale = 1.0 - std::pow(kBeta1, steps_);
  const double square_scale = 1.0 - std::pow(kBeta2, steps_);
  at::Tensor values = parameters->values();
  if (weight_decay > 0.0) {
    values.narrow(0, 0, parameters->decayed()).mul_(1.0 - learning_rate * weight_decay);
  }
  values.addcdiv_(
      mean_, square_.div(square_scale).sqrt_().add_(kEpsilon), -learning_rate / mean_scale);
}

}  // namespace dashf::train
