#include "llama/swiglu.h"

#include "base/check.h"
#include "llama/vector_math.h"

namespace dashf::llama {
namespace {

template <class T>
DASHF_INLINE void ForwardRow(const T* g, const T* u, std::int64_t width, T* y) {
#pragma omp simd
  for (std::int64_t j = 0; j < width; ++j) y[j] = g[j] * u[j] / (T{1} + Exp(-g[j]));
}

template <class T>
DASHF_INLINE void BackwardRow(const T* dy, std::int64_t width, T* g, T* u) {
#pragma omp simd
  for (std::int64_t j = 0; j < width; ++j) {
    const T s = T{1} / (T{1} + Exp(-g[j]));
    const T silu = g[j] * s;
    g[j] = dy[j] * u[j] * (s + silu * (T{1} - s));
    u[j] = dy[j] * silu;
  }
}

DASHF_VECTORISED void Forward(const float* g, const float* u, std::int64_t width, float* y) {
  ForwardRow(g, u, width, y);
}
void Forward(const double* g, const double* u, std::int64_t width, double* y) {
  ForwardRow(g, u, width, y);
}
DASHF_VECTORISED void Backward(const float* dy, std::int64_t width, float* g, float* u) {
  BackwardRow(dy, width, g, u);
}
void Backward(const double* dy, std::int64_t width, double* g, double* u) {
  BackwardRow(dy, width, g, u);
}

}  // namespace

template <class T>
void SwiGluForward(ConstMatrix<T> gate_up, Matrix<T> y) {
  DASHF_CHECK(gate_up.rows == y.rows && gate_up.columns == 2 * y.columns);
  for (std::int64_t i = 0; i < y.rows; ++i) {
    Forward(gate_up.Row(i), gate_up.Row(i) + y.columns, y.columns, y.Row(i));
  }
}

template <class T>
void SwiGluBackward(ConstMatrix<T> dy, Matrix<T> gate_up) {
  DASHF_CHECK(gate_up.rows == dy.rows && gate_up.columns == 2 * dy.columns);
  for (std::int64_t i = 0; i < dy.rows; ++i) {
    Backward(dy.Row(i), dy.columns, gate_up.Row(i), gate_up.Row(i) + dy.columns);
  }
}

#define DASHF_INSTANTIATE(T)                                 \
  template void SwiGluForward<T>(ConstMatrix<T>, Matrix<T>); \
  template void SwiGluBackward<T>(ConstMatrix<T>, Matrix<T>);
DASHF_INSTANTIATE(float)
DASHF_INSTANTIATE(double)
#undef DASHF_INSTANTIATE

}  // namespace dashf::llama
