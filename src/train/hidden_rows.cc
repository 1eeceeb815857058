#include "train/hidden_rows.h"

#include <algorithm>

#include "llama/engine.h"
#include "train/batch_order.h"
#include "train/compute.h"
#include "train/sequences.h"

namespace dashf::train {

struct HiddenRows::Computation {
  Computation(const llama::Weights& weights,
              const llama::AdapterLayout& layout,
              const std::vector<float>& parameters,
              const std::vector<corpus::Example>& all,
              int layer,
              int batch_size)
      : examples(all),
        slot{parameters.data(), nullptr},
        batches(BatchOrder(all, batch_size, nullptr)),
        engine(weights,
               layout,
               {0, layer + 1, layer + 1, layer + 1},
               {.threads = Threads(), .positions = LongestOf(all)}) {}

  const std::vector<corpus::Example>& examples;
  const llama::Slot<float> slot;
  const std::vector<std::vector<std::size_t>> batches;
  llama::Engine<float> engine;
  std::size_t next = 0;
};

HiddenRows::HiddenRows(const llama::Weights& weights,
                       const llama::AdapterLayout& layout,
                       const std::vector<float>& parameters,
                       const std::vector<corpus::Example>& examples,
                       int layer,
                       int batch_size,
                       const std::filesystem::path& folder)
    : width_(weights.config.hidden_size),
      begin_(RowBegins(examples)),
      rows_(begin_.back() * width_, folder),
      computation_(std::make_unique<Computation>(
          weights, layout, parameters, examples, layer, batch_size)) {}

HiddenRows::~HiddenRows() = default;

bool HiddenRows::ComputeNext() {
  if (!computation_) return false;
  Computation& computation = *computation_;
  const auto& chosen = computation.batches[computation.next++];
  computation.engine.ForEachHidden(
      SequencesOf(computation.examples, chosen),
      {&computation.slot, 1},
      [&](const llama::PackedBatch& batch, llama::Matrix<const float> rows) { Copy(batch, rows); });
  if (computation.next == computation.batches.size()) computation_.reset();
  return true;
}

void HiddenRows::Enter(std::int64_t example, llama::Matrix<float> rows) const {
  const float* const from = rows_.data() + begin_[static_cast<std::size_t>(example)] * width_;
  std::copy_n(from, rows.rows * width_, rows.data);
}

void HiddenRows::Copy(const llama::PackedBatch& batch, llama::Matrix<const float> rows) {
  for (std::size_t s = 0; s < batch.keys.size(); ++s) {
    float* const to = rows_.data() + begin_[static_cast<std::size_t>(batch.keys[s])] * width_;
    std::copy_n(rows.Row(batch.all[s].first_key), batch.all[s].keys * width_, to);
  }
}

}  // namespace dashf::train
