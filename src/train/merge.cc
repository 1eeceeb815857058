#include "train/merge.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include "train/adapter_tensors.h"
#include "train/guarded.h"

namespace dashf::train {

Expected<Model> MergeAdapter(const Model& base, const Adapter& adapter) {
  if (adapter.config.kind == AdapterKind::kAdaptionPrompt) {
    return Fail(ErrorKind::kBadInput,
                "adapter",
                "ADAPTION_PROMPT cannot be merged: its prompts are attended to by a softmax of "
                "their own, which no weight of the base can stand for");
  }
  return Guarded("merging", [&]() -> Expected<Model> {
    if (auto sound = CheckAdapter(adapter, base.config()); !sound) {
      return tl::unexpected(sound.error());
    }
    const at::NoGradGuard no_grad;
    auto merged = std::make_shared<LlamaWeights>(base.weights());
    const AdapterTensors tensors =
        ToTensors(adapter, base.config(), merged->embedding.scalar_type());
    for (std::size_t i = 0; i < merged->layers.size(); ++i) {
      for (std::size_t p = 0; p < kProjections; ++p) {
        const LoraFactors& lora = tensors[i].lora[p];
        if (!lora.a.defined()) continue;
        at::Tensor& weight = merged->layers[i].projections[p].weight;
        weight = at::addmm(weight, lora.b, lora.a, 1.0, lora.scale);
      }
    }
    return Model(std::move(merged));
  });
}

}  // namespace dashf::train
