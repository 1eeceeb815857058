// Examples as right-padded batches of tensors. Internal to this module.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/rng.h"
#include "corpus/dataset.h"
#include "train/llama.h"
#include "train/model.h"

namespace dashf::train {

struct Batch {
  std::vector<std::size_t> examples;  // Which examples, by index.
  BatchShape shape;
  at::Tensor tokens;     // [R * T] of int64; padded with token 0.
  at::Tensor loss_rows;  // [N] of int64: the rows whose next token is an answer token, by example.
  at::Tensor targets;    // [N] of int64: that next token.
  std::int64_t real_tokens = 0;  // Without padding.
};

Batch MakeBatch(const std::vector<corpus::Example>& examples, std::span<const std::size_t> chosen);

// Every example in one batch, examples of similar length together, so that little is padded. With
// an rng the order of examples, then of batches is random; without, ascending by length.
std::vector<std::vector<std::size_t>> BatchOrder(const std::vector<corpus::Example>& examples,
                                                 int batch_size,
                                                 Rng* rng);

// There are examples; each fits the model's vocabulary and positions and has an answer token with a
// token before it. kBadInput names the example.
Expected<void> CheckExamples(const std::vector<corpus::Example>& examples,
                             const ModelConfig& model);

}  // namespace dashf::train
