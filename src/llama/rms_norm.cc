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
DASHF_INLINE T Weight(const RmsNorm& norm, std::int64_t j) {
  return static_cast<T>(norm.offset + norm.weight[j]);
}

template <class T>
DASHF_INLINE void Scale(const Matrix<const T>& x,
                        const RmsNorm& norm,
                        const T* inverse,
                        const Matrix<T>& y) {
  for (std::int64_t i = 0; i < x.rows; ++i) {
    const T* const from = x.Row(i);
    T* const to = y.Row(i);
    const T r = inverse[i];
#pragma omp simd
    for (std::int64_t j = 0; j < x.columns; ++j) to[j] = from[j] * r * Weight<T>(norm, j);
  }
}

template <class T>
DASHF_INLINE void Inverses(const Matrix<const T>& x, double eps, T* inverse) {
  for (std::int64_t i = 0; i < x.rows; ++i) {
    const T mean = Dot(x.Row(i), x.Row(i), x.columns) / static_cast<T>(x.columns);
    inverse[i] = T{1} / std::sqrt(mean + static_cast<T>(eps));
  }
}

template <class T, bool kAdd>
DASHF_INLINE void Backward(const Matrix<const T>& x,
                           const RmsNorm& norm,
                           const T* inverse,
                           const Matrix<const T>& dy,
                           const Matrix<T>& dx) {
  for (std::int64_t i = 0; i < x.rows; ++i) {
    const T* const xi = x.Row(i);
    const T* const dyi = dy.Row(i);
    T* const dxi = dx.Row(i);
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t j = 0; j < x.columns; ++j) sum += dyi[j] * Weight<T>(norm, j) * xi[j];
    const T r = inverse[i];
    const T slope = r * r * r * sum / static_cast<T>(x.columns);
#pragma omp simd
    for (std::int64_t j = 0; j < x.columns; ++j) {
      const T own = r * dyi[j] * Weight<T>(norm, j) - slope * xi[j];
      dxi[j] = kAdd ? dxi[j] + own : own;
    }
  }
}

using Floats = const Matrix<const float>&;

DASHF_VECTORISED void ScaleRows(Floats x,
                                const RmsNorm& norm,
                                const float* inverse,
                                const Matrix<float>& y) {
  Scale<float>(x, norm, inverse, y);
}
DASHF_VECTORISED void InverseRows(Floats x, double eps, float* inverse) {
  Inverses<float>(x, eps, inverse);
}
DASHF_VECTORISED void BackwardRows(
    Floats x, const RmsNorm& norm, const float* inverse, Floats dy, const Matrix<float>& dx) {
  Backward<float, false>(x, norm, inverse, dy, dx);
}
DASHF_VECTORISED void AddBackwardRows(
    Floats x, const RmsNorm& norm, const float* inverse, Floats dy, const Matrix<float>& dx) {
  Backward<float, true>(x, norm, inverse, dy, dx);
}

using Doubles = const Matrix<const double>&;

void ScaleRows(Doubles x, const RmsNorm& norm, const double* inverse, const Matrix<double>& y) {
  Scale<double>(x, norm, inverse, y);
}
void InverseRows(Doubles x, double eps, double* inverse) {
  Inverses<double>(x, eps, inverse);
}
void BackwardRows(
    Doubles x, const RmsNorm& norm, const double* inverse, Doubles dy, const Matrix<double>& dx) {
  Backward<double, false>(x, norm, inverse, dy, dx);
}
void AddBackwardRows(
    Doubles x, const RmsNorm& norm, const double* inverse, Doubles dy, const Matrix<double>& dx) {
  Backward<double, true>(x, norm, inverse, dy, dx);
}

}  // namespace

template <class T>
void RmsNormForward(ConstMatrix<T> x, const RmsNorm& norm, T* inverse, Matrix<T> y) {
  InverseRows(x, norm.eps, inverse);
  RmsNormAgain<T>(x, norm, inverse, y);
}

template <class T>
void RmsNormAgain(ConstMatrix<T> x, const RmsNorm& norm, const T* inverse, Matrix<T> y) {
  DASHF_CHECK(x.rows == y.rows && x.columns == y.columns);
  ScaleRows(x, norm, inverse, y);
}

template <class T>
void RmsNormBackward(
    ConstMatrix<T> x, const RmsNorm& norm, const T* inverse, ConstMatrix<T> dy, Matrix<T> dx) {
  DASHF_CHECK(x.rows == dy.rows && x.columns == dy.columns);
  DASHF_CHECK(x.rows == dx.rows && x.columns == dx.columns);
  BackwardRows(x, norm, inverse, dy, dx);
}

template <class T>
void RmsNormBackwardAdd(
    ConstMatrix<T> x, const RmsNorm& norm, const T* inverse, ConstMatrix<T> dy, Matrix<T> dx) {
  DASHF_CHECK(x.rows == dy.rows && x.columns == dy.columns);
  DASHF_CHECK(x.rows == dx.rows && x.columns == dx.columns);
  AddBackwardRows(x, norm, inverse, dy, dx);
}

template <class T>
void HeadNormForward(ConstMatrix<T> x, const RmsNorm& norm, int head_dim, T* inverse, Matrix<T> y) {
  for (std::int64_t at = 0; at < x.columns; at += head_dim, inverse += x.rows) {
    RmsNormForward<T>(x.Columns(at, head_dim), norm, inverse, y.Columns(at, head_dim));
  }
}

template <class T>
void HeadNormBackward(
    ConstMatrix<T> x, const RmsNorm& norm, int head_dim, const T* inverse, Matrix<T> d) {
  for (std::int64_t at = 0; at < x.columns; at += head_dim, inverse += x.rows) {
    const Matrix<T> own = d.Columns(at, head_dim);
    RmsNormBackward<T>(x.Columns(at, head_dim), norm, inverse, own, own);
  }
}

#define DASHF_INSTANTIATE(T)                                                            \
  template void RmsNormForward<T>(ConstMatrix<T>, const RmsNorm&, T*, Matrix<T>);       \
  template void RmsNormAgain<T>(ConstMatrix<T>, const RmsNorm&, const T*, Matrix<T>);   \
  template void RmsNormBackward<T>(                                                     \
      ConstMatrix<T>, const RmsNorm&, const T*, ConstMatrix<T>, Matrix<T>);             \
  template void RmsNormBackwardAdd<T>(                                                  \
      ConstMatrix<T>, const RmsNorm&, const T*, ConstMatrix<T>, Matrix<T>);             \
  template void HeadNormForward<T>(ConstMatrix<T>, const RmsNorm&, int, T*, Matrix<T>); \
  template void HeadNormBackward<T>(ConstMatrix<T>, const RmsNorm&, int, const T*, Matrix<T>);
DASHF_INSTANTIATE(float)
DASHF_INSTANTIATE(double)
#undef DASHF_INSTANTIATE

}  // namespace dashf::llama
