#include "train/merge.h"

#include "llama/matrix.h"
#include "train/adapter_layout.h"
#include "train/projection.h"
#include "train/trained_parameters.h"
#include "train/within_memory.h"

namespace dashf::train {

Expected<Model> MergeAdapter(const Model& base, const Adapter& adapter) {
  if (adapter.config.kind == AdapterKind::kAdaptionPrompt) {
    return Fail(ErrorKind::kBadInput,
                "adapter",
                "ADAPTION_PROMPT cannot be merged: its prompts are attended to by a softmax of "
                "their own, which no weight of the base can stand for");
  }
  return WithinMemory("merging", [&]() -> Expected<Model> {
    const ModelConfig& config = base.config();
    if (auto sound = CheckAdapter(adapter, config); !sound) return tl::unexpected(sound.error());
    const llama::AdapterLayout layout = LayoutOf(&adapter, config);
    const std::vector<float> parameters = AllParameters(&adapter);
    llama::Weights merged = base.weights();
    for (int i = 0; i < config.layers; ++i) {
      for (std::size_t p = 0; p < kProjections; ++p) {
        const llama::LoraPlace& lora = layout.layers[static_cast<std::size_t>(i)].lora[p];
        if (lora.rank == 0) continue;
        const auto [out, in] = WeightShape(config, static_cast<Projection>(p));
        const std::string name = ModuleName(i, std::string(kProjectionNames[p])) + ".weight";
        std::vector<float> weight = llama::GetTensor(name, merged);
        llama::Multiply(static_cast<float>(lora.scale),
                        llama::Matrix<const float>(parameters.data() + lora.b, out, lora.rank),
                        llama::Op::kPlain,
                        llama::Matrix<const float>(parameters.data() + lora.a, lora.rank, in),
                        llama::Op::kPlain,
                        1.0F,
                        llama::Matrix<float>(weight.data(), out, in));
        llama::SetTensor(name, weight.data(), &merged);
      }
    }
    return Model(std::move(merged));
  });
}

}  // namespace dashf::train
