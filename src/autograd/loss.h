// Cross-entropy through the output head without ever holding all logits. Internal to this module.
#pragma once

#include <ATen/core/Tensor.h>

namespace dashf::autograd {

// Mean over rows of -log softmax(hidden head')[target]: hidden [N, d] after the final norm, head
// [V, d], targets [N] of int64. A scalar; differentiable in hidden and, where it requires a
// gradient, head. Both gradients are made in the forward pass, a few rows of logits at a time.
at::Tensor HeadLoss(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets);

}  // namespace dashf::autograd
