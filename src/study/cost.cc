#include "study/cost.h"

#include "base/check.h"

namespace dashf::study {
namespace {

using train::UserObjective;

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

std::vector<LayerFlop> LayersOf(const train::ModelConfig& model,
                                const train::AdapterConfig& adapter,
                                const Volume& volume) {
  static constexpr const char* kAll[] = {
      "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};
  std::vector<LayerFlop> layers(static_cast<std::size_t>(model.layers));
  for (int i = 0; i < model.layers; ++i) {
    LayerFlop& layer = layers[static_cast<std::size_t>(i)];
    for (const char* projection : kAll) {
      const train::ProjectionShape shape = *train::ShapeOf(model, projection);
      layer.frozen += 2.0 * volume.tokens * shape.in * shape.out;
    }
    if (adapter.kind == train::AdapterKind::kLora) {
      for (const std::string& target : adapter.lora.targets) {
        const train::ProjectionShape shape = *train::ShapeOf(model, target);
        layer.factors += 2.0 * volume.tokens * adapter.lora.Rank(i, target) *
                         (static_cast<double>(shape.in) + shape.out);
      }
    }
    layer.pairs = 4.0 * volume.pairs * model.heads * model.head_dim;
  }
  return layers;
}

}  // namespace

Volume VolumeOf(const std::vector<corpus::Example>& examples) {
  Volume volume;
  for (const corpus::Example& example : examples) {
    const auto length = static_cast<double>(example.tokens.size());
    volume.tokens += length;
    volume.pairs += length * (length + 1.0) / 2.0;
    volume.answers += example.answer_tokens();
  }
  return volume;
}

SiteFlop FlopOf(const train::ModelConfig& model,
                const train::AdapterConfig& adapter,
                const Volume& volume,
                int steps_per_pass,
                const std::vector<Phase>& phases) {
  DASHF_CHECK(steps_per_pass >= 1);
  const std::vector<LayerFlop> layers = LayersOf(model, adapter, volume);
  const double head = 2.0 * volume.answers * model.hidden_size * model.vocab_size;
  SiteFlop flop;
  for (const Phase& phase : phases) {
    const bool user = phase.site == Site::kUser;
    const bool exit = user && phase.objective == UserObjective::kEarlyExit;
    double once = 0.0, pass = 2.0 * head;
    for (int i = 0; i < model.layers; ++i) {
      const LayerFlop& layer = layers[static_cast<std::size_t>(i)];
      const bool below = i < phase.k;
      if (user ? below : !below) pass += layer.Forward() + layer.Backward(true);
      if (user && !below && !exit) pass += layer.Forward() + layer.Backward(false);
      if (!user && below) once += layer.Forward();
    }
    (user ? flop.user : flop.server) += once + pass * phase.steps / steps_per_pass;
  }
  return flop;
}

Traffic TrafficOf(const std::vector<Phase>& phases,
                  const std::vector<double>& layer_bytes,
                  double data_bytes) {
  const std::size_t layers = layer_bytes.size();
  // Which side alone has a layer's latest state.
  std::vector<bool> with_user(layers, false), with_server(layers, false);
  Traffic traffic;
  const auto bring = [&](std::vector<bool>* elsewhere, std::size_t needed, double* bytes) {
    for (std::size_t i = 0; i < needed; ++i) {
      if ((*elsewhere)[i]) *bytes += layer_bytes[i];
      (*elsewhere)[i] = false;
    }
  };
  bool data_sent = false;
  for (const Phase& phase : phases) {
    const auto k = static_cast<std::size_t>(phase.k);
    if (phase.site == Site::kUser) {
      const bool exit = phase.objective == UserObjective::kEarlyExit;
      bring(&with_server, exit ? k : layers, &traffic.down_bytes);
      for (std::size_t i = 0; i < k; ++i) with_user[i] = true;
      continue;
    }
    if (!data_sent) traffic.up_bytes += data_bytes;
    data_sent = true;
    bring(&with_user, layers, &traffic.up_bytes);
    for (std::size_t i = k; i < layers; ++i) with_server[i] = true;
  }
  bring(&with_server, layers, &traffic.down_bytes);
  return traffic;
}

}  // namespace dashf::study
