#include <ATen/Functions.h>

#include <cstring>
#include <optional>

#include "base/check.h"
#include "train/adapter_tensors.h"
#include "train/batch.h"
#include "train/flat_parameters.h"
#include "train/hidden_cache.h"
#include "train/phase_gradient.h"
#include "train/phase_loss.h"

namespace dashf::train {
namespace {

class Autograd final : public PhaseGradient {
 public:
  Autograd(const Model& model,
           const std::vector<corpus::Example>& examples,
           const Phase& phase,
           const Adapter& adapter,
           int batch_size)
      : model_(model),
        examples_(examples),
        phase_(phase),
        tensors_(ToTensors(adapter, model.config(), at::kFloat)),
        parameters_(TrainedTensors(phase_, &tensors_)) {
    if (phase.cached > 0)
      cache_.emplace(model.weights(), &tensors_, examples, phase.cached, batch_size);
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
        PhaseLoss(model_.weights(), tensors_, phase_, cache_ ? &*cache_ : nullptr, batch);
    loss.backward();
    std::copy(gradients.begin(), gradients.end(), gradient.begin());
    return loss.item<double>();
  }

 private:
  const Model model_;
  const std::vector<corpus::Example>& examples_;
  const Phase phase_;
  AdapterTensors tensors_;
  FlatParameters parameters_;
  std::optional<HiddenCache> cache_;
};

}  // namespace

std::unique_ptr<PhaseGradient> TorchPhaseGradient(const Model& model,
                                                  const std::vector<corpus::Example>& examples,
                                                  const Phase& phase,
                                                  const Adapter& adapter,
                                                  int batch_size) {
  return std::make_unique<Autograd>(model, examples, phase, adapter, batch_size);
}

}  // namespace dashf::train
