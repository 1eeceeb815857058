// Which examples go together in a batch, and what examples a model takes. Plain; internal to this
// module.
#pragma once

#include <cstddef>
#include <vector>

#include "base/error.h"
#include "base/rng.h"
#include "corpus/example.h"
#include "train/model.h"

namespace dashf::train {

// Every example in one batch, examples of similar length together, so that little is padded. With
// an rng the order of examples, then of batches is random; without, ascending by length.
std::vector<std::vector<std::size_t>> BatchOrder(const std::vector<corpus::Example>& examples,
                                                 int batch_size,
                                                 Rng* rng);

// There are examples; each fits the model's vocabulary and positions, and its answers are as
// Example demands. kBadInput names the example.
Expected<void> CheckExamples(const std::vector<corpus::Example>& examples,
                             const ModelConfig& model);

}  // namespace dashf::train
