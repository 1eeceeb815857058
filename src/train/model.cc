#include "train/model.h"

#include <cmath>
#include <string>
#include <vector>

#include "base/rng.h"

namespace dashf::train {
namespace {

std::int64_t Elements(const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return count;
}

}  // namespace

std::int64_t Model::parameters() const {
  std::int64_t count = 0;
  llama::ForEachTensor(config(),
                       [&](const std::string&, const auto& shape) { count += Elements(shape); });
  return count;
}

Model RandomModel(const ModelConfig& config, std::uint64_t seed, const llama::Storage& storage) {
  llama::Weights weights = llama::MakeWeights(config, storage);
  const double residual_deviation = 0.02 / std::sqrt(2.0 * config.layers);
  llama::ForEachTensor(config, [&](const std::string& name, const auto& shape) {
    const bool into_residual =
        name.find("o_proj") != std::string::npos || name.find("down_proj") != std::string::npos;
    std::vector<float> values(static_cast<std::size_t>(Elements(shape)), 0.0F);
    if (name.find("norm.") != std::string::npos) {
      values.assign(values.size(), static_cast<float>(1.0 - config.norm_offset));
    } else if (!name.ends_with(".bias")) {
      Rng rng = Rng(seed).Stream(name);
      const double deviation = into_residual ? residual_deviation : 0.02;
      for (float& value : values) value = static_cast<float>(deviation * rng.Normal());
    }
    llama::SetTensor(name, values.data(), &weights);
  });
  return Model(std::move(weights));
}

}  // namespace dashf::train
