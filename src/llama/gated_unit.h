// Gated linear units (Shazeer 2020, arXiv:2002.05202): the feed-forward block's nonlinearity.
#pragma once

#include "llama/config.h"
#include "llama/matrix.h"

namespace dashf::llama {

// y = a(g) u with a(g) = g s(z(g)), s the logistic function: z = g is SiLU, and
// z = 2 sqrt(2 / pi) (g + 0.044715 g^3) the tanh formula of GELU (Hendrycks and Gimpel 2016,
// arXiv:1606.08415), for (1 + tanh(z / 2)) / 2 = s(z). gate_up (N, 2 f) holds g, then u, in each
// row; y (N, f).
template <class T>
void GatedUnitForward(Activation activation, ConstMatrix<T> gate_up, Matrix<T> y);

// dg = dy u (s(z) + a(g) (1 - s(z)) dz/dg), du = dy a(g), which take the place of g and u.
// dy (N, f).
template <class T>
void GatedUnitBackward(Activation activation, ConstMatrix<T> dy, Matrix<T> gate_up);

}  // namespace dashf::llama
