#include "llama/frozen_product.h"

#include <algorithm>

#include "llama/bfloat16_product.h"

namespace dashf::llama {
namespace {

// Calls visit(first row, first column, block) with blocks of x rounded to bfloat16, of up to
// `columns` columns, as many rows at a time as the scratch of `weight` holds.
template <class Visit>
void ForEachRounded(const StoredMatrix& weight,
                    Matrix<const float> x,
                    std::int64_t columns,
                    float* scratch,
                    Visit visit) {
  const std::int64_t room = 2 * StoredMatrix::ScratchElements(weight.columns());
  const std::int64_t rows = room / columns;
  for (std::int64_t row = 0; row < x.rows; row += rows) {
    for (std::int64_t column = 0; column < x.columns; column += columns) {
      const Matrix<std::uint16_t> block(reinterpret_cast<std::uint16_t*>(scratch),
                                        std::min(rows, x.rows - row),
                                        std::min(columns, x.columns - column));
      RoundToBFloat16(x.Rows(row, block.rows).Columns(column, block.columns), block);
      visit(row, column, Matrix<const std::uint16_t>(block));
    }
  }
}

}  // namespace

template <class T>
void MultiplyThrough(const StoredMatrix& weight,
                     std::int64_t begin,
                     ConstMatrix<T> x,
                     std::type_identity_t<T> beta,
                     T* scratch,
                     Matrix<T> y) {
  if constexpr (std::is_same_v<T, float>) {
    if (weight.arithmetic() == Arithmetic::kBFloat16) {
      const auto w = weight.Halves().Rows(begin, y.columns);
      ForEachRounded(
          weight, x, x.columns, scratch, [&](std::int64_t row, std::int64_t, auto block) {
            MultiplyBFloat16(block, w, Op::kTransposed, beta, y.Rows(row, block.rows));
          });
      return;
    }
  }
  weight.ForEachTile(begin, y.columns, scratch, [&](std::int64_t first, Matrix<const T> w) {
    MultiplyTransposed(1, x, w, beta, y.Columns(first, w.rows));
  });
}

template <class T>
void MultiplyBackThrough(const StoredMatrix& weight,
                         std::int64_t begin,
                         ConstMatrix<T> dy,
                         std::type_identity_t<T> beta,
                         T* scratch,
                         Matrix<T> dx) {
  if constexpr (std::is_same_v<T, float>) {
    if (weight.arithmetic() == Arithmetic::kBFloat16) {
      const std::int64_t columns = std::min(dy.columns, 2 * dx.columns);  // 256 rows at least.
      ForEachRounded(
          weight, dy, columns, scratch, [&](std::int64_t row, std::int64_t column, auto block) {
            MultiplyBFloat16(block,
                             weight.Halves().Rows(begin + column, block.columns),
                             Op::kPlain,
                             column == 0 ? beta : 1.0F,
                             dx.Rows(row, block.rows));
          });
      return;
    }
  }
  weight.ForEachTile(begin, dy.columns, scratch, [&](std::int64_t first, Matrix<const T> w) {
    const T added = first == 0 ? beta : T{1};
    Multiply(1, dy.Columns(first, w.rows), Op::kPlain, w, Op::kPlain, added, dx);
  });
}

#define DASHF_INSTANTIATE(T)                                                                      \
  template void MultiplyThrough<T>(                                                               \
      const StoredMatrix&, std::int64_t, ConstMatrix<T>, std::type_identity_t<T>, T*, Matrix<T>); \
  template void MultiplyBackThrough<T>(                                                           \
      const StoredMatrix&, std::int64_t, ConstMatrix<T>, std::type_identity_t<T>, T*, Matrix<T>);
DASHF_INSTANTIATE(float)
DASHF_INSTANTIATE(double)
#undef DASHF_INSTANTIATE

}  // namespace dashf::llama
