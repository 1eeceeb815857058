#include "autograd/flat_parameters.h"

#include <ATen/Functions.h>

namespace dashf::autograd {
namespace {

std::span<float> Numbers(const at::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

}  // namespace

FlatParameters::FlatParameters(const std::vector<at::Tensor*>& tensors) {
  std::int64_t count = 0;
  for (const at::Tensor* const tensor : tensors) count += tensor->numel();
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

std::span<float> FlatParameters::values() {
  return Numbers(values_);
}

std::span<float> FlatParameters::gradients() {
  return Numbers(gradients_);
}

}  // namespace dashf::autograd
