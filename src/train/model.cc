#include "train/model.h"

#include <ATen/Functions.h>

#include <cmath>

#include "base/rng.h"
#include "train/llama.h"

namespace dashf::train {
namespace {

at::Tensor NormalTensor(const std::vector<std::int64_t>& shape, double deviation, Rng rng) {
  at::Tensor tensor = at::empty(shape, at::kFloat);
  float* const values = tensor.data_ptr<float>();
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    values[i] = static_cast<float>(deviation * rng.Normal());
  }
  return tensor;
}

}  // namespace

const ModelConfig& Model::config() const {
  return weights_->config;
}

std::int64_t Model::parameters() const {
  std::int64_t count = 0;
  ForEachTensor(*weights_,
                [&](const std::string&, const at::Tensor& tensor) { count += tensor.numel(); });
  return count;
}

Model RandomModel(const ModelConfig& config, std::uint64_t seed) {
  LlamaWeights weights;
  weights.config = config;
  weights.layers.resize(static_cast<std::size_t>(config.layers));
  const double residual_deviation = 0.02 / std::sqrt(2.0 * config.layers);
  ForEachTensor(weights, [&](const std::string& name, at::Tensor& tensor) {
    const std::vector<std::int64_t> shape = TensorShape(config, name);
    const bool into_residual =
        name.find("o_proj") != std::string::npos || name.find("down_proj") != std::string::npos;
    if (name.find("norm.") != std::string::npos) {
      tensor = at::ones(shape, at::kFloat);
    } else if (name.ends_with(".bias")) {
      tensor = at::zeros(shape, at::kFloat);
    } else {
      tensor =
          NormalTensor(shape, into_residual ? residual_deviation : 0.02, Rng(seed).Stream(name));
    }
  });
  if (config.tied_embeddings) weights.head = weights.embedding;
  return Model(std::make_shared<const LlamaWeights>(std::move(weights)));
}

}  // namespace dashf::train
