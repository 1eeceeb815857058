#include <algorithm>
#include <optional>
#include <vector>

#include "base/check.h"
#include "llama/engine.h"
#include "train/adapter_layout.h"
#include "train/compute.h"
#include "train/hidden_rows.h"
#include "train/phase_gradient.h"
#include "train/sequences.h"
#include "train/trained_parameters.h"

namespace dashf::train {
namespace {

class Native final : public PhaseGradient {
 public:
  Native(const Model& model,
         const std::vector<corpus::Example>& examples,
         const Phase& phase,
         const Adapter& adapter,
         int batch_size,
         bool recompute)
      : model_(model),
        examples_(examples),
        layout_(LayoutOf(&adapter, model.config())),
        parameters_(AllParameters(&adapter)),
        gradient_(parameters_.size()),
        first_(LayerAt(phase.first_trained).begin),
        size_(LayerAt(phase.last_trained - 1).end - first_),
        engine_(model_.weights(),
                layout_,
                {phase.cached, phase.first_trained, phase.last_trained, phase.loss_after},
                {.keep = recompute ? llama::Keep::kInputs : llama::Keep::kAll,
                 .threads = Threads(),
                 .positions = LongestOf(examples)}) {
    if (phase.cached == 0) return;
    hidden_.emplace(model_.weights(),
                    layout_,
                    parameters_,
                    examples,
                    phase.cached,
                    batch_size,
                    phase.cache_folder);
    engine_.SetEntrance(
        [this](std::int64_t example, llama::Matrix<float> rows) { hidden_->Enter(example, rows); });
  }

  bool Prepare() override { return hidden_ && hidden_->ComputeNext(); }

  double Compute(std::span<const std::size_t> chosen,
                 std::span<const float> parameters,
                 std::span<float> gradient) override {
    DASHF_CHECK(std::ssize(parameters) == size_ && std::ssize(gradient) == size_);
    while (Prepare()) {
    }
    std::copy(parameters.begin(), parameters.end(), parameters_.begin() + first_);
    std::fill_n(gradient_.begin() + first_, size_, 0.0F);
    const llama::Slot<float> slot{parameters_.data(), gradient_.data()};
    const double loss = engine_.LossAndGradient(SequencesOf(examples_, chosen), {&slot, 1})[0];
    std::copy_n(gradient_.begin() + first_, size_, gradient.begin());
    return loss;
  }

 private:
  const llama::LayerPlaces& LayerAt(int layer) const {
    return layout_.layers[static_cast<std::size_t>(layer)];
  }

  const Model model_;
  const std::vector<corpus::Example>& examples_;
  const llama::AdapterLayout layout_;
  std::vector<float> parameters_, gradient_;  // Of all layers.
  const std::int64_t first_, size_;           // The trained ones among them.
  llama::Engine<float> engine_;
  std::optional<HiddenRows> hidden_;
};

}  // namespace

std::unique_ptr<PhaseGradient> NativePhaseGradient(const Model& model,
                                                   const std::vector<corpus::Example>& examples,
                                                   const Phase& phase,
                                                   const Adapter& adapter,
                                                   int batch_size,
                                                   bool recompute) {
  return std::make_unique<Native>(model, examples, phase, adapter, batch_size, recompute);
}

}  // namespace dashf::train
