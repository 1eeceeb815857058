// RMSNorm (Zhang and Sennrich 2019, arXiv:1910.07467).
#pragma once

#include "llama/matrix.h"

namespace dashf::llama {

// y = x r w per row, with r = 1 / sqrt(mean(x^2) + eps), which is kept for the backward.
// x (N, d), weight (d), inverse (N), y (N, d).
template <class T>
void RmsNormForward(ConstMatrix<T> x, const float* weight, double eps, T* inverse, Matrix<T> y);

// y again, from the r of the forward.
template <class T>
void RmsNormAgain(ConstMatrix<T> x, const float* weight, const T* inverse, Matrix<T> y);

// With g = dy w, and dr/dx_j = -r^3 x_j / d:
//   dx_j += g_j r + sum_i(g_i x_i) dr/dx_j = r g_j - r^3 x_j mean(g x).
// Added, because the residual stream that x came from has a gradient of its own. dy (N, d), dx (N,
// d).
template <class T>
void RmsNormBackward(
    ConstMatrix<T> x, const float* weight, const T* inverse, ConstMatrix<T> dy, Matrix<T> dx);

}  // namespace dashf::llama
