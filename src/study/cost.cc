#include "study/cost.h"

#include "base/check.h"

namespace dashf::study {

SiteFlop FlopOf(const train::ModelConfig& model,
                const train::AdapterConfig& adapter,
                const train::Volume& volume,
                int steps_per_pass,
                const std::vector<Phase>& phases) {
  DASHF_CHECK(steps_per_pass >= 1);
  SiteFlop flop;
  for (const Phase& phase : phases) {
    const bool user = phase.site == Site::kUser;
    const int first = user ? 1 : phase.k + 1, last = user ? phase.k : model.layers;
    const train::PhaseFlop one =
        train::FlopOfLayers(model, adapter, volume, first, last, phase.objective);
    (user ? flop.user : flop.server) += one.once + one.pass * phase.steps / steps_per_pass;
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
      const bool exit = phase.objective == train::UserObjective::kEarlyExit;
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
