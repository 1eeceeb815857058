#include "llama/adapter_layout.h"

#include <utility>

namespace dashf::llama {

AdapterLayout PlaceAdapter(const ModelConfig& config, std::vector<LayerPlaces> layers) {
  AdapterLayout layout{std::move(layers)};
  const auto take = [&](std::int64_t count) {
    return std::exchange(layout.size, layout.size + count);
  };
  for (LayerPlaces& layer : layout.layers) {
    layer.begin = layout.size;
    for (int p = 0; p < kProjections; ++p) {
      LoraPlace& lora = layer.lora[static_cast<std::size_t>(p)];
      const auto [out, in] = WeightShape(config, static_cast<Projection>(p));
      lora.a = take(lora.rank * in);
      lora.b = take(lora.rank * out);
    }
    layer.prompt.prompt = take(std::int64_t{layer.prompt.length} * config.hidden_size);
    layer.prompt.gate = take(layer.prompt.length > 0 ? 1 : 0);
    layer.end = layout.size;
  }
  return layout;
}

}  // namespace dashf::llama
