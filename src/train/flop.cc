#include "train/flop.h"

#include <algorithm>

#include "train/projection.h"

namespace dashf::train {
namespace {

// Of one layer over one pass.
struct LayerFlop {
  double frozen = 0.0;  // Forward through the weights.
  double factors = 0.0;
  double pairs = 0.0;
  double Forward() const { return frozen + factors + pairs; }
  double Backward(bool trained) const {
    return frozen + (trained ? 2.0 : 1.0) * factors + 2.0 * pairs;
  }
};

LayerFlop FlopOfLayer(const ModelConfig& model,
                      const AdapterConfig& adapter,
                      const Volume& volume,
                      int index) {
  LayerFlop layer;
  for (const auto& projection : kProjectionNames) {
    const ProjectionShape shape = *ShapeOf(model, std::string(projection));
    layer.frozen += 2.0 * volume.tokens * shape.in * shape.out;
  }
  if (adapter.kind == AdapterKind::kLora) {
    for (const std::string& target : adapter.lora.targets) {
      const ProjectionShape shape = *ShapeOf(model, target);
      layer.factors += 2.0 * volume.tokens * adapter.lora.Rank(index, target) *
                       (static_cast<double>(shape.in) + shape.out);
    }
  }
  const double pairs = model.WindowOf(index) > 0 ? volume.windowed_pairs : volume.pairs;
  layer.pairs = 4.0 * pairs * model.heads * model.head_dim;
  return layer;
}

}  // namespace

Volume VolumeOf(const std::vector<corpus::Example>& examples, int window) {
  Volume volume;
  for (const corpus::Example& example : examples) {
    const auto length = static_cast<double>(example.tokens.size());
    volume.tokens += length;
    const double near = window > 0 ? std::min<double>(window, length) : length;
    volume.pairs += length * (length + 1.0) / 2.0;
    volume.windowed_pairs += near * (near + 1.0) / 2.0 + (length - near) * near;
    volume.answers += example.answer_tokens();
  }
  return volume;
}

PhaseFlop FlopOfLayers(const ModelConfig& model,
                       const AdapterConfig& adapter,
                       const Volume& volume,
                       int first,
                       int last,
                       UserObjective objective) {
  if (last < first) return {};
  PhaseFlop flop;
  const int top = objective == UserObjective::kEarlyExit ? last : model.layers;
  for (int number = 1; number <= top; ++number) {
    const LayerFlop layer = FlopOfLayer(model, adapter, volume, number - 1);
    if (number < first) {
      flop.once += layer.Forward();
    } else {
      flop.pass += layer.Forward() + layer.Backward(number <= last);
    }
  }
  flop.pass += 2.0 * (2.0 * volume.answers * model.hidden_size * model.vocab_size);
  return flop;
}

}  // namespace dashf::train
