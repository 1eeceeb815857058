#include <algorithm>
#include <optional>
#include <vector>

#include "base/check.h"
#include "llama/engine.h"
#include "train/adapter_layout.h"
#include "train/batch_order.h"
#include "train/compute.h"
#include "train/phase_gradient.h"
#include "train/sequences.h"
#include "train/trained_parameters.h"

namespace dashf::train {
namespace {

// The hidden states of every example that enter layer `layer`, computed once for every epoch.
class HiddenRows {
 public:
  HiddenRows(const llama::Weights& weights,
             const llama::AdapterLayout& layout,
             const std::vector<float>& parameters,
             const std::vector<corpus::Example>& examples,
             int layer,
             int batch_size)
      : width_(weights.config.hidden_size) {
    begin_.push_back(0);
    for (std::size_t i = 0; i < examples.size(); ++i) {
      begin_.push_back(begin_.back() + llama::RowsOf(SequencesOf(examples, {&i, 1}).front()));
    }
    rows_.resize(static_cast<std::size_t>(begin_.back() * width_));
    const llama::LayerRange range{0, layer + 1, layer + 1, layer + 1};
    llama::Engine<float> engine(
        weights, layout, range, {.threads = Threads(), .positions = LongestOf(examples)});
    const llama::Slot<float> slot{parameters.data(), nullptr};
    for (const auto& chosen : BatchOrder(examples, batch_size, nullptr)) {
      engine.ForEachHidden(SequencesOf(examples, chosen),
                           {&slot, 1},
                           [&](const llama::PackedBatch& batch, llama::Matrix<const float> rows) {
                             Copy(batch, rows);
                           });
    }
  }

  void Enter(std::int64_t example, llama::Matrix<float> rows) const {
    const auto from = rows_.begin() + begin_[static_cast<std::size_t>(example)] * width_;
    std::copy_n(from, rows.rows * width_, rows.data);
  }

 private:
  void Copy(const llama::PackedBatch& batch, llama::Matrix<const float> rows) {
    for (std::size_t s = 0; s < batch.keys.size(); ++s) {
      const auto to = rows_.begin() + begin_[static_cast<std::size_t>(batch.keys[s])] * width_;
      std::copy_n(rows.Row(batch.all[s].first_key), batch.all[s].keys * width_, to);
    }
  }

  std::int64_t width_;
  std::vector<std::int64_t> begin_;  // Per example.
  std::vector<float> rows_;          // [rows of all examples, d]
};

class Native final : public PhaseGradient {
 public:
  Native(const Model& model,
         const std::vector<corpus::Example>& examples,
         const Phase& phase,
         const Adapter& adapter,
         int batch_size)
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
                {.threads = Threads(), .positions = LongestOf(examples)}) {
    if (phase.cached == 0) return;
    hidden_.emplace(model_.weights(), layout_, parameters_, examples, phase.cached, batch_size);
    engine_.SetEntrance(
        [this](std::int64_t example, llama::Matrix<float> rows) { hidden_->Enter(example, rows); });
  }

  double Compute(std::span<const std::size_t> chosen,
                 std::span<const float> parameters,
                 std::span<float> gradient) override {
    DASHF_CHECK(std::ssize(parameters) == size_ && std::ssize(gradient) == size_);
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
                                                   int batch_size) {
  return std::make_unique<Native>(model, examples, phase, adapter, batch_size);
}

}  // namespace dashf::train
