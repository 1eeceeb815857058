// Hidden states that a phase computes once and keeps. Internal to this module.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "corpus/example.h"
#include "llama/adapter_layout.h"
#include "llama/packed_batch.h"
#include "llama/weights.h"
#include "train/scratch_floats.h"

namespace dashf::train {

// The hidden states of every example that enter layer `layer`, computed once for every epoch.
class HiddenRows {
 public:
  HiddenRows(const llama::Weights& weights,
             const llama::AdapterLayout& layout,
             const std::vector<float>& parameters,
             const std::vector<corpus::Example>& examples,
             int layer,
             int batch_size,
             const std::filesystem::path& folder);  // Of a file to keep them in; empty: memory.

  void Enter(std::int64_t example, llama::Matrix<float> rows) const;

 private:
  void Copy(const llama::PackedBatch& batch, llama::Matrix<const float> rows);

  std::int64_t width_;
  std::vector<std::int64_t> begin_;  // Per example.
  ScratchFloats rows_;               // [rows of all examples, d]
};

}  // namespace dashf::train
