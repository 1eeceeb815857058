// Hidden states above the frozen layers, computed once for every epoch. Internal to this module.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "autograd/batch.h"
#include "autograd/llama.h"
#include "corpus/dataset.h"

namespace dashf::autograd {

class HiddenCache {
 public:
  // Passes every example through layers 0..layers - 1 with the adapter as it is now.
  HiddenCache(const LlamaWeights& weights,
              const AdapterTensors* tensors,
              const std::vector<corpus::Example>& examples,
              int layers,
              int batch_size);

  // The batch's hidden states [R * T, d]. Padded rows repeat the example's first one: finite, and
  // seen by no row that counts.
  at::Tensor Gather(const Batch& batch) const;

 private:
  at::Tensor rows_;                           // [tokens of all examples, d]
  std::vector<std::int64_t> begin_, length_;  // Per example.
};

}  // namespace dashf::autograd
