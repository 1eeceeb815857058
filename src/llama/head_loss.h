// Cross-entropy through the output head without ever holding all logits.
#pragma once

#include <cstdint>
#include <span>

#include "llama/matrix.h"
#include "llama/stored_matrix.h"

namespace dashf::llama {

// Elements of `logits`, for M rows and a vocabulary of this size.
std::int64_t LogitsElements(std::int64_t rows, std::int64_t vocab);

// Per row, loss = -log softmax(x head')[target]; x (M, d) after the final norm, head (V, d),
// targets and losses (M). Where `hits` is not empty: whether the target is the most probable token.
// Where dx.data is set, dx (M, d) = weights[row] d loss / dx = weights[row] (softmax - onehot)
// head.
template <class T>
void HeadLoss(const StoredMatrix& head,
              ConstMatrix<T> x,
              std::span<const int> targets,
              std::span<const double> weights,
              T* tile,
              T* logits,
              std::span<double> losses,
              std::span<std::uint8_t> hits,
              Matrix<T> dx);

}  // namespace dashf::llama
