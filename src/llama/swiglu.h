// SwiGLU (Shazeer 2020, arXiv:2002.05202): the feed-forward block's nonlinearity.
#pragma once

#include "llama/matrix.h"

namespace dashf::llama {

// y = silu(g) u with silu(g) = g s(g), s the logistic function. gate_up (N, 2 f) holds g, then u,
// in each row; y (N, f).
template <class T>
void SwiGluForward(ConstMatrix<T> gate_up, Matrix<T> y);

// dg = dy u s(g) (1 + g (1 - s(g))), du = dy silu(g), which take the place of g and u. dy (N, f).
template <class T>
void SwiGluBackward(ConstMatrix<T> dy, Matrix<T> gate_up);

}  // namespace dashf::llama
