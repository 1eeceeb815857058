#include "llama/rms_norm.h"

#include <cmath>

#include "base/check.h"
#include "llama/vector_math.h"

namespace dashf::llama {
namespace {

template <class T>
DASHF_INLINE T Dot(const T* a, const T* b, std::int64_t n) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

template <class T>
DASHF_INLINE void Scale(const Matrix<const T>& x,
                        const float* weight,
                        const T* inverse,
                        const Matrix<T>& y) {
  for (std::int64_t i = 0; i < x.rows; ++i) {
    const T* const from = x.Row(i);
    T* const to = y.Row(i);
    const T r = inverse[i];
#pragma omp simd
    for (std::int64_t j = 0; j < x.columns; ++j) to[j] = from[j] * r * static_cast<T>(weight[j]);
  }
}

template <class T>
DASHF_INLINE void Inverses(const Matrix<const T>& x, double eps, T* inverse) {
  for (std::int64_t i = 0; i < x.rows; ++i) {
    const T mean = Dot(x.Row(i), x.Row(i), x.columns) / static_cast<T>(x.columns);
    inverse[i] = T{1} / std::sqrt(mean + static_cast<T>(eps));
  }
}

template <class T>
DASHF_INLINE void AddBackward(const Matrix<const T>& x,
                              const float* weight,
                              const T* inverse,
                              const Matrix<const T>& dy,
                              const Matrix<T>& dx) {
  for (std::int64_t i = 0; i < x.rows; ++i) {
    const T* const xi = x.Row(i);
    const T* const dyi = dy.Row(i);
    T* const dxi = dx.Row(i);
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t j = 0; j < x.columns; ++j) sum += dyi[j] * static_cast<T>(weight[j]) * xi[j];
    const T r = inverse[i];
    const T slope = r * r * r * sum / static_cast<T>(x.columns);
#pragma omp simd
    for (std::int64_t j = 0; j < x.columns; ++j) {
      dxi[j] += r * dyi[j] * static_cast<T>(weight[j]) - slope * xi[j];
    }
  }
}

using Floats = const Matrix<const float>&;

DASHF_VECTORISED void ScaleRows(Floats x,
                                const float* weight,
                                const float* inverse,
                                const Matrix<float>& y) {
  Scale<float>(x, weight, inverse, y);
}
DASHF_VECTORISED void InverseRows(Floats x, double eps, float* inverse) {
  Inverses<float>(x, eps, inverse);
}
DASHF_VECTORISED void AddBackwardRows(
    Floats x, const float* weight, const float* inverse, Floats dy, const Matrix<float>& dx) {
  AddBackward<float>(x, weight, inverse, dy, dx);
}

using Doubles = const Matrix<const double>&;

void ScaleRows(Doubles x, const float* weight, const double* inverse, const Matrix<double>& y) {
  Scale<double>(x, weight, inverse, y);
}
void InverseRows(Doubles x, double eps, double* inverse) {
  Inverses<double>(x, eps, inverse);
}
void AddBackwardRows(
    Doubles x, const float* weight, const double* inverse, Doubles dy, const Matrix<double>& dx) {
  AddBackward<double>(x, weight, inverse, dy, dx);
}

}  // namespace

template <class T>
void RmsNormForward(ConstMatrix<T> x, const float* weight, double eps, T* inverse, Matrix<T> y) {
  InverseRows(x, eps, inverse);
  RmsNormAgain<T>(x, weight, inverse, y);
}

template <class T>
void RmsNormAgain(ConstMatrix<T> x, const float* weight, const T* inverse, Matrix<T> y) {
  DASHF_CHECK(x.rows == y.rows && x.columns == y.columns);
  ScaleRows(x, weight, inverse, y);
}

template <class T>
void RmsNormBackward(
    ConstMatrix<T> x, const float* weight, const T* inverse, ConstMatrix<T> dy, Matrix<T> dx) {
  DASHF_CHECK(x.rows == dy.rows && x.columns == dy.columns);
  DASHF_CHECK(x.rows == dx.rows && x.columns == dx.columns);
  AddBackwardRows(x, weight, inverse, dy, dx);
}

#define DASHF_INSTANTIATE(T)                                                            \
  template void RmsNormForward<T>(ConstMatrix<T>, const float*, double, T*, Matrix<T>); \
  template void RmsNormAgain<T>(ConstMatrix<T>, const float*, const T*, Matrix<T>);     \
  template void RmsNormBackward<T>(                                                     \
      ConstMatrix<T>, const float*, const T*, ConstMatrix<T>, Matrix<T>);
DASHF_INSTANTIATE(float)
DASHF_INSTANTIATE(double)
#undef DASHF_INSTANTIATE

}  // namespace dashf::llama
