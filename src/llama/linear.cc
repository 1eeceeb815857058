#include "llama/linear.h"

#include <algorithm>

#include "llama/frozen_product.h"

namespace dashf::llama {
namespace {

// Calls visit(lora, its columns of y, its columns of h) for each projection with LoRA.
template <class T, class Visit>
void ForEachLora(const Linear<T>& linear, Visit visit) {
  std::int64_t column = 0, rank = 0;
  for (int p = linear.first; p < linear.last; ++p) {
    const LoraPlace& lora = linear.places->lora[static_cast<std::size_t>(p)];
    const std::int64_t out = WeightShape(*linear.config, static_cast<Projection>(p))[0];
    if (lora.rank > 0) visit(lora, column, out, rank);
    column += out;
    rank += lora.rank;
  }
}

// The factors a of all projections, one below the other, (R, in).
template <class T>
Matrix<T> StackA(const Linear<T>& linear, const T* parameters, T* stacked) {
  const Matrix<T> a(stacked, linear.Rank(), linear.In());
  ForEachLora(linear, [&](const LoraPlace& lora, std::int64_t, std::int64_t, std::int64_t rank) {
    std::copy_n(parameters + lora.a, lora.rank * a.columns, a.Row(rank));
  });
  return a;
}

template <class T>
void AddBias(const std::vector<float>& bias, std::int64_t first, Matrix<T> y) {
  if (bias.empty()) return;
  const float* const values = bias.data() + first;
  for (std::int64_t i = 0; i < y.rows; ++i) {
    T* const row = y.Row(i);
    for (std::int64_t j = 0; j < y.columns; ++j) row[j] += static_cast<T>(values[j]);
  }
}

}  // namespace

template <class T>
std::int64_t Linear<T>::In() const {
  return WeightShape(*config, static_cast<Projection>(first))[1];
}

template <class T>
std::int64_t Linear<T>::Out() const {
  std::int64_t out = 0;
  for (int p = first; p < last; ++p) out += WeightShape(*config, static_cast<Projection>(p))[0];
  return out;
}

template <class T>
int Linear<T>::Rank() const {
  int rank = 0;
  for (int p = first; p < last; ++p) rank += places->lora[static_cast<std::size_t>(p)].rank;
  return rank;
}

template <class T>
void LinearForward(const Linear<T>& linear,
                   std::span<const SlotRows> slots,
                   ConstMatrix<T> x,
                   Into into,
                   const LinearScratch<T>& scratch,
                   Matrix<T> h,
                   Matrix<T> y) {
  const ProjectionPlace place = PlaceOf(*linear.config, static_cast<Projection>(linear.first));
  const StoredMatrix& weight = linear.weights->matrices[place.group];
  const T beta = into == Into::kAdd ? T{1} : T{0};
  MultiplyThrough<T>(weight, place.first_row, x, beta, scratch.tile, y);
  AddBias(linear.weights->biases[place.group], place.first_row, y);
  if (linear.Rank() == 0) return;
  for (const auto& [slot, begin, count] : slots) {
    const T* const parameters = linear.slots[static_cast<std::size_t>(slot)].parameters;
    const Matrix<T> a = StackA(linear, parameters, scratch.stacked_a);
    const Matrix<T> h_slot = h.Rows(begin, count), y_slot = y.Rows(begin, count);
    MultiplyTransposed(1, x.Rows(begin, count), a, 0, h_slot);
    ForEachLora(
        linear,
        [&](const LoraPlace& lora, std::int64_t column, std::int64_t out, std::int64_t rank) {
          const Matrix<const T> b(parameters + lora.b, out, lora.rank);
          MultiplyTransposed(static_cast<T>(lora.scale),
                             h_slot.Columns(rank, lora.rank),
                             b,
                             1,
                             y_slot.Columns(column, out));
        });
  }
}

template <class T>
void LinearBackward(const Linear<T>& linear,
                    std::span<const SlotRows> slots,
                    ConstMatrix<T> x,
                    ConstMatrix<T> h,
                    ConstMatrix<T> dy,
                    bool trained,
                    const LinearScratch<T>& scratch,
                    Matrix<T> dx) {
  const bool wants_dx = dx.data != nullptr;
  if (wants_dx) {
    const ProjectionPlace place = PlaceOf(*linear.config, static_cast<Projection>(linear.first));
    const StoredMatrix& weight = linear.weights->matrices[place.group];
    MultiplyBackThrough<T>(weight, place.first_row, dy, 0, scratch.tile, dx);
  }
  const int rank_sum = linear.Rank();
  if (rank_sum == 0 || !(wants_dx || trained)) return;
  for (const auto& [slot, begin, count] : slots) {
    const auto& [parameters, gradient] = linear.slots[static_cast<std::size_t>(slot)];
    const Matrix<T> dh(scratch.dh, count, rank_sum);
    const Matrix<const T> dy_slot = dy.Rows(begin, count);
    ForEachLora(
        linear,
        [&](const LoraPlace& lora, std::int64_t column, std::int64_t out, std::int64_t rank) {
          const T scale = static_cast<T>(lora.scale);
          const Matrix<const T> dy_own = dy_slot.Columns(column, out);
          const Matrix<const T> b(parameters + lora.b, out, lora.rank);
          const Matrix<T> dh_own = dh.Columns(rank, lora.rank);
          Multiply(scale, dy_own, Op::kPlain, b, Op::kPlain, 0, dh_own);
          if (!trained) return;
          const Matrix<const T> h_own = h.Rows(begin, count).Columns(rank, lora.rank);
          Multiply(scale,
                   dy_own,
                   Op::kTransposed,
                   h_own,
                   Op::kPlain,
                   1,
                   Matrix<T>(gradient + lora.b, out, lora.rank));
          Multiply(1,
                   dh_own,
                   Op::kTransposed,
                   x.Rows(begin, count),
                   Op::kPlain,
                   1,
                   Matrix<T>(gradient + lora.a, lora.rank, x.columns));
        });
    if (!wants_dx) continue;
    const Matrix<T> a = StackA(linear, parameters, scratch.stacked_a);
    Multiply(1, dh, Op::kPlain, a, Op::kPlain, 1, dx.Rows(begin, count));
  }
}

#define DASHF_INSTANTIATE(T)                                 \
  template struct Linear<T>;                                 \
  template void LinearForward<T>(const Linear<T>&,           \
                                 std::span<const SlotRows>,  \
                                 ConstMatrix<T>,             \
                                 Into,                       \
                                 const LinearScratch<T>&,    \
                                 Matrix<T>,                  \
                                 Matrix<T>);                 \
  template void LinearBackward<T>(const Linear<T>&,          \
                                  std::span<const SlotRows>, \
                                  ConstMatrix<T>,            \
                                  ConstMatrix<T>,            \
                                  ConstMatrix<T>,            \
                                  bool,                      \
                                  const LinearScratch<T>&,   \
                                  Matrix<T>);
DASHF_INSTANTIATE(float)
DASHF_INSTANTIATE(double)
#undef DASHF_INSTANTIATE

}  // namespace dashf::llama
