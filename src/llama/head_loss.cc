#include "llama/head_loss.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "llama/frozen_product.h"
#include "llama/softmax.h"

namespace dashf::llama {
namespace {

// Rows at a time: of 16 MiB in float, but so many that reading the head for them is not what takes
// the time. With a vocabulary of 128,256, 32 rows take more than half as long as 128 in bfloat16.
constexpr std::int64_t kElements = std::int64_t{1} << 22;
constexpr std::int64_t kRowsMin = 128, kRowsMax = 256;

std::int64_t RowsAtOnce(std::int64_t vocab) {
  return std::clamp(kElements / vocab, kRowsMin, kRowsMax);
}

}  // namespace

std::int64_t LogitsElements(std::int64_t rows, std::int64_t vocab) {
  return std::min(rows, RowsAtOnce(vocab)) * vocab;
}

template <class T>
void HeadLoss(const StoredMatrix& head,
              ConstMatrix<T> x,
              std::span<const int> targets,
              std::span<const double> weights,
              T* tile,
              T* logits,
              std::span<double> losses,
              std::span<std::uint8_t> hits,
              Matrix<T> dx) {
  const std::int64_t vocab = head.rows();
  DASHF_CHECK(std::ssize(targets) == x.rows && std::ssize(losses) == x.rows);
  const std::int64_t step = RowsAtOnce(vocab);
  for (std::int64_t begin = 0; begin < x.rows; begin += step) {
    const Matrix<const T> rows = x.Rows(begin, std::min(step, x.rows - begin));
    const Matrix<T> scores(logits, rows.rows, vocab);
    MultiplyThrough<T>(head, 0, rows, 0, tile, scores);
    for (std::int64_t i = 0; i < rows.rows; ++i) {
      const auto at = static_cast<std::size_t>(begin + i);
      T* const row = scores.Row(i);
      const int target = targets[at];
      if (!hits.empty()) hits[at] = IndexOfLargest(row, vocab) == target;
      const T score = row[target];
      losses[at] = static_cast<double>(SoftmaxRow(T{1}, vocab, vocab, row) - score);
      if (dx.data == nullptr) continue;
      row[target] -= T{1};
    }
    if (dx.data == nullptr) continue;
    const Matrix<T> out = dx.Rows(begin, rows.rows);
    MultiplyBackThrough<T>(head, 0, scores, 0, tile, out);
    for (std::int64_t i = 0; i < out.rows; ++i) {
      const T weight = static_cast<T>(weights[static_cast<std::size_t>(begin + i)]);
      for (std::int64_t j = 0; j < out.columns; ++j) out.Row(i)[j] *= weight;
    }
  }
}

#define DASHF_INSTANTIATE(T)                         \
  template void HeadLoss<T>(const StoredMatrix&,     \
                            ConstMatrix<T>,          \
                            std::span<const int>,    \
                            std::span<const double>, \
                            T*,                      \
                            T*,                      \
                            std::span<double>,       \
                            std::span<std::uint8_t>, \
                            Matrix<T>);
DASHF_INSTANTIATE(float)
DASHF_INSTANTIATE(double)
#undef DASHF_INSTANTIATE

}  // namespace dashf::llama
