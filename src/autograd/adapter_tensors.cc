#include "autograd/adapter_tensors.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace dashf::autograd {
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

}  // namespace

AdapterTensors ToTensors(const train::Adapter& adapter,
                         const ModelConfig& model,
                         at::ScalarType dtype) {
  AdapterTensors tensors(static_cast<std::size_t>(model.layers));
  const train::LoraConfig& lora = adapter.config.lora;
  for (std::size_t i = 0; i < adapter.layers.size(); ++i) {
    for (std::size_t j = 0; j < lora.targets.size(); ++j) {
      const std::string& target = lora.targets[j];
      const std::size_t projection = IndexOf(target);
      const train::LoraPair& pair = adapter.layers[i][j];
      const std::int64_t out = WeightShape(model, static_cast<Projection>(projection))[0];
      const auto layer = static_cast<int>(i);
      tensors[i].lora[projection] = {ToTensor(pair.a, lora.Rank(layer, target), dtype),
                                     ToTensor(pair.b, out, dtype),
                                     lora.Scale(layer, target)};
    }
  }
  for (std::size_t i = 0; i < adapter.prompts.size(); ++i) {
    const auto& [prompt, gate] = adapter.prompts[i];
    tensors[i].prompt = {ToTensor(prompt, adapter.config.prompt.length, dtype),
                         at::full({1}, gate, dtype)};
  }
  return tensors;
}

}  // namespace dashf::autograd
