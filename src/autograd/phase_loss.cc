#include "autograd/phase_loss.h"

#include "autograd/loss.h"

namespace dashf::autograd {

std::vector<at::Tensor*> TrainedTensors(const train::Phase& phase, AdapterTensors* adapter) {
  std::vector<at::Tensor*> trained;
  for (int i = phase.first_trained; i < phase.last_trained; ++i) {
    LayerTensors& layer = (*adapter)[static_cast<std::size_t>(i)];
    for (LoraFactors& factors : layer.lora) {
      if (!factors.a.defined()) continue;
      trained.push_back(&factors.a);
      trained.push_back(&factors.b);
    }
    if (!layer.prompt.prompt.defined()) continue;
    trained.push_back(&layer.prompt.prompt);
    trained.push_back(&layer.prompt.gate);
  }
  return trained;
}

at::Tensor PhaseLoss(const LlamaWeights& weights,
                     const AdapterTensors& adapter,
                     const train::Phase& phase,
                     const HiddenCache* cache,
                     const Batch& batch) {
  at::Tensor hidden = cache ? cache->Gather(batch) : Embed(weights, batch.tokens);
  hidden = ForwardLayers(weights, &adapter, hidden, batch.shape, phase.cached, phase.loss_after);
  hidden = RmsNorm(weights.config, hidden.index_select(0, batch.loss_rows), weights.final_norm);
  return HeadLoss(hidden, weights.head, batch.targets);
}

}  // namespace dashf::autograd
