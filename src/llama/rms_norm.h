// RMSNorm (Zhang and Sennrich 2019, arXiv:1910.07467).
#pragma once

#include "llama/matrix.h"

namespace dashf::llama {

// Multiplies by w = offset + weight.
struct RmsNorm {
  const float* weight = nullptr;  // (d)
  double eps = 0.0;
  float offset = 0.0F;
};

// y = x r w per row, with r = 1 / sqrt(mean(x^2) + eps), which is kept for the backward.
// x (N, d), inverse (N), y (N, d), which may be x itself.
template <class T>
void RmsNormForward(ConstMatrix<T> x, const RmsNorm& norm, T* inverse, Matrix<T> y);

// y again, from the r of the forward.
template <class T>
void RmsNormAgain(ConstMatrix<T> x, const RmsNorm& norm, const T* inverse, Matrix<T> y);

// With g = dy w, and dr/dx_j = -r^3 x_j / d:
//   dx_j = g_j r + sum_i(g_i x_i) dr/dx_j = r g_j - r^3 x_j mean(g x).
// dy (N, d), dx (N, d), which may be dy itself.
template <class T>
void RmsNormBackward(
    ConstMatrix<T> x, const RmsNorm& norm, const T* inverse, ConstMatrix<T> dy, Matrix<T> dx);
// The same, added: the residual stream that x came from has a gradient of its own.
template <class T>
void RmsNormBackwardAdd(
    ConstMatrix<T> x, const RmsNorm& norm, const T* inverse, ConstMatrix<T> dy, Matrix<T> dx);

// Each head of x (N, heads head_dim) by one norm of width head_dim; inverse (heads, N), y as x.
template <class T>
void HeadNormForward(ConstMatrix<T> x, const RmsNorm& norm, int head_dim, T* inverse, Matrix<T> y);
// d, the gradient of y, becomes that of x.
template <class T>
void HeadNormBackward(
    ConstMatrix<T> x, const RmsNorm& norm, int head_dim, const T* inverse, Matrix<T> d);

}  // namespace dashf::llama
