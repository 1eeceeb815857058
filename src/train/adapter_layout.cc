#include "train/adapter_layout.h"

#include <algorithm>
#include <vector>

#include "train/projection.h"

namespace dashf::train {

llama::AdapterLayout LayoutOf(const Adapter* adapter, const ModelConfig& model) {
  std::vector<llama::LayerPlaces> layers(static_cast<std::size_t>(model.layers));
  if (adapter == nullptr) return llama::PlaceAdapter(model, std::move(layers));
  const AdapterConfig& config = adapter->config;
  for (int i = 0; i < model.layers; ++i) {
    llama::LayerPlaces& layer = layers[static_cast<std::size_t>(i)];
    if (config.kind == AdapterKind::kAdaptionPrompt) {
      layer.prompt.length = config.prompt.length;
      continue;
    }
    for (const std::string& target : config.lora.targets) {
      const auto at = std::find(kProjectionNames.begin(), kProjectionNames.end(), target);
      llama::LoraPlace& place = layer.lora[static_cast<std::size_t>(at - kProjectionNames.begin())];
      place.rank = config.lora.Rank(i, target);
      place.scale = config.lora.Scale(i, target);
    }
  }
  return llama::PlaceAdapter(model, std::move(layers));
}

}  // namespace dashf::train
