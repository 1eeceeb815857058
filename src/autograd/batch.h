// Examples as right-padded batches of tensors. Internal to this module.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "autograd/llama.h"
#include "corpus/example.h"

namespace dashf::autograd {

struct Batch {
  std::vector<std::size_t> examples;  // Which examples, by index.
  BatchShape shape;
  at::Tensor tokens;     // [R * T] of int64; padded with token 0.
  at::Tensor loss_rows;  // [N] of int64: the rows whose next token is an answer token, by example.
  at::Tensor targets;    // [N] of int64: that next token.
};

Batch MakeBatch(const std::vector<corpus::Example>& examples, std::span<const std::size_t> chosen);

}  // namespace dashf::autograd
