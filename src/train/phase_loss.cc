#include "train/phase_loss.h"

#include "train/loss.h"

namespace dashf::train {

std::vector<at::Tensor*> TrainedFactors(const Phase& phase, LoraTensors* lora) {
  std::vector<at::Tensor*> trained;
  for (int i = phase.first_trained; i < phase.last_trained; ++i) {
    for (LoraFactors& factors : lora->layers[static_cast<std::size_t>(i)]) {
      if (!factors.a.defined()) continue;
      trained.push_back(&factors.a);
      trained.push_back(&factors.b);
    }
  }
  return trained;
}

at::Tensor PhaseLoss(const LlamaWeights& weights,
                     const LoraTensors& lora,
                     const Phase& phase,
                     const HiddenCache* cache,
                     const Batch& batch) {
  at::Tensor hidden = cache ? cache->Gather(batch) : Embed(weights, batch.tokens);
  hidden = ForwardLayers(weights, &lora, hidden, batch.shape, phase.cached, phase.loss_after);
  hidden = RmsNorm(
      hidden.index_select(0, batch.loss_rows), weights.final_norm, weights.config.rms_norm_eps);
  return HeadLoss(hidden, weights.head, batch.targets);
}

}  // namespace dashf::train
