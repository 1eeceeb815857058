// Hidden states that a phase computes once and keeps. Internal to this module.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
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
  // Computes nothing yet; the arguments must outlive the computation.
  HiddenRows(const llama::Weights& weights,
             const llama::AdapterLayout& layout,
             const std::vector<float>& parameters,
             const std::vector<corpus::Example>& examples,
             int layer,
             int batch_size,
             const std::filesystem::path& folder);  // Of a file to keep them in; empty: memory.
  ~HiddenRows();

  bool ComputeNext();  // The next batch; false once all are there.
  void Enter(std::int64_t example, llama::Matrix<float> rows) const;

 private:
  struct Computation;
  void Copy(const llama::PackedBatch& batch, llama::Matrix<const float> rows);

  std::int64_t width_;
  std::vector<std::int64_t> begin_;           // Per example.
  ScratchFloats rows_;                        // [rows of all examples, d]
  std::unique_ptr<Computation> computation_;  // None once it is over.
};

}  // namespace dashf::train
