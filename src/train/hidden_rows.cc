#include "train/hidden_rows.h"

#include <algorithm>

#include "llama/engine.h"
#include "train/batch_order.h"
#include "train/compute.h"
#include "train/sequences.h"

namespace dashf::train {

HiddenRows::HiddenRows(const llama::Weights& weights,
                       const llama::AdapterLayout& layout,
                       const std::vector<float>& parameters,
                       const std::vector<corpus::Example>& examples,
                       int layer,
                       int batch_size,
                       const std::filesystem::path& folder)
    : width_(weights.config.hidden_size),
      begin_(RowBegins(examples)),
      rows_(begin_.back() * width_, folder) {
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
