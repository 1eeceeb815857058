#include "train/lora_tensors.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace dashf::train {
namespace {

std::size_t IndexOf(const std::string& target) {
  const auto found = std::find(kProjectionNames.begin(), kProjectionNames.end(), target);
  DASHF_CHECK(found != kProjectionNames.end());
  return static_cast<std::size_t>(found - kProjectionNames.begin());
}

at::Tensor ToTensor(const std::vector<float>& values, std::int64_t rows, at::ScalarType dtype) {
  at::Tensor tensor = at::empty({rows, std::ssize(values) / rows}, at::kFloat);
  std::memcpy(tensor.data_ptr(), values.data(), values.size() * sizeof(float));
  return tensor.to(dtype);
}

void FromTensor(const at::Tensor& tensor, std::vector<float>* values) {
  const at::Tensor plain = tensor.detach().to(at::kFloat).contiguous();
  std::memcpy(values->data(), plain.data_ptr(), values->size() * sizeof(float));
}

}  // namespace

LoraTensors ToTensors(const Adapter& adapter, const ModelConfig& model, at::ScalarType dtype) {
  LoraTensors tensors;
  tensors.layers.resize(adapter.layers.size());
  for (std::size_t i = 0; i < adapter.layers.size(); ++i) {
    for (std::size_t j = 0; j < adapter.config.targets.size(); ++j) {
      const std::size_t projection = IndexOf(adapter.config.targets[j]);
      const LoraPair& pair = adapter.layers[i][j];
      const std::int64_t out = WeightShape(model, static_cast<Projection>(projection))[0];
      const auto layer = static_cast<int>(i);
      const std::string& target = adapter.config.targets[j];
      tensors.layers[i][projection] = {ToTensor(pair.a, adapter.config.Rank(layer, target), dtype),
                                       ToTensor(pair.b, out, dtype),
                                       adapter.config.Scale(layer, target)};
    }
  }
  return tensors;
}

void CopyLayers(const LoraTensors& tensors, int first, int last, Adapter* adapter) {
  for (auto i = static_cast<std::size_t>(first); i < static_cast<std::size_t>(last); ++i) {
    for (std::size_t j = 0; j < adapter->config.targets.size(); ++j) {
      const LoraFactors& factors = tensors.layers[i][IndexOf(adapter->config.targets[j])];
      FromTensor(factors.a, &adapter->layers[i][j].a);
      FromTensor(factors.b, &adapter->layers[i][j].b);
    }
  }
}

}  // namespace dashf::train
