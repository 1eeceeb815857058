#include "study/average.h"

#include <cmath>

#include "base/check.h"

namespace dashf::study {
namespace {

using train::Adapter;
using train::LoraPair;

// sum += values / count; an empty sum is zeros.
void AddShare(const std::vector<float>& values, std::size_t count, std::vector<float>* sum) {
  sum->resize(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    (*sum)[i] += values[i] / static_cast<float>(count);
  }
}

// B [out, rank] of each, divided by their number, side by side as [out, all ranks].
std::vector<float> SideBySide(std::span<const Adapter> adapters, std::size_t layer, std::size_t j) {
  const auto rank = static_cast<std::size_t>(adapters.front().config.lora.Rank(
      static_cast<int>(layer), adapters.front().config.lora.targets[j]));
  const std::size_t out = adapters.front().layers[layer][j].b.size() / rank;
  std::vector<float> wide;
  for (std::size_t row = 0; row < out; ++row) {
    for (const Adapter& adapter : adapters) {
      const std::vector<float>& b = adapter.layers[layer][j].b;
      for (std::size_t c = 0; c < rank; ++c) {
        wide.push_back(b[row * rank + c] / static_cast<float>(adapters.size()));
      }
    }
  }
  return wide;
}

}  // namespace

Adapter MeanOfFactors(std::span<const Adapter> adapters) {
  DASHF_CHECK(!adapters.empty());
  Adapter mean{adapters.front().config};
  mean.layers.resize(adapters.front().layers.size());
  mean.prompts.resize(adapters.front().prompts.size());
  for (const Adapter& adapter : adapters) {
    DASHF_CHECK(adapter.config == mean.config);
    for (std::size_t i = 0; i < mean.layers.size(); ++i) {
      mean.layers[i].resize(adapter.layers[i].size());
      for (std::size_t j = 0; j < mean.layers[i].size(); ++j) {
        AddShare(adapter.layers[i][j].a, adapters.size(), &mean.layers[i][j].a);
        AddShare(adapter.layers[i][j].b, adapters.size(), &mean.layers[i][j].b);
      }
    }
    for (std::size_t i = 0; i < mean.prompts.size(); ++i) {
      AddShare(adapter.prompts[i].prompt, adapters.size(), &mean.prompts[i].prompt);
      mean.prompts[i].gate += adapter.prompts[i].gate / static_cast<float>(adapters.size());
    }
  }
  return mean;
}

Adapter MeanOfProducts(std::span<const Adapter> adapters) {
  DASHF_CHECK(!adapters.empty());
  const auto count = static_cast<int>(adapters.size());
  Adapter mean{adapters.front().config};
  DASHF_CHECK(mean.config.kind == train::AdapterKind::kLora);
  // alpha / rank, or alpha / sqrt(rank), stays what it was.
  train::LoraConfig& lora = mean.config.lora;
  const double factor = lora.rank_stabilized ? std::sqrt(count) : count;
  lora.rank *= count;
  lora.alpha *= factor;
  for (auto& [key, rank] : lora.rank_pattern) rank *= count;
  for (auto& [key, alpha] : lora.alpha_pattern) alpha *= factor;
  mean.layers.resize(adapters.front().layers.size());
  for (std::size_t i = 0; i < mean.layers.size(); ++i) {
    for (std::size_t j = 0; j < lora.targets.size(); ++j) {
      LoraPair& pair = mean.layers[i].emplace_back();
      for (const Adapter& adapter : adapters) {
        const std::vector<float>& a = adapter.layers[i][j].a;
        pair.a.insert(pair.a.end(), a.begin(), a.end());
      }
      pair.b = SideBySide(adapters, i, j);
    }
  }
  return mean;
}

}  // namespace dashf::study
