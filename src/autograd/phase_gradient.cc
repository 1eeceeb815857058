#include "autograd/phase_gradient.h"

#include <ATen/Functions.h>

#include <cstring>
#include <optional>

#include "autograd/adapter_tensors.h"
#include "autograd/batch.h"
#include "autograd/flat_parameters.h"
#include "autograd/hidden_cache.h"
#include "autograd/phase_loss.h"
#include "base/check.h"

namespace dashf::autograd {
namespace {

class Autograd final : public train::PhaseGradient {
 public:
  Autograd(const Model& model,
           const std::vector<corpus::Example>& examples,
           const train::Phase& phase,
           const train::Adapter& adapter,
           int batch_size)
      : weights_(TensorsOf(model)),
        examples_(examples),
        phase_(phase),
        tensors_(ToTensors(adapter, model.config(), at::kFloat)),
        parameters_(TrainedTensors(phase_, &tensors_)) {
    if (phase.cached > 0) cache_.emplace(weights_, &tensors_, examples, phase.cached, batch_size);
  }

  double Compute(std::span<const std::size_t> chosen,
                 std::span<const float> parameters,
                 std::span<float> gradient) override {
    const std::span<float> values = parameters_.values(), gradients = parameters_.gradients();
    DASHF_CHECK(parameters.size() == values.size() && gradient.size() == values.size());
    std::copy(parameters.begin(), parameters.end(), values.begin());
    std::fill(gradients.begin(), gradients.end(), 0.0F);
    const Batch batch = MakeBatch(examples_, chosen);
    const at::Tensor loss =
        PhaseLoss(weights_, tensors_, phase_, cache_ ? &*cache_ : nullptr, batch);
    loss.backward();
    std::copy(gradients.begin(), gradients.end(), gradient.begin());
    return loss.item<double>();
  }

 private:
  const LlamaWeights weights_;
  const std::vector<corpus::Example>& examples_;
  const train::Phase phase_;
  AdapterTensors tensors_;
  FlatParameters parameters_;
  std::optional<HiddenCache> cache_;
};

}  // namespace

std::unique_ptr<train::PhaseGradient> AutogradPhaseGradient(
    const Model& model,
    const std::vector<corpus::Example>& examples,
    const train::Phase& phase,
    const train::Adapter& adapter,
    int batch_size,
    bool /*recompute*/) {  // libtorch keeps what it keeps.
  return std::make_unique<Autograd>(model, examples, phase, adapter, batch_size);
}

}  // namespace dashf::autograd
